"""What every dataset is made of: `Source` describes one, `RawData` holds its decoded pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ddcore.base.errors import DataError
from ddcore.base.isolated import Progress
from ddcore.data.sources._raw import RawData, no_progress


@dataclass(frozen=True, eq=False)
class Cue:
    """What points at a class in pictures without being what the class is about, such as a colour.

    `correlation` is the probability that it points at a training picture's own class; in the test part it
    tells nothing. `of` gives the classes (N,) that it points at in uint8 pictures (N, C, H, W).
    """

    name: str
    correlation: float
    of: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False, kw_only=True)
class Source:
    """A named dataset: facts that pages show, and where its files are looked for.

    `layout` lists the files (relative to the data root) that torchvision leaves there and `read`
    turns them into `RawData`; `torchvision` is the class that downloads them. A set with no layout
    is bundled with a dependency, or has `folders`: a folder per class in `<name>/train` and `<name>/val`,
    whose pictures become squares of `shape`. Other sets that are not bundled may also lie in the data root
    as a folder `<name>/` of parquet files.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]  # C, H, W
    train_size: int
    test_size: int
    flips: bool  # whether a horizontal mirror image is still a plausible member of its class
    about: str
    read: Callable[[Path], RawData] | None = None
    layout: tuple[str, ...] = ()
    folders: bool = False
    torchvision: str = ""
    mean: tuple[float, ...] | None = None  # published constants on the [0, 1] scale, if any
    std: tuple[float, ...] | None = None
    cue: Cue | None = None

    @property
    def bundled(self) -> bool:
        """Whether the set needs no files in the data root."""
        return not self.layout and not self.folders

    @property
    def stands_for_files(self) -> bool:
        """Whether files of unknown origin may be of this set: one with a cue is itself or nothing."""
        return self.cue is None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The values `DataSpec.source` may have for this set."""
        if self.folders:
            return ("folder",)
        return ("bundled",) if self.bundled else ("torchvision", "parquet")

    def available(self, root: Path) -> str | None:
        """How the set can be read from `root`; torchvision's files win since they are originals."""
        if self.bundled:
            return "bundled"
        if self.folders:
            return "folder" if (root / self.name / "train").is_dir() else None
        if all((root / name).is_file() for name in self.layout):
            return "torchvision"
        return "parquet" if any((root / self.name).glob("*.parquet")) else None

    def load(
        self, root: Path, kind: str | None = None, progress: Progress = no_progress
    ) -> RawData:
        """Read the set from `root` at its own size. Never downloads; `DataError` says what is wrong."""
        kind = kind or self.available(root)
        if self.folders:
            return self._from_folders(root, progress)
        if kind == "parquet" and (root / self.name).is_dir():
            from ddcore.data.sources import _apart

            raw = _apart.read("parquet", root / self.name, names=self.classes, progress=progress)
        elif self.read and (kind == "bundled" or self._has_files(root, kind)):
            raw = self.read(root)
        else:
            raise DataError(
                f"{self.title} ({self.name}) is not in {root}: download it first (python -m ddcore "
                f"download {self.name}), or let DD_DATA name a folder that holds it in torchvision's "
                "layout or as parquet files."
            )
        return raw.checked(self.title)

    def _has_files(self, root: Path, kind: str | None) -> bool:
        return kind == "torchvision" and self.available(root) == kind

    def _from_folders(self, root: Path, progress: Progress) -> RawData:
        """Pictures of class folders, resized; `DataError` where there are none, or other classes."""
        if not self.available(root):
            raise DataError(
                f"{self.title} ({self.name}) is not in {root}: put a folder of pictures for each class into "
                f"{root / self.name}/train and {root / self.name}/val, which no command downloads."
            )
        from ddcore.data.images import PictureForm
        from ddcore.data.sources import _apart

        form = PictureForm(grey=self.shape[0] == 1, resolution=self.shape[1])
        raw = _apart.read("folder", root / self.name, form, progress=progress)
        if len(raw.class_names) != len(self.classes):
            raise DataError(
                f"{root / self.name} holds {len(raw.class_names)} classes: expected the {len(self.classes)} "
                f"of {self.title}."
            )
        return raw.checked(self.title)

    def describe(self) -> dict[str, Any]:
        """The facts as plain values, for tables and JSON."""
        names = ("name", "title", "classes", "shape", "train_size", "test_size", "flips", "about")
        return {name: getattr(self, name) for name in names}
