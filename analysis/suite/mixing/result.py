"""What `mixing` found."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from analysis.results import Result
from analysis.shared.sources import FoundOfSources, SourceFacts, by_source


@dataclass(frozen=True)
class MixingFound(FoundOfSources):
    """Test accuracy (sources, amounts, nets) and sizes (sources, amounts) of the mixtures.

    The amounts are `added` real images per class; `steps` and `weighting` are those of the spec. `soft` are
    the runs with soft labels. Ask for the rows of a source by `curves` and `images`.
    """

    sources: tuple[SourceFacts, ...]
    accuracy: list[list[list[float]]]
    sizes: list[list[int]]
    added: list[int]
    network: str
    iterations: int
    steps: str
    weighting: str
    soft: tuple[str, ...]

    @cached_property
    def curves(self) -> dict[str, np.ndarray]:
        """Accuracy (amounts, nets) by the source's key."""
        return by_source(self.sources, self.accuracy)

    @cached_property
    def images(self) -> dict[str, np.ndarray]:
        """How many images each mixture has (amounts,), by the source's key."""
        return by_source(self.sources, self.sizes)

    @property
    def nets(self) -> int:
        """Networks for each mixture."""
        return len(self.accuracy[0][0])


MixingResult = Result[MixingFound]
