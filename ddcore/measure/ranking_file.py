"""Scores that DD-Ranking wrote: its parts in per cent are read, its score is computed anew. No torch.

Version 0.2.0 puts differences of per cent into a formula for shares, so that its own `lrs` and `ars_list`
mean nothing; the parts beside them are sound.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

from ddcore.base.errors import DataError
from ddcore.base.spread import deviation, plus_minus
from ddcore.measure import ranking
from ddcore.measure.ranking import Difference

_LABELS = ("hard_label_recovery", "improvement_over_random")
MOST_BYTES = 1 << 20
_AUGMENTED = ("with_aug_scores", "without_aug_scores")


@dataclass(frozen=True)
class ForeignScores:
    """What a file says: the two parts as shares over `n` evaluations, and the score of each evaluation anew.

    `name` is lrs, whose parts are HLR and IOR, or ars, whose parts are IOR with augmentation and without.
    """

    name: str
    parts: tuple[Difference, Difference]
    score: Difference
    n: int


def read(text: str) -> ForeignScores:
    """The scores of a file that DD-Ranking wrote; `DataError` says what it lacks."""
    rows = list(csv.DictReader(io.StringIO(text)))
    columns = set(rows[0]) if rows else set()
    for name, wanted in (("lrs", _LABELS), ("ars", _AUGMENTED)):
        if set(wanted) <= columns:
            return _scores(name, [_shares(row, wanted, i) for i, row in enumerate(rows)])
    expected = " and ".join(_LABELS)
    raise DataError(
        f"The file has no columns {expected}, nor {' and '.join(_AUGMENTED)}: expected scores that "
        "DD-Ranking wrote."
    )


def _shares(row: dict[str, str], wanted: tuple[str, str], place: int) -> tuple[float, float]:
    """Two differences of per cent as shares."""
    found = []
    for column in wanted:
        try:
            value = float(row[column]) / 100
        except (TypeError, ValueError):
            value = float("nan")
        if not -1 <= value <= 1:
            raise DataError(
                f"{column} in row {place + 1} is no difference of per cent from -100 to 100."
            )
        found.append(value)
    return found[0], found[1]


def _scores(name: str, rows: list[tuple[float, float]]) -> ForeignScores:
    score = {"lrs": ranking.label_robust_score, "ars": ranking.augmentation_robust_score}[name]
    first, second = (_over([row[i] for row in rows]) for i in (0, 1))
    return ForeignScores(name, (first, second), _over([score(*row) for row in rows]), len(rows))


def _over(values: list[float]) -> Difference:
    """Mean and spread over evaluations."""
    return Difference(sum(values) / len(values), deviation(values))


PARTS = {"lrs": ("HLR", "IOR"), "ars": ("IOR with augmentation", "IOR without")}
TITLES = {"lrs": "label robust score", "ars": "augmentation robust score"}


def lines(found: ForeignScores) -> list[str]:
    """The score with its parts, and what was done with the file's own."""
    told = (f"{name} {part.points()}" for name, part in zip(PARTS[found.name], found.parts))
    score = plus_minus(f"{found.score.mean:.3f}", found.score.std and round(found.score.std, 3))
    return [
        f"{TITLES[found.name]}: {score} (n = {found.n}; {', '.join(told)})",
        "The file's own score is not used: version 0.2.0 puts per cent into a formula for shares.",
    ]
