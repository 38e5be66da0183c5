"""Networks compared at equal accuracy: where the training of each first reaches it. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analysis.shared import significance
from analysis.shared.sources import SET, KindOfSource


@dataclass(frozen=True)
class AtEqual:
    """A set's values minus another source's (nets,), at accuracies (nets,) that both networks reach."""

    source: KindOfSource
    other: KindOfSource
    difference: np.ndarray
    accuracy: np.ndarray
    verdict: int = 0  # 1: shown to be more, -1: shown to be less


def reached(accuracy: np.ndarray, values: np.ndarray, level: float) -> float:
    """The value where accuracy (looks,) first reaches a level, between looks on a straight line.

    `level` is at most the largest accuracy.
    """
    at = int(np.argmax(accuracy >= level))
    if at == 0:
        return float(values[0])
    low, high = accuracy[at - 1], accuracy[at]
    share = (level - low) / (high - low)
    return float(values[at - 1] + share * (values[at] - values[at - 1]))


def differences(
    sources: tuple[KindOfSource, ...],
    accuracy: Mapping[str, np.ndarray],
    values: Mapping[str, np.ndarray],
) -> list[AtEqual]:
    """Every set beside each source of its own size and beside more real images; both by key (looks, nets).

    Network i is paired with network i, which started from the same weights. Verdicts are those of paired t
    tests in both directions, corrected over all.
    """
    found = []
    for one in (s for s in sources if s.kind == SET):
        for other in (s for s in sources if s.kind != SET and s.ipc >= one.ipc):
            pairs = (accuracy[one.key], values[one.key], accuracy[other.key], values[other.key])
            found.append(AtEqual(one, other, *_at_equal(*pairs)))
    if not found:
        return []
    each = np.stack([pair.difference for pair in found])
    p = [significance.paired(each, side).p for side in (significance.GREATER, significance.LESS)]
    more, less = significance.discoveries(np.stack(p))
    return [
        AtEqual(e.source, e.other, e.difference, e.accuracy, int(up) - int(down))
        for e, up, down in zip(found, more, less)
    ]


def _at_equal(
    accuracy: np.ndarray, values: np.ndarray, theirs: np.ndarray, their_values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    levels = np.minimum(accuracy.max(0), theirs.max(0))
    gaps = [
        reached(accuracy[:, i], values[:, i], level)
        - reached(theirs[:, i], their_values[:, i], level)
        for i, level in enumerate(levels)
    ]
    return np.array(gaps), levels
