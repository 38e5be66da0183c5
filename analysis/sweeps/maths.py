"""The table of a sweep: means over seeds, the choice on validation images, differences paired by seed.

Seeds are the only thing a mean is taken over. What networks of one run differ by is a column of its own,
since networks of one set say nothing about another set. Baselines are shared by all seeds and have the
spread of their networks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from analysis.shared.significance import GREATER, LESS, discoveries, paired
from ddcore.base.errors import SpecError
from ddcore.base.spread import summary
from ddcore.sweeps import cells as of_cells
from ddcore.sweeps.axes import Axes, CellPlace
from ddcore.sweeps.cells import CellState, SweepCell
from ddcore.tasks.store import Store

TASK = ("dataset", "ipc")  # within which accuracies are compared at all
FAILED = ("failed", "lost", "cancelled", "damaged")
BOTH = 0.95  # of a confidence interval


@dataclass(frozen=True)
class CellResult:
    """What a cell has found; shares. Accuracies are over `nets` networks on test images.

    `deviation` is None of one network, `validation` where the run was not judged on validation images, and
    `random` is the figure of random real images of the same size.
    """

    test: float
    deviation: float | None
    nets: int
    validation: float | None
    random: dict[str, Any] | None
    arch: str


@dataclass(frozen=True)
class Looked:
    """A cell, how far it is, and what it has found."""

    cell: SweepCell
    state: CellState
    found: CellResult | None = None


@dataclass(frozen=True)
class SweepRow:
    """The cells of one place, which differ by their seeds only. Results are by seed, in order."""

    place: CellPlace
    results: dict[str, CellResult]
    seeds: int
    failed: int

    @property
    def at(self) -> dict[str, str]:
        """Its value on every axis."""
        return dict(self.place)

    @property
    def test(self) -> dict[str, Any] | None:
        """Mean over seeds, sample standard deviation (None at n = 1) and n; None without a result."""
        accuracies = [r.test for r in self.results.values()]
        return summary(accuracies) if accuracies else None

    @property
    def validation(self) -> dict[str, Any] | None:
        """The same on validation images; None where one seed has none."""
        found = [r.validation for r in self.results.values()]
        known = [value for value in found if value is not None]
        return summary(known) if known and len(known) == len(found) else None

    @property
    def networks(self) -> float | None:
        """Standard deviation of the networks within a run, pooled over the runs."""
        found = [r.deviation for r in self.results.values() if r.deviation is not None]
        return math.sqrt(sum(d * d for d in found) / len(found)) if found else None

    @property
    def random(self) -> dict[str, Any] | None:
        """The figure of random real images, which all seeds share."""
        return next((r.random for r in self.results.values()), None)

    @property
    def complete(self) -> bool:
        """Whether every seed has a result."""
        return len(self.results) == self.seeds


@dataclass(frozen=True)
class RowChoice:
    """The row with the best mean on validation images among `compared`, of one place of `within`.

    `left_out` rows could not be compared, since seeds or validation images are missing.
    """

    within: CellPlace
    row: SweepRow
    compared: int
    left_out: int


@dataclass(frozen=True)
class PairedDifference:
    """Accuracy of `row` minus that of `against` on test images, paired by seed.

    `low` and `high` bound a 95 % interval (Student's t, None of one pair), `p` is two-sided and NaN where
    nothing can be tested. `claimed` says that it is a discovery among all that were tested with it.
    """

    axis: str
    row: SweepRow
    against: SweepRow
    mean: float
    deviation: float | None
    n: int
    low: float | None
    high: float | None
    p: float
    claimed: bool = False


# --- reading ----------------------------------------------------------------------------------------------


def look(store: Store, cells: Iterable[SweepCell]) -> list[Looked]:
    """Every cell with its state and, where it is done, what it has found."""
    return [_looked(store, cell) for cell in cells]


def _looked(store: Store, cell: SweepCell) -> Looked:
    state = of_cells.state(store, cell)
    return Looked(cell, state, result(store, cell) if state.state == "done" else None)


def result(store: Store, cell: SweepCell) -> CellResult:
    """What a finished cell has found: its own evaluation, and its run on validation images."""
    run, evaluation = (store.task(spec) for spec in cell.chain())
    rows = evaluation.result()["rows"]
    own = next(row for row in rows if row["subject"] == "distilled")
    random = next((r for r in rows if (r["subject"], r["arch"]) == ("random", own["arch"])), None)
    chosen = run.result()["validation"]
    return CellResult(
        test=own["mean"],
        deviation=own["std"] if own["n"] > 1 else None,
        nets=own["n"],
        validation=chosen["mean"] if chosen else None,
        random={k: random[k] for k in ("mean", "std", "n")} if random else None,
        arch=own["arch"],
    )


# --- the table ----------------------------------------------------------------------------------------------


def table(looked: Sequence[Looked]) -> list[SweepRow]:
    """A row for each place, in the order of the cells; invalid cells have none."""
    places: dict[CellPlace, list[Looked]] = {}
    for each in looked:
        if each.cell.run:
            places.setdefault(each.cell.group, []).append(each)
    return [
        SweepRow(
            place,
            {e.cell.seed: e.found for e in found if e.found},
            seeds=len(found),
            failed=sum(e.state.state in FAILED for e in found),
        )
        for place, found in places.items()
    ]


def choices(rows: Sequence[SweepRow], within: Sequence[str]) -> list[RowChoice]:
    """The best row on validation images of every place of the axes `within`; test images choose nothing."""
    found = []
    for place, group in _grouped(rows, within).items():
        ready = [row for row in group if row.complete and row.validation]
        if ready:
            best = max(ready, key=_validated)
            found.append(RowChoice(place, best, len(ready), len(group) - len(ready)))
    return found


def _validated(row: SweepRow) -> float:
    return row.validation["mean"] if row.validation else -math.inf


def chosen(axes: Axes, rows: Sequence[SweepRow]) -> list[RowChoice]:
    """For every dataset, size and method the best of its presets and settings, where there are several."""
    tuned = [axis for axis in axes.varied if axis not in (*TASK, "method")]
    return choices(rows, (*TASK, "method")) if tuned else []


def winners(axes: Axes, rows: Sequence[SweepRow]) -> list[RowChoice]:
    """For every dataset and size the best of all that was tried."""
    return choices(rows, TASK) if set(axes.varied) - {*TASK} else []


# --- differences --------------------------------------------------------------------------------------------


def differences(
    rows: Sequence[SweepRow], axis: str, against: str, within: Sequence[str]
) -> list[PairedDifference]:
    """Every row beside that whose value on `axis` is `against`, in the same place of `within`.

    Tested two-sided by Student's t over the seeds that both have, all of them with a share of false
    discoveries after Benjamini & Hochberg 1995.
    """
    found = []
    for group in _grouped(rows, within).values():
        other = next((row for row in group if row.at[axis] == against), None)
        for row in group if other else ():
            if row is not other and other and (each := _difference(axis, row, other)):
                found.append(each)
    claimed = discoveries(np.array([each.p for each in found]))
    return [replace(each, claimed=bool(c)) for each, c in zip(found, claimed)]


def _difference(axis: str, row: SweepRow, other: SweepRow) -> PairedDifference | None:
    from scipy.stats import t

    seeds = [seed for seed in row.results if seed in other.results]
    if not seeds:
        return None
    values = np.array([row.results[s].test - other.results[s].test for s in seeds])
    n, mean = len(seeds), float(values.mean())
    less = paired(values, LESS)
    p = 2 * min(float(less.p), float(paired(values, GREATER).p))
    half = float(less.error * t.ppf((1 + BOTH) / 2, n - 1)) if n > 1 else math.nan
    known = math.isfinite(half)
    return PairedDifference(
        axis=axis,
        row=row,
        against=other,
        mean=mean,
        deviation=float(values.std(ddof=1)) if n > 1 else None,
        n=n,
        low=mean - half if known else None,
        high=mean + half if known else None,
        p=p,
    )


def comparison(axes: Axes, rows: Sequence[SweepRow], axis: str = "") -> list[PairedDifference]:
    """The differences of a sweep along `axis`: by default methods, else the first axis that is varied.

    The first value is what others are held against. Methods whose settings are varied meet at those that
    validation images chose for each. Values that were drawn are compared by choice alone.
    """
    check_axis(axes, axis)
    axis = axis or next(iter(comparable(axes)), "")
    if not (axis and rows):
        return []
    against = next(iter(values_of(rows, axis)))
    tuned = chosen(axes, rows) if axis == "method" else []
    if tuned:
        return differences([each.row for each in tuned], axis, against, TASK)
    return differences(rows, axis, against, [name for name in rows[0].at if name != axis])


def check_axis(axes: Axes, axis: str) -> None:
    """`SpecError` for an axis along which nothing can be compared; "" is any."""
    able = comparable(axes)
    if axis and axis not in able:
        allowed = "one of " + ", ".join(able) if able else "none, since nothing is varied"
        raise SpecError("compare", axis, allowed)


def comparable(axes: Axes) -> tuple[str, ...]:
    """The axes along which differences make sense, methods first."""
    drawn = [law.field for law in axes.over]
    able = [name for name in axes.varied if name not in (*TASK, *drawn)]
    return tuple(sorted(able, key=lambda name: name != "method"))


def values_of(rows: Sequence[SweepRow], axis: str) -> tuple[str, ...]:
    """The values of an axis, in the order of the rows."""
    return tuple(dict.fromkeys(row.at[axis] for row in rows))


def _grouped(rows: Iterable[SweepRow], within: Sequence[str]) -> dict[CellPlace, list[SweepRow]]:
    found: dict[CellPlace, list[SweepRow]] = {}
    for row in rows:
        place = tuple((axis, row.at[axis]) for axis in within)
        found.setdefault(place, []).append(row)
    return found


# --- counting -----------------------------------------------------------------------------------------------


def counts(looked: Sequence[Looked]) -> dict[str, int]:
    """How many cells there are in every state that occurs."""
    found: dict[str, int] = {}
    for each in looked:
        found[each.state.state] = found.get(each.state.state, 0) + 1
    return found


def failures(looked: Sequence[Looked]) -> list[tuple[SweepCell, str, str]]:
    """The cells that have failed, were stopped or lost: state and message."""
    return [(e.cell, e.state.state, e.state.message) for e in looked if e.state.state in FAILED]
