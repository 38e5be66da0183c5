"""What `sensitivity` found."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from analysis.results import Result
from analysis.shared.sources import FoundOfSources, SourceFacts, by_source


@dataclass(frozen=True)
class LevelFacts:
    """A change by name, of one of `FACTORS`; "" where nothing is changed."""

    factor: str
    name: str


@dataclass(frozen=True)
class SensitivityFound(FoundOfSources):
    """Test accuracy (sources, levels, nets), of which the first level is without any change.

    `soft` are the runs with soft labels. Ask for the rows of a source by `accuracies`.
    """

    sources: tuple[SourceFacts, ...]
    levels: tuple[LevelFacts, ...]
    accuracy: list[list[list[float]]]
    network: str
    iterations: int
    nets: int
    soft: tuple[str, ...]

    @cached_property
    def accuracies(self) -> dict[str, np.ndarray]:
        """Accuracy (levels, nets) by the source's key."""
        return by_source(self.sources, self.accuracy)


SensitivityResult = Result[SensitivityFound]
