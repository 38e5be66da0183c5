"""What `spectra` found."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from analysis.results import Result
from analysis.shared.sources import FoundOfSources, SourceFacts, by_source


@dataclass(frozen=True)
class Dimensions:
    """Dimensions of a source's images in one space: a value for each draw or network.

    `two` is TwoNN, `many` the maximum-likelihood estimate, None where the images are too few to tell;
    `ratio` the participation ratio of principal components. `key` is a source's, or that of all real images.
    """

    key: str
    space: str
    images: int
    ratio: list[float]
    two: list[float] | None
    many: list[float] | None


@dataclass(frozen=True)
class SpectraFound(FoundOfSources):
    """Power, mean square of pixels (sources, 1 + bands), the first the mean's; bands between `edges`.

    Test accuracy (sources, 1 + bands, 1 + bands, nets): with nothing or a band removed from the images
    trained on, then from the test images. `neighbours` are those of the maximum-likelihood estimate, `least`
    so many images nearest neighbours ask for. `test` is the accuracy of the networks with the features.
    """

    sources: tuple[SourceFacts, ...]
    edges: list[float]
    power: list[list[float]]
    accuracy: list[list[list[list[float]]]]
    dimensions: tuple[Dimensions, ...]
    least: int
    neighbours: int
    network: str
    iterations: int
    nets: int
    test: list[float]
    soft: tuple[str, ...]

    @cached_property
    def accuracies(self) -> dict[str, np.ndarray]:
        """Accuracy (1 + bands, 1 + bands, nets) by the source's key."""
        return by_source(self.sources, self.accuracy)

    @cached_property
    def shares(self) -> dict[str, np.ndarray]:
        """Share (bands,) of each band in the power without the mean's, by the source's key."""
        every = by_source(self.sources, self.power)
        return {key: values[1:] / values[1:].sum() for key, values in every.items()}


SpectraResult = Result[SpectraFound]
