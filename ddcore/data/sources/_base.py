"""What every dataset is made of: `Source` describes one, `RawData` holds its decoded pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ddcore.errors import DataError

MAX_CLASSES = 1000
MAX_BYTES = 4 << 30  # a set is decoded into memory; more than this is meant to be resized first
MIN_PER_CLASS = 2  # one picture to train on, one for the validation part

Progress = Callable[[int, int], None]


def no_progress(step: int, total: int) -> None:
    """A progress callback that does nothing."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """Pictures of files of unknown origin, still in one array: `held` marks the test part `(N,)`."""

    images: np.ndarray  # uint8 (N, C, H, W)
    labels: np.ndarray  # int64 (N,)
    held: np.ndarray
    class_names: tuple[str, ...]
    jpeg: bool

    def split(self) -> RawData:
        """The two parts, copied."""
        train, test = ~self.held, self.held
        parts = (self.images[train], self.labels[train], self.images[test], self.labels[test])
        return RawData(*parts, self.class_names, self.jpeg)


@dataclass(frozen=True, eq=False)
class RawData:
    """Decoded pictures: images uint8 `(N, C, H, W)`, labels int64 `(N,)`, names of the classes."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...]
    jpeg: bool = False  # whether any picture was stored lossily as JPEG

    def checked(self, where: str) -> RawData:
        """This data, or `DataError` if it cannot be trained on; `where` names it in the message."""
        count = len(self.class_names)
        if not 2 <= count <= MAX_CLASSES:
            raise DataError(f"{where} has {count} classes: expected 2 to {MAX_CLASSES}.")
        for part, images, labels in self._parts():
            if len(images) == 0:
                raise DataError(f"{where} has no {part} pictures: at least 1 is needed.")
            if len(images) != len(labels):
                raise DataError(
                    f"{where} has {len(images)} {part} pictures but {len(labels)} labels: "
                    "each picture needs one."
                )
            if images.dtype != np.uint8 or images.shape[2] != images.shape[3]:
                raise DataError(
                    f"{where} has {part} pictures of type {images.dtype} and shape "
                    f"{images.shape[1:]}: expected square uint8 pictures (C, H, W)."
                )
            low, high = int(labels.min()), int(labels.max())
            if low < 0 or high >= count:
                raise DataError(
                    f"{where} has the {part} label {low if low < 0 else high}: expected 0 to "
                    f"{count - 1} ({count} classes)."
                )
        counts = np.bincount(self.train_labels, minlength=count)
        worst = int(counts.argmin())
        if counts[worst] < MIN_PER_CLASS:
            raise DataError(
                f"{where}: class {self.class_names[worst]!r} has {counts[worst]} training "
                f"pictures, at least {MIN_PER_CLASS} are needed (one to train on, one to validate)."
            )
        return self

    def _parts(self) -> tuple[tuple[str, np.ndarray, np.ndarray], ...]:
        return (
            ("training", self.train_images, self.train_labels),
            ("test", self.test_images, self.test_labels),
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Source:
    """A named dataset: facts that pages show, and where its files are looked for.

    `layout` lists the files (relative to the data root) that torchvision leaves there and `read`
    turns them into `RawData`; `torchvision` is the class that downloads them. A set with no layout
    is bundled with a dependency. Every set that is not bundled may also lie in the data root as a
    folder `<name>/` of parquet files.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]  # C, H, W
    train_size: int
    test_size: int
    flips: bool  # whether a horizontal mirror image is still a plausible member of its class
    about: str
    read: Callable[[Path], RawData]
    layout: tuple[str, ...] = ()
    torchvision: str = ""
    mean: tuple[float, ...] | None = None  # published constants on the [0, 1] scale, if any
    std: tuple[float, ...] | None = None

    @property
    def bundled(self) -> bool:
        """Whether the set needs no files in the data root."""
        return not self.layout

    @property
    def kinds(self) -> tuple[str, ...]:
        """The values `DataSpec.source` may have for this set."""
        return ("bundled",) if self.bundled else ("torchvision", "parquet")

    def available(self, root: Path) -> str | None:
        """How the set can be read from `root`; torchvision's files win since they are originals."""
        if self.bundled:
            return "bundled"
        if all((root / name).is_file() for name in self.layout):
            return "torchvision"
        return "parquet" if any((root / self.name).glob("*.parquet")) else None

    def load(
        self, root: Path, kind: str | None = None, progress: Progress = no_progress
    ) -> RawData:
        """Read the set from `root` at its own size. Never downloads; `DataError` says what is wrong."""
        kind = kind or self.available(root)
        if kind == "parquet" and (root / self.name).is_dir():
            from ddcore.data.sources import _apart

            raw = _apart.read("parquet", root / self.name, names=self.classes, progress=progress)
        elif kind == "bundled" or (kind == "torchvision" and self.available(root) == kind):
            raw = self.read(root)
        else:
            raise DataError(
                f"{self.title} ({self.name}) is not in {root}: download it first (python -m ddcore "
                f"download {self.name}), or let DD_DATA name a folder that holds it in torchvision's "
                "layout or as parquet files."
            )
        return raw.checked(self.title)

    def download(self, root: Path, progress: Progress = no_progress) -> None:
        """Fetch the set's files into `root` (only on an explicit command). `progress` gets MB."""
        from ddcore.data import download

        download.fetch(self, root, progress)

    def describe(self) -> dict[str, Any]:
        """The facts as plain values, for tables and JSON."""
        names = ("name", "title", "classes", "shape", "train_size", "test_size", "flips", "about")
        return {name: getattr(self, name) for name in names}
