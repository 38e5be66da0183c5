"""The task `scaling`: from sets and a pool to a result."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.shared.grid import Cell, accuracies, ready
from analysis.shared.set_ups import FACTORS, Level, levels
from analysis.shared.stand_ins import STAND_INS, nested_rows, real_images, smallest_class
from analysis.suite.scaling.result import ScaledSource, ScalingFound
from analysis.suite.scaling.spec import (
    HOW,
    LR,
    PARTS,
    RUNS,
    Grown,
    ScalingTask,
    grown,
    real_sizes,
)
from analysis.task import Opened, opened, save
from ddcore.base import rng
from ddcore.data.tensors import DeviceData
from ddcore.nets.plan import cost as net_cost
from ddcore.training.protocols import PROTOCOLS

if TYPE_CHECKING:
    from ddcore.sets.distilled import DistilledSet
    from ddcore.tasks.worker import Context

LOSSES = ("ce", "mse")  # of the set-ups


@dataclass(frozen=True)
class _Step:
    """A source at one size: images (M, ...) or (nets, M, ...), labels by loss (M,), (M, K), (nets, M, K)."""

    images: np.ndarray
    labels: dict[str, np.ndarray]


def run(context: Context[ScalingTask]) -> None:
    """Task `scaling`: test accuracy of every source, size and network in every set-up."""
    spec = context.spec
    given = opened(context)
    sources = _sources(given, spec)
    every = levels(spec, given.chosen, LR)
    seeds = [rng.derive(spec.seed, "scaling", i) for i in range(spec.nets)]
    steps = [step for _, own in sources for step in own]
    cells = [_cell(given, level, step) for level in every for step in steps]
    found = accuracies(context, cells, seeds, given.dataset)
    found = found.reshape(len(every), len(steps), spec.nets)
    places = np.cumsum([0, *(len(own) for _, own in sources)])
    result = ScalingFound(
        sources=tuple(facts for facts, _ in sources),
        set_ups=tuple(_name(level) for level in every),
        accuracy=[found[:, a:b].tolist() for a, b in itertools.pairwise(places)],
        whole=given.pools["whole"].arrays()["test"].tolist(),
        network=every[0].net.label(),
        iterations=spec.iterations,
        nets=spec.nets,
    )
    save(context, given, result, {"accuracy": np.ascontiguousarray(found)})


def _name(level: Level) -> str:
    return f"{FACTORS[level.factor]}: {level.name}" if level.factor else level.name


def _cell(given: Opened, level: Level, step: _Step) -> Cell:
    size, chosen = step.images.shape[-4], given.chosen
    recipe = level.recipe(size)
    macs = net_cost(level.net.plan(chosen.shape, chosen.classes), chosen.shape).macs
    data = ready(step.images, step.labels[recipe.loss])
    return Cell(level.net, recipe, data, float(level.seen(size) * macs))


def _sources(given: Opened, spec: ScalingTask) -> list[tuple[ScaledSource, list[_Step]]]:
    """The sets in the order of figures, then random images and class means, each at its sizes."""
    found = []
    for of in grown(given.chosen):
        sizes, steps = _of_sets(of, given, spec)
        how, last = PARTS if of.alone else RUNS, of.last
        found.append((ScaledSource(last.key, last.method, of.label, last.ipc, how, sizes), steps))
    data = DeviceData(given.dataset, "cpu")
    sizes = tuple(real_sizes(spec, given.chosen, smallest_class(data)))
    for kind in STAND_INS:
        steps = [_real(kind, data, k, spec) for k in sizes]
        label = HOW[kind].capitalize()
        found.append((ScaledSource(kind, "", label, sizes[-1], kind, sizes), steps))
    return found


def _real(kind: str, data: DeviceData, size: int, spec: ScalingTask) -> _Step:
    images = real_images(kind, data, size, spec.nets, spec.seed, nested_rows)
    return _Step(images, dict.fromkeys(LOSSES, np.arange(data.num_classes).repeat(size)))


def _of_sets(of: Grown, given: Opened, spec: ScalingTask) -> tuple[tuple[int, ...], list[_Step]]:
    """Sizes and sets: whole ones, or nested random parts of one, of its own for each network."""
    if not of.alone:
        steps = [_whole(given.sets[run_.key]) for run_ in of.runs]
        return of.sizes(spec), steps
    made = given.sets[of.last.key]
    classes = np.asarray(made.hard_labels)
    least = int(np.bincount(classes, minlength=given.chosen.classes).min())
    sizes = [k for k in of.sizes(spec) if k <= least and k < of.last.ipc]
    steps = [_part(made, classes, k, of.last.key, spec) for k in sizes]
    return (*sizes, of.last.ipc), [*steps, _whole(made)]


def _labels(made: DistilledSet) -> dict[str, np.ndarray]:
    return {loss: made.for_training(PROTOCOLS["t300"].replace(loss=loss))[1] for loss in LOSSES}


def _whole(made: DistilledSet) -> _Step:
    return _Step(made.images, _labels(made))


def _part(made: DistilledSet, classes: np.ndarray, size: int, key: str, spec: ScalingTask) -> _Step:
    """`size` images of each class, other ones for each network."""
    from ddcore.pools.real import first_per_class, per_class_orders

    count = int(classes.max()) + 1
    rows = np.stack(
        [
            first_per_class(
                per_class_orders(classes, count, rng.derive(spec.seed, "part", key, i)), size
            )
            for i in range(spec.nets)
        ]
    )
    labels = {
        loss: own[rows] if own.ndim == 2 else own[rows[0]] for loss, own in _labels(made).items()
    }
    return _Step(made.images[rows], labels)
