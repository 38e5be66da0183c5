"""Specs of data: what is decoded (`DatasetTask`), how it is used (`DataSpec`), its whitening."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ddcore.base.fields import REQUIRED, choice, flag, number, numbers, part, text
from ddcore.base.specs import Spec, TaskSpec
from ddcore.data.registry import OWN, datasets, get

SOURCES = ("bundled", "torchvision", "parquet", "folder")
PREPROCESS = {
    "normalise": "mean 0 and deviation 1 per channel",
    "zca": "whitening of all pixels",
    "scale": "from -1 to 1 whatever the data, so that no statistics of theirs are in it",
    "imagenet": "as torchvision's networks saw ImageNet, whatever the data: for teachers from a file",
}
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and deviation, as torchvision says
FINGERPRINT = re.compile(r"[0-9a-f]{64}")
RESOLUTION = (4, 512)


def _val_fraction() -> Any:
    return number(
        0.1, 0.01, 0.5, "Share of the training pictures of each class kept for validation."
    )


def _split_seed() -> Any:
    return number(0, 0, 2**31, "Which pictures are kept for validation is drawn from it.")


def _zca_eps() -> Any:
    return number(0.1, 1e-5, 10, "Added to the variances when whitening, with pixels from 0 to 1.")


@dataclass(frozen=True, kw_only=True)
class Files(Spec):
    """Which pictures, and in which form: what decoding needs to know."""

    name: str = choice(
        "digits", datasets, "A registered name; folder or parquet for files of your own.", also=OWN
    )
    source: str = choice("bundled", SOURCES, "In which form the files are.")
    path: str = text("", "Where files of your own are.")
    fingerprint: str = text("", "Of these files: a changed folder is another dataset.")
    resolution: int | None = number(
        None, *RESOLUTION, "Resize to a square of this side; empty: as they are.", unit="pixels"
    )
    grey: bool = flag(False, "Convert to grey.")

    def validate(self) -> None:
        """Check that name, source and path belong together."""
        if self.name in OWN:
            self.require("source", self.source == self.name, f"{self.name} (the set's name)")
            full = Path(self.path).is_absolute()
            self.require("path", full, f"the full path of a {self.name} set")
        else:
            kinds = get(self.name).kinds
            self.require("source", self.source in kinds, f"{' or '.join(kinds)} for {self.name}")
            self.require("path", self.path == "", "no path, since the set is a registered one")
        registered = self.name not in OWN and not self.fingerprint
        known = registered or bool(FINGERPRINT.fullmatch(self.fingerprint))
        self.require("fingerprint", known, "64 hex digits, as ddcore.data.resolve fills in")


@dataclass(frozen=True, kw_only=True)
class DataSpec(Files):
    """A dataset as a run uses it. `ddcore.data.resolve` makes one from a name or a path.

    With `classes` nothing of the other classes is in it: neither images of any part nor statistics. Which
    images are held out is drawn once for the whole dataset, so that parts of it agree.
    """

    val_fraction: float = _val_fraction()
    split_seed: int = _split_seed()
    preprocess: str = choice("normalise", PREPROCESS, "How pixels become what networks see.")
    zca_eps: float = _zca_eps()
    classes: tuple[int, ...] = numbers(
        (),
        0,
        9999,
        "numbers of different classes of the dataset, from 0 on",
        "Only these classes, by their numbers; empty: all of them.",
        later=True,
    )

    def __post_init__(self) -> None:
        if isinstance(self.classes, (list, tuple)) and all(
            isinstance(c, int) for c in self.classes
        ):
            object.__setattr__(self, "classes", tuple(sorted(self.classes)))
        super().__post_init__()

    def validate(self) -> None:
        """Check that the classes are there, each once, and that nothing is whitened with others."""
        super().validate()
        known = len(self.classes) == len(set(self.classes))
        if self.name not in OWN:
            known = known and max(self.classes, default=0) < len(get(self.name).classes)
        self.require("classes", known)
        if self.classes:
            one = (
                "normalise, scale or imagenet with some classes only: the whitening is that of all"
            )
            self.require("preprocess", self.preprocess != "zca", one)

    def title(self) -> str:
        """What people call it."""
        return _title(self.name, self.path) + self.part_title()

    def part_title(self) -> str:
        """ ", classes 3 and 7" where only these are meant."""
        names = [str(c) for c in self.classes]
        if not names:
            return ""
        if len(names) == 1:
            return f", class {names[0]}"
        return f", classes {', '.join(names[:-1])} and {names[-1]}"


@dataclass(frozen=True, kw_only=True)
class DatasetTask(Files, TaskSpec):
    """Decoding a dataset once. Only fields that change pixels: splits and scaling come on reading."""

    KIND: ClassVar[str] = "dataset"
    RUNNER: ClassVar[str] = "ddcore.data.decode:run"
    SLOT: ClassVar[str] = "light"

    def title(self) -> str:
        """One line for lists."""
        return f"decode {_title(self.name, self.path)}"


@dataclass(frozen=True, kw_only=True)
class ZcaTask(TaskSpec):
    """The whitening matrix of a dataset's training part."""

    KIND: ClassVar[str] = "zca"
    RUNNER: ClassVar[str] = "ddcore.data.zca:run"

    dataset: DatasetTask = part(REQUIRED, "What is whitened.")
    val_fraction: float = _val_fraction()
    split_seed: int = _split_seed()
    eps: float = _zca_eps()

    def title(self) -> str:
        """One line for lists."""
        return f"whiten {_title(self.dataset.name, self.dataset.path)}"


