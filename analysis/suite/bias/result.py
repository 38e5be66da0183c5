"""What `bias` found."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from analysis.results import Result
from analysis.shared.sources import FoundOfSources, KindOfSource, by_source


@dataclass(frozen=True)
class BiasFound(FoundOfSources):
    """Test accuracy along training where the cue points at an image's class, and where it does not.

    `agreeing` and `contradicting` are (sources, looks, nets), `looks` are iterations. `cue` names what
    points, `correlation` how often it does so rightly in training; `agree` and `contradict` are numbers of
    test images.
    """

    sources: tuple[KindOfSource, ...]
    looks: tuple[int, ...]
    agreeing: list[list[list[float]]]
    contradicting: list[list[list[float]]]
    cue: str
    correlation: float
    network: str
    iterations: int
    agree: int
    contradict: int
    nets: int

    @cached_property
    def agreeings(self) -> dict[str, np.ndarray]:
        """Accuracy where the cue points at the class (looks, nets) by the source's key."""
        return by_source(self.sources, self.agreeing)

    @cached_property
    def contradictings(self) -> dict[str, np.ndarray]:
        """Accuracy where the cue points elsewhere (looks, nets) by the source's key."""
        return by_source(self.sources, self.contradicting)


BiasResult = Result[BiasFound]
