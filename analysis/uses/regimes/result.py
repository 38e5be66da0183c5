"""What finished regimes found: a figure for each seed in every cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.shared.sources import RANDOM
from analysis.suite.labels.spec import ORDER
from analysis.uses.regimes.spec import RegimesTask
from ddcore.base.errors import Outdated
from ddcore.tasks.store import Task


@dataclass(frozen=True)
class RegimesRow:
    """A selection at a size: accuracy (regimes, seeds), each the mean over a seed's networks."""

    selection: str
    title: str
    ipc: int
    accuracy: np.ndarray


@dataclass(frozen=True)
class FoundRegimes:
    """All rows, from the smallest size on; `teacher` is the mean accuracy of each seed's teacher."""

    key: str
    spec: RegimesTask
    data_label: str
    teacher: list[float]
    rows: list[RegimesRow]

    def random(self, ipc: int) -> RegimesRow:
        """Random images of that size."""
        return next(r for r in self.rows if r.selection == RANDOM and r.ipc == ipc)

    @property
    def sets(self) -> list[RegimesRow]:
        """Distilled ones."""
        own = {each.method for each in self.spec.sets}
        return [row for row in self.rows if row.selection in own]


def read(task: Task) -> FoundRegimes:
    """The result of a finished task; `Outdated` where another version computed it."""
    if old := task.outdated():
        raise Outdated(old)
    stored = task.result()
    rows = [
        RegimesRow(
            row["selection"],
            row["title"],
            row["ipc"],
            np.array([row["accuracies"][kind] for kind in ORDER]),
        )
        for row in stored["rows"]
    ]
    rows.sort(key=lambda row: row.ipc)
    spec = task.spec_as(RegimesTask)
    return FoundRegimes(task.key, spec, stored["data_label"], stored["teacher"], rows)
