"""The task `bias`: from sets to a result."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from analysis.shared.along import SeenAlong, followed, looked_at
from analysis.shared.set_ups import usual
from analysis.shared.stand_ins import trained_on
from analysis.suite.bias.maths import by_agreement
from analysis.suite.bias.result import BiasFound
from analysis.suite.bias.spec import BiasTask, net_of
from analysis.task import opened, save
from ddcore.base import rng
from ddcore.base.errors import DataError
from ddcore.data.registry import get
from ddcore.data.tensors import DeviceData

if TYPE_CHECKING:
    from ddcore.data import Dataset
    from ddcore.data.sources._source import Cue
    from ddcore.tasks.worker import Context
    from ddcore.training.trained import TrainedNets


def run(context: Context[BiasTask]) -> None:
    """Task `bias`: accuracy where the cue points at the class and where it does not, along training."""
    spec = context.spec
    given = opened(context)
    chosen, net, data = given.chosen, net_of(spec, given.chosen), given.dataset
    protocol, on_device = usual(spec.iterations), DeviceData(data, context.device)
    cue = _cue(data)
    sources = trained_on(given, on_device, protocol, spec.nets, spec.seed, more=spec.more)
    seeds = [rng.derive(spec.seed, "bias", i) for i in range(spec.nets)]
    looks = looked_at(spec.iterations, spec.looks)
    cues = places(data, cue)
    look = _look(data.preprocess(data.test_images), data.test_labels, cues)
    seen = followed(context, sources, net, chosen.classes, protocol, seeds, looks, look)
    agree = int((cues == data.test_labels).sum())
    result = BiasFound(
        sources=tuple(s.facts for s in sources),
        looks=looks,
        agreeing=seen["agreeing"].tolist(),
        contradicting=seen["contradicting"].tolist(),
        cue=cue.name,
        correlation=cue.correlation,
        network=net.label(),
        iterations=spec.iterations,
        agree=agree,
        contradict=len(cues) - agree,
        nets=spec.nets,
    )
    save(context, given, result, {})


def _cue(data: Dataset) -> Cue:
    found = get(data.spec.name).cue
    if found is None:  # refused before, by `spec.lacking`
        raise DataError(f"{data.label} has no cue.")
    return found


def places(data: Dataset, cue: Cue) -> np.ndarray:
    """The label (B,) that the cue of each test image points at, or -1 where that class is not among these."""
    pointed = cue.of(data.test_images)
    numbers = data.spec.classes or range(data.num_classes)
    place = np.full(max(int(pointed.max()), *numbers) + 1, -1)
    place[list(numbers)] = np.arange(len(numbers))
    return place[pointed]


def _look(
    images: np.ndarray, labels: np.ndarray, cues: np.ndarray
) -> Callable[[TrainedNets, bool], SeenAlong]:
    def look(nets: TrainedNets, ended: bool) -> SeenAlong:
        return by_agreement(nets.predict(images).numpy(), labels, cues)._asdict()

    return look
