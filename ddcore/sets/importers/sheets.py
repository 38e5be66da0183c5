"""Pictures to a set: a contact sheet, or a folder (or zip) of pictures for each class, for a known dataset.

    pictures = sheets.read(path.name, path, dataset.shape)      # in a process of its own
    labelled = sheets.label(pictures, dataset, order="")        # or DataError: the order cannot be told
    content = sheets.to_file(pictures, labelled)                # to be read, brought and kept like others

The file is an .npz of images, labels and a note, in which the same pictures and labels are the same bytes.
"""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ddcore.base import isolated
from ddcore.base.errors import DataError, SpecError
from ddcore.data import Dataset
from ddcore.sets.foreign_files import EXACT, MAX_DIRECTORY
from ddcore.sets.importers import _arrangement, _pictures
from ddcore.sets.importers._arrangement import ARRANGEMENTS
from ddcore.sets.importers._grid import Grid
from ddcore.sets.importers.base import MAX_IMAGES
from ddcore.sets.importers.files import base_name, check_size
from ddcore.sets.importers.sheet import IMAGES, LABELS, NOTE, note

__all__ = ["ARRANGEMENTS", "Labelled", "SheetPictures", "is_pictures", "label", "read", "to_file"]

NAMED = 12  # names in a message
ORDER = re.compile(r"(?:(blocks|turns)(?::|$))?([\d, ]*)")
# Measured on sheets of 33 to 40 million: cutting takes 18 bytes a pixel at most, and 0.16 s for a million.
BYTES_PER_PIXEL, PIXELS_PER_SECOND = 24, 1_000_000
UNPACKED = 8  # times the bytes of small PNGs is more than they unpack to, in all copies


@dataclass(frozen=True, eq=False)
class SheetPictures:
    """Images as they lie in a sheet or in folders, (N, C, H, W) uint8, with their dataset's channels.

    `grid` is that of a sheet. `folders` are the names that class folders have, and `places` (N,) which of
    them each image is from.
    """

    images: np.ndarray
    sha256: str
    grid: Grid | None = None
    folders: tuple[str, ...] = ()
    places: np.ndarray | None = None

    def sentence(self) -> str:
        """For people."""
        if self.grid:
            return self.grid.sentence()
        return f"{len(self.images):,} pictures in {len(self.folders):,} folders."


@dataclass(frozen=True, eq=False)
class Labelled:
    """The class (N,) of each image, and in a sentence how it was found."""

    labels: np.ndarray
    sentence: str


# --- reading --------------------------------------------------------------------------------------


def is_pictures(name: str, given: bytes | memoryview | Path) -> bool:
    """Whether files are to be opened by this way: a picture, a folder, or a zip of pictures."""
    if isinstance(given, Path):
        if given.is_dir():
            return True
        if not given.is_file():
            return False
        with open(given, "rb") as file:
            head = file.read(9)
            file.seek(max(0, given.stat().st_size - MAX_DIRECTORY))
            tail = file.read() if head.startswith(b"PK") else b""
    else:
        head, tail = bytes(given[:9]), bytes(given[-MAX_DIRECTORY:])
    listed = head.startswith(b"BM") and head[8:9] == b"{"  # safetensors begin with any two bytes
    if head.startswith((_pictures.MAGIC, *_pictures.OTHERS)) and not listed:
        return True
    zipped = head.startswith(b"PK") and name.lower().endswith(".zip")
    return zipped and b".png" in tail.lower() and EXACT.encode() not in tail


def read(name: str, given: bytes | memoryview | Path, shape: Sequence[int]) -> SheetPictures:
    """The pictures of a dataset with images of `shape` (C, H, W); `DataError` with one sentence if none."""
    name = base_name(name)
    channels, side, width = shape
    if side != width:
        raise DataError(f"Sheets are read for square images: the dataset's are {width} x {side}.")
    with tempfile.TemporaryDirectory(prefix="dd-open-", ignore_cleanup_errors=True) as text:
        folder = Path(text)
        path = given.resolve() if isinstance(given, Path) else folder / "given"
        if path.is_dir():
            size = sum(p.stat().st_size for p in _listed(path))
        else:
            size = path.stat().st_size if isinstance(given, Path) else len(given)
        check_size(size, name)
        if not isinstance(given, Path):
            path.write_bytes(given)
        return _apart(name, path, size, side, channels, folder)


def _listed(path: Path) -> list[Path]:
    found = _pictures.picture_paths(path)
    if not found:
        raise DataError(f"{path} holds no folders of PNG pictures: expected one for each class.")
    if len(found) > MAX_IMAGES:
        raise DataError(
            f"{path} holds {len(found):,} pictures: from 1 to {MAX_IMAGES:,} can be opened."
        )
    return found


