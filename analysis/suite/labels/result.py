"""What `labels` found."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from analysis.results import Result
from analysis.shared.sources import FoundOfSources, SourceFacts, by_source


@dataclass(frozen=True)
class LabelledSource(SourceFacts):
    """A set (`selection` is ""), or how as many real images were chosen."""

    selection: str


@dataclass(frozen=True)
class LabelsFound(FoundOfSources):
    """Test accuracy (sources, regimes, nets); regimes are hard, soft and online.

    Labels are looked at closely for the sources `close`, which have `size` images per class: accuracy with
    fixed labels by `temperatures` (close, temperatures, nets), and at `temperature` by `edits` (close, edits,
    nets). `teacher` is the mean test accuracy of the networks that teach.
    """

    sources: tuple[LabelledSource, ...]
    accuracy: list[list[list[float]]]
    close: tuple[str, ...]
    size: int
    temperatures: tuple[float, ...]
    by_temperature: list[list[list[float]]]
    edits: tuple[str, ...]
    by_edit: list[list[list[float]]]
    teacher: float
    temperature: float
    network: str
    iterations: int
    mixing: str
    nets: int

    @cached_property
    def accuracies(self) -> dict[str, np.ndarray]:
        """Accuracy (regimes, nets) by the source's key."""
        return by_source(self.sources, self.accuracy)

    def source(self, key: str) -> LabelledSource:
        """The source with this key."""
        return next(s for s in self.sources if s.key == key)


LabelsResult = Result[LabelsFound]
