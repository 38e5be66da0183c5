"""The task `sensitivity`: from sets and pools to a result and arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.runs import Chosen
from analysis.shared.set_ups import Level, levels
from analysis.shared.sources import RANDOM
from analysis.shared.stand_ins import TrainedOn, nested_rows, trained_on
from analysis.suite.sensitivity.result import LevelFacts, SensitivityFound
from analysis.suite.sensitivity.spec import SensitivityTask
from analysis.task import Opened, opened, save
from ddcore.base import rng
from ddcore.data.tensors import DeviceData
from ddcore.nets.plan import cost as net_cost
from ddcore.training.protocols import Protocol

if TYPE_CHECKING:
    from ddcore.tasks.worker import Context


def run(context: Context[SensitivityTask]) -> None:
    """Task `sensitivity`: test accuracy of every network under every change."""
    from analysis.shared.grid import Cell, accuracies, ready

    spec = context.spec
    given = opened(context)
    every = levels(spec, given.chosen)
    data, plain = DeviceData(given.dataset, context.device), every[0].protocol
    sources = trained_on(given, data, plain, spec.nets, spec.seed, (RANDOM,), draw=nested_rows)
    # Network i starts from the same weights for every set, and for every change that leaves them alone.
    seeds = [rng.derive(spec.seed, "sensitivity", i) for i in range(spec.nets)]
    cells = []
    for level in every:
        for source in sources:
            recipe = level.recipe(source.images.shape[-4])
            images = ready(source.images, _labels(given, source, recipe))
            work = _work(source, level, given.chosen)
            cells.append(Cell(level.net, recipe, images, work))
    found = accuracies(context, cells, seeds, given.dataset)
    accuracy = found.reshape(len(every), len(sources), spec.nets).swapaxes(0, 1)
    changed = SensitivityFound(
        sources=tuple(s.facts.plain() for s in sources),
        levels=tuple(LevelFacts(level.factor, level.name) for level in every),
        accuracy=accuracy.tolist(),
        network=every[0].net.label(),
        iterations=spec.iterations,
        nets=spec.nets,
        soft=tuple(key for key, made in given.sets.items() if made.soft),
    )
    save(context, given, changed, {"accuracy": np.ascontiguousarray(accuracy)})


def _work(source: TrainedOn, level: Level, chosen: Chosen) -> float:
    macs = net_cost(level.net.plan(chosen.shape, chosen.classes), chosen.shape).macs
    return float(level.seen(source.images.shape[-4]) * macs)


def _labels(given: Opened, source: TrainedOn, recipe: Protocol) -> np.ndarray:
    """The source's labels as a loss needs them."""
    if source.facts.key not in given.sets:
        return source.labels
    return given.sets[source.facts.key].for_training(recipe)[1]