def _apart(
    name: str, path: Path, size: int, side: int, channels: int, folder: Path
) -> SheetPictures:
    """The other process's answer."""
    head = b""
    if path.is_file():
        with open(path, "rb") as file:
            head = file.read(_pictures.HEADER)
    sheet = path.is_file() and not head.startswith(b"PK")
    if sheet:
        width, height = _pictures.size_of(head, name)
        memory = size + BYTES_PER_PIXEL * width * height
        seconds = width * height // PIXELS_PER_SECOND
    else:
        memory, seconds = UNPACKED * size, size >> 20
    told = isolated.call(
        f"ddcore.sets.importers._pictures:{'cut_sheet' if sheet else 'read_folder'}",
        {"path": str(path), "name": name, "side": side},
        folder,
        isolated.Limits(memory=(160 << 20) + memory, cpu_seconds=5 + seconds),
        what=name,
        preload=_pictures.PRELOAD,
    )
    arrays = isolated.arrays(folder)
    images = _with_channels(arrays["images"], channels, name)
    if sheet:
        return SheetPictures(images, told["sha256"], grid=Grid(**told["grid"]))
    return SheetPictures(images, told["sha256"], None, tuple(told["folders"]), arrays["places"])


def _with_channels(images: np.ndarray, channels: int, name: str) -> np.ndarray:
    """Grey images are written as colour ones with three times the same: one of them is kept."""
    if images.shape[1] == channels:
        return images
    if channels == 1 and (images == images[:, :1]).all():
        return images[:, :1]
    kinds = {1: "grey", 3: "in colour"}
    raise DataError(
        f"The images of {name} are {kinds[images.shape[1]]}, but those of the dataset {kinds[channels]}."
    )


# --- labels ---------------------------------------------------------------------------------------


def label(pictures: SheetPictures, dataset: Dataset, order: str = "") -> Labelled:
    """The class of each image: by the folders' names, as stated in `order`, or by the looks of the images.

    `order` is blocks, turns, or the numbers of all classes in the sheet's order, after "turns:" if they
    take turns. `DataError` if the order cannot be told.
    """
    names = dataset.class_names
    if pictures.places is not None:
        if order:
            raise SpecError("order", order, "nothing, since folders name the classes")
        numbers = np.array(classes_of(pictures.folders, names))
        return Labelled(numbers[pictures.places], "Classes are those that the folders name.")
    if order:
        found = _arrangement.stated(*_parts(order), len(pictures.images), dataset.num_classes)
    else:
        found = _arrangement.find(pictures.images.astype(np.float32) / 255, dataset)
    return Labelled(found.labels, found.sentence(names))


def _parts(order: str) -> tuple[str, tuple[int, ...]]:
    """How images are arranged and the order of classes, () for 0, 1, ..."""
    given = ORDER.fullmatch(order.strip())
    if not given:
        allowed = "blocks, turns, or all classes' numbers such as 3,0,1 or turns:3,0,1"
        raise SpecError("order", order[:60], allowed)
    numbers = given[2].replace(",", " ").split()
    return given[1] or "blocks", tuple(int(n) for n in numbers)


def classes_of(folders: Sequence[str], names: Sequence[str]) -> list[int]:
    """The class of each folder, by its name or its number; `DataError` if they are not all classes."""
    by_name = {_alike(name): i for i, name in enumerate(names)}
    found = [by_name[known] for folder in folders if (known := _alike(folder)) in by_name]
    unknown = len(found) < len(folders)
    if unknown and all(folder.isascii() and folder.isdecimal() for folder in folders):
        found = [int(folder) for folder in folders]
    if sorted(found) != list(range(len(names))) or len(found) < len(folders):
        raise DataError(
            f"The folders {_few(folders)} are not the dataset's classes: expected {_few(names)}, or numbers "
            f"from 0 to {len(names) - 1}."
        )
    return found


def _alike(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name.strip().casefold())


def _few(names: Sequence[str]) -> str:
    return ", ".join(n[:40] for n in names[:NAMED]) + (", ..." if len(names) > NAMED else "")


# --- the file -------------------------------------------------------------------------------------


def to_file(pictures: SheetPictures, labelled: Labelled) -> bytes:
    """The set as a file that the importer "sheet" reads."""
    sentences = (pictures.sentence(), labelled.sentence)
    arrays: dict[str, Any] = {
        IMAGES: pictures.images,
        LABELS: labelled.labels.astype(np.int64),
        NOTE: note(sentences, pictures.sha256),
    }
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()
