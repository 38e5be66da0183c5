"""Results of networks trained on several sources: the sets, and real images in place of a set."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from analysis.results import Found

# Kinds of what is trained on: a set, real images in its place, more of them, all there are.
SET, RANDOM, MEAN, MORE, REAL = "set", "random", "class_mean", "more", "real"
TITLES = {RANDOM: "Random real images", MEAN: "Class means", MORE: "More real images"}


def key_of(kind: str, ipc: int) -> str:
    """The key of real images of a kind, so many per class; its first word is the kind."""
    return f"{kind}.{ipc}"


@dataclass(frozen=True)
class SourceFacts:
    """What was trained on; `method` is "" for real images, whose `key` is none of a run."""

    key: str
    method: str
    label: str
    ipc: int


@dataclass(frozen=True)
class KindOfSource(SourceFacts):
    """What was trained on, and which of the kinds above it is."""

    kind: str

    def plain(self) -> SourceFacts:
        """Without the kind, as files of some analyses have it."""
        return SourceFacts(self.key, self.method, self.label, self.ipc)


@dataclass(frozen=True)
class FoundOfSources(Found):
    """A result with a row of accuracies for each source: subclasses have `accuracy` (sources, ..., nets).

    The file has the rows in the order of the sources; everything else asks for them by a source's key.
    """

    sources: tuple[Any, ...]

    def seen(self, how: Callable[[str], str]) -> Self:
        """With every source's label passed through `how`."""
        named = tuple(dataclasses.replace(s, label=how(s.label)) for s in self.sources)
        return dataclasses.replace(self, sources=named)


def by_source(sources: Sequence[Any], rows: Sequence[Any]) -> dict[str, np.ndarray]:
    """Rows in the order of the sources as arrays by the source's key."""
    return {source.key: np.array(row) for source, row in zip(sources, rows, strict=True)}
