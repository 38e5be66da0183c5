"""What `barriers` found."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from analysis.results import Result
from analysis.shared.sources import FoundOfSources, SourceFacts


@dataclass(frozen=True)
class Barriers:
    """Paths between pairs of networks (nets,): barriers of loss and error, instability of error.

    `key` is a source's, `kind` what the pairs differ in, `way` whether units were matched first.
    """

    key: str
    kind: str
    way: str
    loss: list[float]
    error: list[float]
    instability: list[float]


@dataclass(frozen=True)
class BarriersFound(FoundOfSources):
    """Barriers along straight paths, looked at in `points` places; all real images are a source, too.

    Values along the paths (points, nets) are the arrays "loss.KEY.KIND.WAY" and "error.KEY.KIND.WAY".
    `accuracy` (sources, nets) is that of the first networks of the pairs. `matched` says whether units could
    be matched in this network. Sets are cut into `parts` batches.
    """

    sources: tuple[SourceFacts, ...]
    paths: tuple[Barriers, ...]
    accuracy: list[list[float]]
    matched: bool
    points: int
    parts: int
    network: str
    iterations: int
    epochs: int
    nets: int
    soft: tuple[str, ...]

    @cached_property
    def barriers(self) -> dict[tuple[str, str, str], Barriers]:
        """Paths by source, kind and way."""
        return {(path.key, path.kind, path.way): path for path in self.paths}

    def of(self, key: str, kind: str, way: str, measure: str) -> np.ndarray:
        """The barriers (nets,) of one kind of pairs in loss or error."""
        return np.array(getattr(self.barriers[key, kind, way], measure))


BarriersResult = Result[BarriersFound]
