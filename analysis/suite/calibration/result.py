"""What `calibration` found."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from analysis.results import Result
from analysis.shared.sources import FoundOfSources, KindOfSource, by_source


@dataclass(frozen=True)
class CalibrationFound(FoundOfSources):
    """How sure networks are of test images along training, and of images that are none.

    `accuracy` is (sources, looks, nets), `looks` are iterations. `plain` and `scaled` are figures by name
    (sources, looks, nets), without and with the temperature (sources, nets, of the last look) that was fitted
    on validation images at every look. `area` is by kind of unknown images and by score (sources, looks,
    nets). `confidence` and `right` are of bins of test images of trained networks (sources, 2, bins), means
    over networks, without and with temperature.
    """

    sources: tuple[KindOfSource, ...]
    looks: tuple[int, ...]
    accuracy: list[list[list[float]]]
    plain: dict[str, list[list[list[float]]]]
    scaled: dict[str, list[list[list[float]]]]
    area: dict[str, dict[str, list[list[list[float]]]]]
    temperature: list[list[float]]
    confidence: list[list[list[float]]]
    right: list[list[list[float]]]
    network: str
    iterations: int
    images: int
    validation: int
    nets: int

    @cached_property
    def accuracies(self) -> dict[str, np.ndarray]:
        """Test accuracy (looks, nets) by the source's key."""
        return by_source(self.sources, self.accuracy)

    def along(self, metric: str, scaled: bool) -> dict[str, np.ndarray]:
        """A figure (looks, nets) by the source's key."""
        return by_source(self.sources, (self.scaled if scaled else self.plain)[metric])

    def areas(self, kind: str, score: str) -> dict[str, np.ndarray]:
        """Area under the curve (looks, nets) by the source's key."""
        return by_source(self.sources, self.area[kind][score])


CalibrationResult = Result[CalibrationFound]