@dataclass(frozen=True, kw_only=True)
class DownloadTask(TaskSpec):
    """Fetching a dataset's files on request; each request is its own task (see `download_task`)."""

    KIND: ClassVar[str] = "download"
    RUNNER: ClassVar[str] = "ddcore.data.download:run"
    SLOT: ClassVar[str] = "light"

    name: str = choice(
        REQUIRED,
        lambda: [name for name, source in datasets().items() if source.torchvision],
        "What is downloaded.",
    )
    # Files may have been removed since the last request.
    requested: int = number(0, 0, 2**40, "When that was asked for.", unit="seconds since 1970")

    def title(self) -> str:
        """One line for lists."""
        return f"download {_title(self.name, '')}"


def dataset_task(data: DataSpec) -> DatasetTask:
    """The decoding that `data` needs."""
    data = canonical(data)
    names = ("name", "source", "path", "fingerprint", "resolution", "grey")
    return DatasetTask(**{name: getattr(data, name) for name in names})


def zca_task(data: DataSpec) -> ZcaTask:
    """The whitening that `data` needs if its `preprocess` is "zca"."""
    return ZcaTask(
        dataset=dataset_task(data),
        val_fraction=data.val_fraction,
        split_seed=data.split_seed,
        eps=data.zca_eps,
    )


def download_task(name: str) -> DownloadTask:
    """A request, made now, to download a registered dataset."""
    return DownloadTask(name=name, requested=int(time.time()))


def canonical(data: DataSpec) -> DataSpec:
    """`data` without settings that change nothing (a registered set's own size, grey of grey)."""
    if data.name in OWN:
        return data
    channels, height, _ = get(data.name).shape
    return data.replace(
        resolution=None if data.resolution == height else data.resolution,
        grey=data.grey and channels > 1,
    )


def form(data: DataSpec) -> tuple[tuple[int, int, int], int]:
    """Shape of a registered dataset's images as they are used, and its number of classes."""
    source = get(data.name)
    channels, height, width = source.shape
    side = data.resolution
    classes = len(data.classes) or len(source.classes)
    return (1 if data.grey else channels, side or height, side or width), classes


def _title(name: str, path: str) -> str:
    return get(name).title if name not in OWN else Path(path).name or path
