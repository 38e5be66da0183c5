"""What an importer is: how a layout is recognised and read, and what its authors did to the numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import Shape, small
from ddcore.sets.distilled import DistilledSet

MAX_UPLOAD = 200 << 20  # bytes of all files together
MAX_IMAGES = 50_000
SIDES = (2, 512)
CHANNELS = (1, 3)


@dataclass(frozen=True, eq=False)
class Stored:
    """A file after reading: its name as given, and what is in it.

    `content` is a `DistilledSet` for a file of this program, else plain lists, dicts, numbers, texts
    and numpy arrays nested as in the file.
    """

    name: str
    sha256: str
    content: Any


@dataclass(frozen=True, eq=False)
class ReadSet:
    """A set as its files hold it, before its numbers are understood.

    Images are in the file's order, step after step where there are several `steps`. `made` is
    everything else that a file of this program knows.
    """

    images: np.ndarray  # (M, C, H, W), integers or floats, on whatever scale
    labels: np.ndarray  # (M,) int64, or (M, K) float32
    steps: int = 1
    lrs: np.ndarray | None = None  # (steps * passes,) learned step sizes
    experiments: int = 1  # how many sets the files hold; one of them is here
    made: DistilledSet | None = None
    notes: tuple[str, ...] = ()  # sentences for the user


def convnet(shape: Shape) -> NetSpec:
    """The ConvNet that published sets are made with, narrow and shallow for images of a few pixels."""
    return NetSpec(width=16, depth=2) if small(shape) else NetSpec(width=128, depth=3)


@dataclass(frozen=True)
class Importer:
    """A layout that published code writes.

    `fits(files)` says whether files are laid out so; `read(files, experiment)` gives the set in
    them (`DataError` if it is not whole). `files` and `about` are sentences for the page. `scale` is
    a key of `scales.SCALES` that the code always writes, "" if only the values can tell.
    `constants` are means and standard deviations, by dataset, where they differ from the usual
    ones. `method(names)`, `protocol(data, names, shape)` and `net(shape)` name, from the dataset and
    the files' names, what made the set and how it is meant to be used. `rank`: asked in this order.
    """

    name: str
    title: str
    files: str
    about: str
    fits: Callable[[Sequence[Stored]], bool]
    read: Callable[[Sequence[Stored], int], ReadSet]
    protocol: Callable[[str, Sequence[str], Shape], str]
    method: Callable[[Sequence[str]], str] = lambda names: ""
    net: Callable[[Shape], NetSpec] = convnet
    scale: str = ""
    constants: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = field(
        default_factory=dict
    )
    labels: str = ""  # a key of `facts.LABELS` for how soft ones are meant, "" if the values tell
    tiled: bool = False  # whether a stored image may hold several, side by side
    rank: int = 0
