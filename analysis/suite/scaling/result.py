"""What `scaling` found."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from analysis.results import Result
from analysis.shared.sources import FoundOfSources, SourceFacts, by_source


@dataclass(frozen=True)
class ScaledSource(SourceFacts):
    """What grew: `how` is one of `spec.HOW`, `sizes` are images per class, the largest `ipc`."""

    how: str
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class ScalingFound(FoundOfSources):
    """Test accuracy (sources, set-ups, sizes, nets), of which the first set-up is the usual one.

    `whole` is the accuracy of each network trained on all data.
    """

    sources: tuple[ScaledSource, ...]
    set_ups: tuple[str, ...]
    accuracy: list[list[list[list[float]]]]
    whole: list[float]
    network: str
    iterations: int
    nets: int

    @cached_property
    def accuracies(self) -> dict[str, np.ndarray]:
        """Accuracy (set-ups, sizes, nets) by the source's key."""
        return by_source(self.sources, self.accuracy)


ScalingResult = Result[ScalingFound]
