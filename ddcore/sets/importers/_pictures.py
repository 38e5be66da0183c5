"""PNG pictures that anybody may have written, to arrays: a sheet cut up, or a picture for each image.

Runs in the process of its own that `sheets` starts. A picture's size is known from its first bytes, so what
is too large is refused before it is unpacked. Compression with loss is refused: it changes every pixel.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ddcore.base import isolated
from ddcore.base.errors import DataError
from ddcore.data.images import SUFFIXES
from ddcore.sets.foreign_files import check_directory, check_parts, content
from ddcore.sets.importers import _grid
from ddcore.sets.importers.base import MAX_IMAGES, MAX_UPLOAD
from ddcore.sets.importers.files import short

MAGIC = b"\x89PNG\r\n\x1a\n"
HEADER = 26  # bytes up to the depth and the kind of colour
MAX_PIXELS = 40_000_000  # 500 images of 32 pixels, each pixel 8 x 8 times, are 33 million
OTHERS = {b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF", b"RIFF": "WebP", b"BM": "BMP", b"II*\0": "TIFF"}
CLASS_NAME = 100  # letters of a folder's name
PRELOAD = ("PIL.Image", "PIL.PngImagePlugin")


def size_of(head: bytes, name: str) -> tuple[int, int]:
    """Width and height by the first `HEADER` bytes; `DataError` if it is no PNG of 8 bits, or too large."""
    if not head.startswith(MAGIC):
        kind = next((k for start, k in OTHERS.items() if head.startswith(start)), "")
        what = f"a {kind} picture" if kind else "not a PNG picture"
        lossy = ", whose compression changes pixels" if kind in ("JPEG", "WebP") else ""
        raise DataError(f"{name} is {what}{lossy}: the PNG that was written is needed.")
    if len(head) < HEADER or head[12:16] != b"IHDR":
        raise DataError(f"{name} is cut off or damaged: it does not say how large it is.")
    width, height, depth, _ = struct.unpack(">IIBB", head[16:HEADER])
    if not 0 < width * height <= MAX_PIXELS:
        most = f"from 1 to {MAX_PIXELS:,} can be read"
        raise DataError(f"{name} says that it has {width:,} x {height:,} pixels: {most}.")
    if depth > 8:
        raise DataError(f"{name} has {depth} bits per channel: expected 8.")
    return width, height


def decode(data: bytes, name: str) -> np.ndarray:
    """The pixels (H, W, 1 or 3) uint8 of a PNG; `DataError` if it is damaged or transparent."""
    from PIL import Image

    size_of(data[:HEADER], name)
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as opened:
            picture: Image.Image = opened
            see_through = picture.mode in ("LA", "RGBA", "PA") or "transparency" in picture.info
            grey = picture.mode in ("1", "L", "LA")
            if see_through:
                picture = picture.convert("RGBA")
                if picture.getchannel("A").getextrema() != (255, 255):
                    raise DataError(f"{name} is transparent in places: expected whole pixels.")
            return np.atleast_3d(np.asarray(picture.convert("L" if grey else "RGB")))
    except (DataError, MemoryError):
        raise
    except Exception as error:  # whatever a decoder meets in bytes that anybody may have written
        raise DataError(f"{name} is a broken picture ({short(error).rstrip('.')}).") from None


# --- a sheet --------------------------------------------------------------------------------------


def cut_sheet(request: dict[str, Any], folder: Path, progress: Any) -> dict[str, Any]:
    """The images of a sheet, to `folder`; its grid and checksum."""
    data, name = Path(request["path"]).read_bytes(), request["name"]
    sheet = decode(data, name)
    grid = _grid.find(sheet, name, request["side"])
    isolated.write_arrays(folder, {"images": _grid.cut(sheet, grid)})
    return {"grid": asdict(grid), "sha256": hashlib.sha256(data).hexdigest()}


# --- a picture for each image ---------------------------------------------------------------------


def read_folder(request: dict[str, Any], folder: Path, progress: Any) -> dict[str, Any]:
    """The pictures in class folders, or in a zip of them, to `folder`; the classes' names and a checksum."""
    path, name, side = Path(request["path"]), request["name"], request["side"]
    digest, pictures, places = hashlib.sha256(), list[np.ndarray](), list[int]()
    names: dict[str, int] = {}
    members = _in_folder(path) if path.is_dir() else _in_zip(path, name)
    for label, own, data in members:
        if len(pictures) == MAX_IMAGES:
            raise DataError(f"{name} holds more than {MAX_IMAGES:,} pictures, the most a set has.")
        pictures.append(_as_small_as(decode(data, own), side, own))
        places.append(names.setdefault(label[:CLASS_NAME], len(names)))
        digest.update(f"{label}\n{len(data)}\n".encode() + data)
    if not pictures:
        raise DataError(f"{name} holds no folders of PNG pictures: expected one for each class.")
    images = np.empty((len(pictures), max(p.shape[2] for p in pictures), side, side), np.uint8)
    for i, picture in enumerate(pictures):
        images[i] = np.moveaxis(picture, 2, 0)
    isolated.write_arrays(folder, {"images": images, "places": np.array(places, np.int64)})
    return {"folders": list(names), "sha256": digest.hexdigest()}


def _as_small_as(picture: np.ndarray, side: int, name: str) -> np.ndarray:
    """A picture of that side, its pixels not repeated any more."""
    height, width = picture.shape[:2]
    times = max(1, height // side)
    small = picture[::times, ::times]
    whole = small.repeat(times, 0).repeat(times, 1)
    if small.shape[:2] != (side, side) or not np.array_equal(whole, picture):
        raise DataError(
            f"{name} has {width} x {height} pixels: expected {side} x {side}, those of the dataset's images, "
            "each once or repeated as a block."
        )
    return small.copy()


def picture_paths(folder: Path) -> list[Path]:
    """The pictures in the sub-folders of a folder, hidden ones left out: by folder, 2.png before 10.png."""
    classes = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    return [p for c in classes for p in sorted(c.iterdir(), key=_counted) if _is_picture(p)]


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def _counted(path: PurePosixPath | Path) -> tuple[int, str]:
    """Numbers in a name count as numbers if names are of the same kind."""
    return len(path.name), path.name


def _in_folder(folder: Path) -> Iterator[tuple[str, str, bytes]]:
    """(class folder, name for messages, content) of every picture."""
    for path in picture_paths(folder):
        with open(path, "rb") as file:
            size_of(file.read(HEADER), path.name)
        yield path.parent.name, f"{path.parent.name}/{path.name}", path.read_bytes()


def _in_zip(path: Path, name: str) -> Iterator[tuple[str, str, bytes]]:
    given = content(path, name)
    check_directory(given)
    with zipfile.ZipFile(given.file()) as archive:
        entries = archive.infolist()
        check_parts(entries, len(given.data), name)
        if sum(e.file_size for e in entries) > MAX_UPLOAD:
            raise DataError(f"{name} unpacks to more than {MAX_UPLOAD >> 20} MB.")
        inside = [(PurePosixPath(e.filename), e) for e in entries if not e.is_dir()]
        inside = [(p, e) for p, e in inside if p.suffix.lower() in SUFFIXES and len(p.parts) > 1]
        inside = [(p, e) for p, e in inside if not any(part[0] in "._" for part in p.parts)]
        for place, entry in sorted(inside, key=lambda pe: (str(pe[0].parent), _counted(pe[0]))):
            yield place.parent.name, str(place)[-CLASS_NAME:], archive.read(entry)
