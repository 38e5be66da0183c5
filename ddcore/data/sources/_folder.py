"""The user's own pictures: `folder/<class>/*.png`, or `folder/train/<class>` and `folder/test/<class>`."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ddcore.base.errors import DataError
from ddcore.base.isolated import Progress
from ddcore.data.images import SUFFIXES, PictureForm, Room, stack
from ddcore.data.sources._own import check_labels, split
from ddcore.data.sources._raw import Decoded, no_progress

TEST_NAMES = ("test", "val", "valid", "validation")  # the first that exists is the test part


def read(
    folder: Path,
    form: PictureForm = PictureForm(),  # noqa: B008
    progress: Progress = no_progress,
    room: Room = np.empty,
) -> Decoded:
    """Decode a folder of class folders. Without a test folder a fixed stratified fifth is held out."""
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder: expected one that holds a folder per class.")
    train, test = parts(folder)
    names = tuple(class_names(train))
    if not names:
        raise DataError(
            f"{train} has no class folders: expected {train.name}/<class>/*.png (or .jpg, ...)."
        )
    files = [(path, names.index(name)) for name in names for path in picture_files(train / name)]
    if not files:
        raise DataError(f"{train} has no pictures: expected files ending in {', '.join(SUFFIXES)}.")
    held = None
    if test:
        unknown = [name for name in class_names(test) if name not in names]
        if unknown:
            raise DataError(
                f"{test} has the class {unknown[0]!r} that {train} lacks: expected the same classes."
            )
        count = len(files)
        tested = [p for name in names for p in picture_files(test / name)]
        files += [(path, names.index(path.relative_to(test).parts[0])) for path in tested]
        held = np.arange(len(files)) >= count
    labels = np.array([label for _, label in files], dtype=np.int64)
    held = split(labels, names, held, str(folder))
    check_labels(labels, names, held, str(folder))
    named = ((str(path), path) for path, _ in files)
    images, jpeg = stack(named, len(files), form, progress, room)
    return Decoded(images, labels, held, names, jpeg)


def parts(folder: Path) -> tuple[Path, Path | None]:
    """The folders of the training and the test part; no test part is None."""
    if not any(class_names(folder / "train")):
        return folder, None  # "train" may as well be the name of a class
    return folder / "train", next((folder / n for n in TEST_NAMES if (folder / n).is_dir()), None)


def class_names(folder: Path) -> list[str]:
    """Names of the class folders: by number if all are numbers, else by alphabet."""
    if not folder.is_dir():
        return []
    names = [p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")]
    numbers = all(name.isdecimal() for name in names)
    return sorted(names, key=lambda n: (int(n), n) if numbers else (0, n))


def picture_files(folder: Path) -> list[Path]:
    """All pictures below a folder, sorted; hidden files and other types are left out."""
    found = []
    for base, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(base, name)
            for name in names
            if name.lower().endswith(SUFFIXES) and not name.startswith(".")
        ]
    return sorted(found)
