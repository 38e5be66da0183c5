"""The task `sensitivity`: from sets and pools to a result and arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.runs import Chosen
from analysis.shared.real import random_real
from analysis.shared.set_ups import Level, levels
from analysis.shared.sources import SourceFacts
from analysis.suite.sensitivity.result import LevelFacts, SensitivityFound
from analysis.suite.sensitivity.spec import SensitivityTask, sizes
from analysis.task import Opened, opened, save
from ddcore.base import rng
from ddcore.nets.plan import cost as net_cost
from ddcore.training.protocols import PROTOCOLS

if TYPE_CHECKING:
    from ddcore.tasks.worker import Context


@dataclass(frozen=True)
class SensitivitySource:
    """What is trained on: a set that all networks share, or real images of its own for each network."""

    key: str
    method: str
    label: str
    ipc: int
    images: np.ndarray  # (M, C, H, W), or (nets, M, C, H, W); preprocessed
    labels: dict[str, np.ndarray]  # by loss: (M,) or (M, K)


def run(context: Context[SensitivityTask]) -> None:
    """Task `sensitivity`: test accuracy of every network under every change."""
    from analysis.shared.grid import Cell, accuracies, ready

    spec = context.spec
    given = opened(context)
    every = levels(spec, given.chosen)
    sources = _sources(given, spec)
    # Network i starts from the same weights for every set, and for every change that leaves them alone.
    seeds = [rng.derive(spec.seed, "sensitivity", i) for i in range(spec.nets)]
    cells = []
    for level in every:
        for source in sources:
            recipe = level.recipe(source.images.shape[-4])
            data = ready(source.images, source.labels[recipe.loss])
            work = _work(source, level, given.chosen)
            cells.append(Cell(level.net, recipe, data, work))
    found = accuracies(context, cells, seeds, given.dataset)
    accuracy = found.reshape(len(every), len(sources), spec.nets).swapaxes(0, 1)
    changed = SensitivityFound(
        sources=tuple(SourceFacts(s.key, s.method, s.label, s.ipc) for s in sources),
        levels=tuple(LevelFacts(level.factor, level.name) for level in every),
        accuracy=accuracy.tolist(),
        network=every[0].net.label(),
        iterations=spec.iterations,
        nets=spec.nets,
        soft=tuple(key for key, made in given.sets.items() if made.soft),
    )
    save(context, given, changed, {"accuracy": np.ascontiguousarray(accuracy)})


def _work(source: SensitivitySource, level: Level, chosen: Chosen) -> float:
    macs = net_cost(level.net.plan(chosen.shape, chosen.classes), chosen.shape).macs
    return float(level.seen(source.images.shape[-4]) * macs)


def _sources(given: Opened, spec: SensitivityTask) -> list[SensitivitySource]:
    """The sets in the order of figures, then random real images for each size of set."""
    chosen, found = given.chosen, []
    for run_ in chosen.runs:
        made = given.sets[run_.key]
        labels = {
            loss: made.for_training(PROTOCOLS["t300"].replace(loss=loss))[1]
            for loss in ("ce", "mse")
        }
        found.append(
            SensitivitySource(run_.key, run_.method, run_.label, run_.ipc, made.images, labels)
        )
    several = len(sizes(chosen)) > 1
    for ipc in sizes(chosen):
        label = "Random real images" + (f", {ipc} per class" if several else "")
        images, own = random_real(given.dataset, ipc, spec.nets, spec.seed)
        found.append(
            SensitivitySource(f"random.{ipc}", "", label, ipc, images, {"ce": own, "mse": own})
        )
    return found
