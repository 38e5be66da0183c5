"""Results of networks trained on several sources: the sets, and real images in place of a set."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from analysis.results import Found

SET, RANDOM, MEAN, MORE = "set", "random", "class_mean", "more"  # kinds of what is trained on


@dataclass(frozen=True)
class SourceFacts:
    """What was trained on; `method` is "" for real images, whose `key` is none of a run."""

    key: str
    method: str
    label: str
    ipc: int


@dataclass(frozen=True)
class KindOfSource:
    """What was trained on: `kind` is one of the above; only sets have a method and the key of a run."""

    kind: str
    key: str
    method: str
    label: str
    ipc: int


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
