"""Is the choice of images worth anything once labels are soft? Differences paired by seed, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.suite.labels.spec import ORDER
from analysis.uses.regimes.result import FoundRegimes, RegimesRow
from ddcore.base import spread


@dataclass(frozen=True)
class AboveRandom:
    """Points above random images with the same labels: mean over n seeds, 95 % interval (None of one)."""

    mean: float
    low: float | None
    high: float | None
    n: int

    @property
    def verdict(self) -> str:
        """What the literature's claim, that random images match, comes to here."""
        if self.low is None or self.high is None:
            return "cannot be told from one seed"
        if self.low > 0:
            return "refuted"
        return "random images are better" if self.high < 0 else "not refuted"


def above_random(found: FoundRegimes, row: RegimesRow, kind: str) -> AboveRandom:
    """Of a row under a regime."""
    place = ORDER.index(kind)
    points = 100 * (row.accuracy[place] - found.random(row.ipc).accuracy[place])
    n, mean = len(points), float(points.mean())
    if n < 2:
        return AboveRandom(mean, None, None, n)
    from scipy.stats import t

    half = float(t.ppf(0.975, n - 1) * points.std(ddof=1) / np.sqrt(n))
    return AboveRandom(mean, mean - half, mean + half, n)


def spread_of_choices(found: FoundRegimes, ipc: int) -> list[float]:
    """Points (regimes,) from the worst to the best mean of all that have so many images per class."""
    means = np.stack([row.accuracy.mean(1) for row in found.rows if row.ipc == ipc])
    return [float(v) for v in 100 * np.ptp(means, axis=0)]


def facts(found: FoundRegimes, row: RegimesRow) -> dict[str, Any]:
    """A row for programs."""
    figures = {kind: spread.summary(values.tolist()) for kind, values in zip(ORDER, row.accuracy)}
    above = {kind: vars(above_random(found, row, kind)) for kind in ORDER}
    return {
        "selection": row.selection,
        "per_class": row.ipc,
        "accuracy": figures,
        "above_random": above,
    }
