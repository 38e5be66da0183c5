"""The task `dynamics`: from sets and pools to a result and arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.contract import Arrays
from analysis.task import opened, save
from ddcore.nets.words import network

if TYPE_CHECKING:
    from torch import Tensor

    from ddcore.data.tensors import Part
    from ddcore.nets.architectures import NetSpec
    from ddcore.tasks.worker import Context
from analysis.suite.dynamics.result import DynamicsFound, Learning
from analysis.suite.dynamics.spec import (
    LEAST_LENGTH,
    LEAST_RISE,
    MEASURES,
    MOMENT,
    TEST,
    DynamicsTask,
)


@dataclass(frozen=True)
class JudgedImages:
    """Images of several sets one after the other: (M, C, H, W), classes (M,), how many of each set."""

    images: Tensor
    labels: Tensor
    sizes: list[int]


def run(context: Context[DynamicsTask]) -> None:
    """Task `dynamics`: train on real data and test on everything along the way."""
    import torch

    from ddcore.base import rng
    from ddcore.data.tensors import DeviceData
    from ddcore.nets.network import Network
    from ddcore.training.chunks import limit_threads, nets_at_once

    spec = context.spec
    given = opened(context)
    data = DeviceData(given.dataset, context.device)
    net = network("network", spec.network, given.chosen.shape, given.chosen.classes)
    plain = Network(net, data.shape, data.num_classes)
    limit_threads(plain, context.device)
    rows = torch.from_numpy(_test_rows(len(data.test), spec.test_images, spec.seed))
    images = {k: torch.from_numpy(s.images).to(data.device) for k, s in given.sets.items()}
    labels = {k: torch.from_numpy(s.hard_labels).to(data.device) for k, s in given.sets.items()}
    images[TEST] = data.test.batch(rows)
    labels[TEST] = data.test.labels[rows.to(data.device)]
    names = list(images)
    judged = JudgedImages(
        torch.cat([images[key] for key in names]),
        torch.cat([labels[key] for key in names]),
        [len(images[key]) for key in names],
    )
    resumed = context.load_checkpoint()
    found = [resumed[0]["values"]] if resumed else []
    at_once = nets_at_once(plain, min(spec.batch, len(data.train)), context.device)
    for first in range(sum(map(len, found)), spec.nets, at_once):
        numbers = range(first, min(first + at_once, spec.nets))

        def report(t: int, before: int = first, count: int = len(numbers)) -> None:
            context.progress(before * spec.iterations + count * t, spec.nets * spec.iterations)

        seeds = [rng.derive(spec.seed, "dynamics", i) for i in numbers]
        found.append(follow(net, data.train, data.num_classes, seeds, judged, spec, report))
        if context.checkpoint_due():
            values = np.concatenate(found)
            context.save_checkpoint(len(values), {"values": values}, {})
    values = np.concatenate(found)  # (nets, tests, measures, sets)
    steps = np.arange(0, spec.iterations + 1, spec.every)
    arrays: Arrays = {"steps": steps}
    for place, key in enumerate(names):
        for i, name in enumerate(MEASURES):
            arrays[f"{name}.{key}"] = values[:, :, i, place]
    learnt = DynamicsFound(
        sets={key: facts(steps, arrays, key, len(images[key])) for key in names},
        nets=spec.nets,
        network=net.label(),
        soft=tuple(k for k, s in given.sets.items() if s.soft),
    )
    save(context, given, learnt, arrays)


def _test_rows(count: int, wanted: int, seed: int) -> np.ndarray:
    """Sorted rows of the test images that are used."""
    from ddcore.base import rng

    order = rng.numpy_generator(seed, "dynamics", "test").permutation(count)
    return np.sort(order[: wanted or count])


def follow(
    net: NetSpec,
    train: Part,
    classes: int,
    seeds: list[int],
    judged: JudgedImages,
    spec: DynamicsTask,
    on_iteration: Callable[[int], None] = lambda t: None,
) -> np.ndarray:
    """Train one network per seed and test it before training and after every `every`-th iteration.

    Returns (networks, tests, measures, sets): accuracy, loss, probability, as in `MEASURES`.
    """
    from ddcore.pools.real import train_real
    from ddcore.training.trained import TrainedNets

    seen: list[np.ndarray] = []

    def test(t: int, nets: TrainedNets) -> None:
        on_iteration(t)
        if t % spec.every == 0:
            seen.append(measure(nets.logits_in_batches(judged.images), judged))

    train_real(
        net,
        train,
        classes,
        seeds,
        iterations=spec.iterations,
        batch=spec.batch,
        lr=spec.lr,
        on_iteration=test,
    )
    return np.stack(seen, axis=1)


def measure(logits: list[Tensor], judged: JudgedImages) -> np.ndarray:
    """(networks, measures, sets) of outputs (networks, b, classes) in batches, over each set's images."""
    import torch

    outputs, labels = torch.cat(logits, dim=1), judged.labels.cpu()
    index = labels.expand(len(outputs), -1)[..., None]
    logs = outputs.log_softmax(2).gather(2, index)[..., 0]
    hits = (outputs.argmax(2) == labels).float()
    parts = torch.stack([hits, -logs, logs.exp()], dim=1).split(judged.sizes, dim=2)
    return torch.stack([p.mean(2) for p in parts], dim=2).numpy()


def plateau(steps: np.ndarray, curve: np.ndarray, tolerance: float) -> int | None:
    """Where a curve (T,) stops rising: the first tested iteration after which it is never again more than
    `tolerance` above the highest value it had reached by then.

    None if that leaves less than a fifth of all iterations, since the last test has nothing after it.
    """
    highest = np.maximum.accumulate(curve)
    later = np.maximum.accumulate(curve[::-1])[::-1]
    settled = np.append(later[1:] <= highest[:-1] + tolerance + 1e-9, True)
    first = int(steps[settled.argmax()])
    return first if steps[-1] - first >= LEAST_LENGTH * steps[-1] else None


def facts(steps: np.ndarray, arrays: Arrays, key: str, images: int) -> Learning:
    """What the curves of a set of so many images say."""
    accuracy, loss = (arrays[f"{name}.{key}"].mean(0) for name in ("accuracy", "loss"))
    tolerance = max(LEAST_RISE, 1 / images)
    full = np.flatnonzero(arrays[f"accuracy.{key}"].min(0) >= 1)
    moment = np.searchsorted(steps, MOMENT, side="right") - 1
    start = plateau(steps, accuracy, tolerance)
    test = arrays[f"accuracy.{TEST}"].mean(0)
    return Learning(
        images=images,
        tolerance=tolerance,
        plateau=start,
        test_gain=None if start is None else float(test[-1] - test[steps == start][0]),
        ceiling=bool(accuracy.max() + tolerance >= 1),
        full=int(steps[full[0]]) if len(full) else None,
        moment=int(steps[moment]),
        then=float(accuracy[moment]),
        last=float(accuracy[-1]),
        lowest_loss_at=int(steps[loss.argmin()]),
        last_loss=float(loss[-1]),
    )
