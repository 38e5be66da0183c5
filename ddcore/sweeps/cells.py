"""Cells of a sweep: each is a run and the evaluation that belongs to it, both by their content keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from ddcore.base.errors import DDError
from ddcore.base.specs import TaskSpec
from ddcore.data import dataset_task, resolve
from ddcore.data.registry import OWN
from ddcore.data.spec import DataSpec, form
from ddcore.distil.contract import DistillSpec
from ddcore.distil.settings import make_spec
from ddcore.nets.plan import Shape
from ddcore.sweeps.axes import REPEATED, Axes, CellPlace
from ddcore.tasks import jobs, stamps
from ddcore.tasks.store import Store, Task

Known = (
    tuple[DataSpec, Shape, int] | str
)  # a dataset and the form of its images, or why it cannot be used


@dataclass(frozen=True)
class SweepCell:
    """One run; without one, `problem` says why in a sentence."""

    place: CellPlace
    run: DistillSpec | None = None
    problem: str = ""

    @property
    def at(self) -> dict[str, str]:
        """Its value on every axis."""
        return dict(self.place)

    @property
    def seed(self) -> str:
        """Which of the repetitions it is."""
        return self.at[REPEATED]

    @property
    def group(self) -> CellPlace:
        """Its place but for the seed: what a mean is taken over."""
        return tuple((axis, value) for axis, value in self.place if axis != REPEATED)

    def chain(self) -> tuple[TaskSpec, ...]:
        """What one worker computes: the run, then its evaluation; () without a run."""
        return (self.run, *self.run.follow_ups()) if self.run else ()


@dataclass(frozen=True)
class CellState:
    """How far a cell is: a state of tasks, or invalid; the message of what keeps it."""

    state: str
    message: str = ""


def datasets(
    store: Store, names: Iterable[str], compute: Callable[[TaskSpec], Task]
) -> dict[str, Known]:
    """Every dataset by its name, decoded by `compute` if it is not yet; a sentence where that fails."""
    return {name: _dataset(store, name, compute) for name in names}


def _dataset(store: Store, name: str, compute: Callable[[TaskSpec], Task]) -> Known:
    try:
        data = resolve(name)
        task = store.task(dataset_task(data))
        facts = (task if task.is_done() else compute(dataset_task(data))).result()
    except DDError as error:
        return str(error)
    return data, tuple(facts["shape"]), len(facts["class_names"])


def stored(store: Store, names: Iterable[str]) -> dict[str, Known]:
    """Every dataset by its name as far as that is known without computing: registered ones are."""

    def refuse(spec: TaskSpec) -> Task:
        raise DDError(f"{spec.title()} has not been read yet.")

    found: dict[str, Known] = {}
    for name in names:
        try:
            data = resolve(name)
        except DDError as error:
            found[name] = str(error)
            continue
        own = data.name in OWN
        found[name] = _dataset(store, name, refuse) if own else (data, *form(data))
    return found


def expand(name: str, axes: Axes, known: Mapping[str, Known]) -> list[SweepCell]:
    """Every cell of the sweep `name`; what cannot be run has its sentence instead of a run."""
    found: list[SweepCell] = []
    seen: dict[str, CellPlace] = {}
    for place in axes.places(name):
        cell = _cell(place, known)
        if cell.run:
            first = seen.setdefault(cell.run.key, place)
            if first != place:
                told = ", ".join(f"{a} {v}" for a, v in first if dict(place)[a] != v)
                cell = replace(cell, run=None, problem=f"It is the same run as that of {told}.")
        found.append(cell)
    return found


def _cell(place: CellPlace, known: Mapping[str, Known]) -> SweepCell:
    at = dict(place)
    dataset = known[at["dataset"]]
    if isinstance(dataset, str):
        return SweepCell(place, problem=dataset)
    own = ("method", "dataset", "preset", "ipc", "seed")
    try:
        run = make_spec(
            at["method"],
            dataset[0],
            dataset[1],
            ipc=int(at["ipc"]),
            seed=int(at["seed"]),
            preset=at["preset"],
            settings=[(field, value) for field, value in place if field not in own],
        )
    except DDError as error:
        return SweepCell(place, problem=str(error))
    return SweepCell(place, run)


def problems(cells: Iterable[SweepCell]) -> list[tuple[CellPlace, int, str]]:
    """What cannot be run: each place once, for how many seeds, and why."""
    found: dict[tuple[CellPlace, str], int] = {}
    for cell in cells:
        if cell.problem:
            place = (cell.group, cell.problem)
            found[place] = found.get(place, 0) + 1
    return [(place, seeds, problem) for (place, problem), seeds in found.items()]


def state(store: Store, cell: SweepCell) -> CellState:
    """How far a cell is: that of its first task that is not done."""
    if not cell.run:
        return CellState("invalid", cell.problem)
    for spec in cell.chain():
        task = store.task(spec)
        if stamps.finished(task):
            continue
        found = jobs.state(task)
        message = found.get("message") or ""
        return CellState(found["state"], message)
    return CellState("done")
