"""What `robustness` found."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from analysis.results import Result
from analysis.shared.sources import FoundOfSources, KindOfSource, by_source


@dataclass(frozen=True)
class RobustnessFound(FoundOfSources):
    """Test accuracy along training, unharmed and under attack, and in the end by bound and attack.

    `accuracy` and `robust`, with projected gradient descent at the bound `followed`, are (sources, looks,
    nets), `looks` are iterations; `fgsm` and `pgd` of trained networks are (sources, bounds, nets). Bounds
    are those of pixels on the 0..1 scale. `images` are the test images that were attacked.
    """

    sources: tuple[KindOfSource, ...]
    looks: tuple[int, ...]
    accuracy: list[list[list[float]]]
    robust: list[list[list[float]]]
    bounds: tuple[float, ...]
    followed: float
    fgsm: list[list[list[float]]]
    pgd: list[list[list[float]]]
    network: str
    iterations: int
    steps: int
    images: int
    nets: int

    @cached_property
    def accuracies(self) -> dict[str, np.ndarray]:
        """Accuracy without an attack (looks, nets) by the source's key."""
        return by_source(self.sources, self.accuracy)

    @cached_property
    def robusts(self) -> dict[str, np.ndarray]:
        """Accuracy under attack (looks, nets) by the source's key."""
        return by_source(self.sources, self.robust)

    def by_bound(self, attack: str) -> dict[str, np.ndarray]:
        """Accuracy of trained networks (bounds, nets) under "fgsm" or "pgd" by the source's key."""
        return by_source(self.sources, {"fgsm": self.fgsm, "pgd": self.pgd}[attack])


RobustnessResult = Result[RobustnessFound]
