"""What `transfer` found."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from analysis.results import Result
from analysis.shared.sources import FoundOfSources, KindOfSource, by_source


@dataclass(frozen=True)
class NetworkFacts:
    """A network; `plain` if it is a ConvNet that differs from the others in nothing but its width.

    `width` is None of architectures that have only one.
    """

    name: str
    family: str
    width: int | None
    plain: bool


@dataclass(frozen=True)
class TransferFound(FoundOfSources):
    """Test accuracy (sources, networks, nets).

    By run key `home` is the place among the networks of the one that a set was made with. `architectures` are
    the places of those that are compared across families. `soft` are the runs with soft labels. Ask for the
    rows of a source by `accuracies`.
    """

    sources: tuple[KindOfSource, ...]
    networks: tuple[NetworkFacts, ...]
    home: dict[str, int]
    architectures: list[int]
    accuracy: list[list[list[float]]]
    iterations: int
    nets: int
    soft: tuple[str, ...]

    @cached_property
    def accuracies(self) -> dict[str, np.ndarray]:
        """Accuracy (networks, nets) by the source's key."""
        return by_source(self.sources, self.accuracy)


TransferResult = Result[TransferFound]
