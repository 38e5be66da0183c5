"""Specs of data: what is decoded (`DatasetTask`), how it is used (`DataSpec`), its whitening."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ddcore.base.errors import SpecError
from ddcore.base.specs import Spec, TaskSpec
from ddcore.data.registry import OWN, datasets, get

SOURCES = ("bundled", "torchvision", "parquet", "folder")
PREPROCESS = ("normalise", "zca")
FINGERPRINT = re.compile(r"[0-9a-f]{64}")
RESOLUTION = (4, 512)


@dataclass(frozen=True, kw_only=True)
class DataSpec(Spec):
    """A dataset as a run uses it. `ddcore.data.resolve` makes one from a name or a path."""

    name: str = "digits"  # a registered name, or "folder" / "parquet" for the user's own files
    source: str = "bundled"
    path: str = ""  # the user's own files only
    fingerprint: str = ""  # of the files: a changed folder is another dataset
    resolution: int | None = None  # pixels: resized to a square of this side
    grey: bool = False
    val_fraction: float = 0.1  # of the training pictures, per class
    split_seed: int = 0
    preprocess: str = "normalise"
    zca_eps: float = 0.1  # added to the variances (pixels on the [0, 1] scale)

    def validate(self) -> None:
        """Check every field and that name, source and path belong together."""
        _validate_files(self)
        self.require_range("val_fraction", 0.01, 0.5)
        self.require_range("split_seed", 0, 2**31)
        self.require_choice("preprocess", PREPROCESS)
        self.require_range("zca_eps", 1e-5, 10)

    def title(self) -> str:
        """What people call it."""
        return _title(self.name, self.path)


@dataclass(frozen=True, kw_only=True)
class DatasetTask(TaskSpec):
    """Decoding a dataset once. Only fields that change pixels: splits and scaling come on reading."""

    KIND: ClassVar[str] = "dataset"
    RUNNER: ClassVar[str] = "ddcore.data.decode:run"
    SLOT: ClassVar[str] = "light"

    name: str = "digits"
    source: str = "bundled"
    path: str = ""
    fingerprint: str = ""
    resolution: int | None = None
    grey: bool = False

    def validate(self) -> None:
        """As `DataSpec`."""
        _validate_files(self)

    def title(self) -> str:
        """One line for lists."""
        return f"decode {_title(self.name, self.path)}"


@dataclass(frozen=True, kw_only=True)
class ZcaTask(TaskSpec):
    """The whitening matrix of a dataset's training part."""

    KIND: ClassVar[str] = "zca"
    RUNNER: ClassVar[str] = "ddcore.data.zca:run"

    dataset: DatasetTask
    val_fraction: float = 0.1
    split_seed: int = 0
    eps: float = 0.1

    def validate(self) -> None:
        """The same ranges as `DataSpec`."""
        self.require_range("val_fraction", 0.01, 0.5)
        self.require_range("split_seed", 0, 2**31)
        self.require_range("eps", 1e-5, 10)

    def title(self) -> str:
        """One line for lists."""
        return f"whiten {_title(self.dataset.name, self.dataset.path)}"


@dataclass(frozen=True, kw_only=True)
class DownloadTask(TaskSpec):
    """Fetching a dataset's files on request; each request is its own task (see `download_task`)."""

    KIND: ClassVar[str] = "download"
    RUNNER: ClassVar[str] = "ddcore.data.download:run"
    SLOT: ClassVar[str] = "light"

    name: str
    requested: int = 0  # seconds since 1970: files may have been removed since the last request

    def validate(self) -> None:
        """Only sets that are not bundled can be downloaded."""
        names = [name for name, source in datasets().items() if not source.bundled]
        self.require_choice("name", names)

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
    return (1 if data.grey else channels, side or height, side or width), len(source.classes)


def _validate_files(spec: DataSpec | DatasetTask) -> None:
    known = datasets()
    spec.require("name", spec.name in known or spec.name in OWN, "one of " + ", ".join(known))
    spec.require_choice("source", SOURCES)
    if spec.name in OWN:
        spec.require("source", spec.source == spec.name, f"{spec.name} (the set's name)")
        spec.require("path", Path(spec.path).is_absolute(), f"the full path of a {spec.name} set")
    else:
        kinds = known[spec.name].kinds
        if spec.source not in kinds:
            allowed = f"{' or '.join(kinds)} for {spec.name}"
            raise SpecError("source", spec.source, allowed)
        spec.require("path", spec.path == "", "no path, since the set is a registered one")
    given = FINGERPRINT.fullmatch(spec.fingerprint) or (spec.name in known and not spec.fingerprint)
    spec.require("fingerprint", bool(given), "64 hex digits, as ddcore.data.resolve fills in")
    if spec.resolution is not None:
        spec.require_range("resolution", *RESOLUTION)


def _title(name: str, path: str) -> str:
    return get(name).title if name not in OWN else Path(path).name or path
