"""The task `barriers`: from sets and real images to a result and arrays."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from analysis.contract import Arrays
from analysis.shared.sources import REAL, SourceFacts
from analysis.shared.stand_ins import TrainedOn, trained_on
from analysis.suite.barriers import alignment
from analysis.suite.barriers.maths import barrier, instability, shares
from analysis.suite.barriers.result import Barriers, BarriersFound
from analysis.suite.barriers.spec import (
    AS_IS,
    MATCHED,
    ORDER,
    SET_REAL,
    START,
    TRAININGS,
    BarriersTask,
    net_of,
)
from analysis.task import opened, save
from ddcore.base import rng
from ddcore.data.tensors import DeviceData, Part
from ddcore.nets.network import Network
from ddcore.pools.networks import load, seed_of
from ddcore.pools.real import train_real
from ddcore.pools.real_spec import RealPool
from ddcore.training.chunks import limit_threads
from ddcore.training.train import train
from ddcore.training.trained import TrainedNets, agreement, mean_losses

if TYPE_CHECKING:
    from ddcore.tasks.store import Task
    from ddcore.tasks.worker import Context

STEPS = 1000  # of progress


def run(context: Context[BarriersTask]) -> None:
    """Task `barriers`: train pairs on every source, and look along the lines between them."""
    spec = context.spec
    given = opened(context)
    data = DeviceData(given.dataset, context.device)
    network = Network(net_of(spec, given.chosen), data.shape, data.num_classes)
    limit_threads(network, context.device)
    usual = spec.recipe(max(run.images for run in given.chosen.runs))
    sources = trained_on(given, data, usual, spec.nets, spec.seed)
    work = _Work(context, data, given.pools[REAL], len(sources))
    for source in sources:
        work.trained_on(source)
    facts = SourceFacts(REAL, "", "All real images", 0)
    found = BarriersFound(
        sources=(*(s.facts.plain() for s in sources), facts),
        paths=tuple(_paths(work.arrays, [s.facts.key for s in sources])),
        accuracy=[
            (1 - work.arrays[f"error.{key}.{ORDER}.{AS_IS}"][0]).tolist()
            for key in (*(s.facts.key for s in sources), REAL)
        ],
        matched=work.layers is not None,
        points=spec.points,
        parts=spec.parts,
        network=network.net.label(),
        iterations=spec.iterations,
        epochs=given.pools[REAL].result()["epochs"],
        nets=spec.nets,
        soft=tuple(key for key, made in given.sets.items() if made.soft),
    )
    save(context, given, found, work.arrays)


def _paths(arrays: Arrays, keys: Sequence[str]) -> Iterator[Barriers]:
    """Of real images, then of the sources, in an order that a checkpoint does not change."""
    for key, kind, way in itertools.product(
        (REAL, *keys), (ORDER, START, SET_REAL), (AS_IS, MATCHED)
    ):
        name = f"{key}.{kind}.{way}"
        if f"loss.{name}" in arrays:
            losses, errors = arrays[f"loss.{name}"], arrays[f"error.{name}"]
            values = (barrier(losses), barrier(errors), instability(errors))
            yield Barriers(key, kind, way, *(v.tolist() for v in values))


class _Work:
    """Trains on one source after the other and keeps what lies along the paths, with checkpoints."""

    def __init__(
        self, context: Context[BarriersTask], data: DeviceData, pool: Task, count: int
    ) -> None:
        self.context, self.spec, self.data = context, context.spec, data
        self.real = load(pool, context.device)
        self.pool = pool.spec_as(RealPool)
        self.starts = [seed_of(self.pool, i) for i in range(self.pool.nets)]
        network = self.real.network
        first = network.init([rng.generator(s, "init") for s in self.starts], context.device)
        self.start = TrainedNets(network, first, {})
        self.layers = alignment.hidden(network.plan)
        self.total, self.done = count + 1, 0
        resumed = context.load_checkpoint()
        self.arrays: Arrays = dict(resumed[0]) if resumed else {}
        if not self.arrays:
            self._real()
        self.done = 1

    def _seeds(self, training: int) -> list[int]:
        """Orders and augmentations of one of the trainings on every source."""
        return [rng.derive(self.spec.seed, "barriers", training, i) for i in range(self.spec.nets)]

    def _halves(self, nets: TrainedNets) -> tuple[TrainedNets, TrainedNets]:
        return nets.part(slice(0, self.spec.nets)), nets.part(slice(self.spec.nets, None))

    def _real(self) -> None:
        """Pairs of networks that were trained on real images."""
        spec, images = self.spec, len(self.data.train)
        iterations = self.pool.epochs_for(images) * -(-images // spec.batch)
        first, fresh = self._halves(self.real)
        other = train_real(
            self.pool.net,
            self.data.train,
            self.data.num_classes,
            self._seeds(1),
            iterations=iterations,
            batch=spec.batch,
            lr=spec.lr,
            starts=self.starts[: spec.nets],
            on_iteration=lambda t, nets: self._progress(t, iterations),
        )
        self._look(REAL, ORDER, first, other)
        self._look(REAL, START, first, fresh)
        self._keep()

    def trained_on(self, source: TrainedOn) -> None:
        """Pairs of which one or both were trained on a source."""
        key = source.facts.key
        if f"loss.{key}.{SET_REAL}.{AS_IS}" not in self.arrays:
            begun, fresh = self._halves(self.start)
            first, other = self._train(source, begun, 0), self._train(source, begun, 1)
            self._look(key, ORDER, first, other)
            self._look(key, START, first, self._train(source, fresh, 2))
            self._look(key, SET_REAL, first, self._halves(self.real)[0])
            self._keep()
        self.done += 1

    def _train(self, source: TrainedOn, start: TrainedNets, training: int) -> TrainedNets:
        images, labels = (
            torch.from_numpy(a).to(self.data.device) for a in (source.images, source.labels)
        )
        return train(
            start.network.net,
            images,
            labels,
            self.data.num_classes,
            self.spec.recipe(images.shape[-4]),
            self._seeds(training),
            start=start,
            on_step=lambda step, steps: self._progress(training * steps + step, TRAININGS * steps),
        )

    def _look(self, key: str, kind: str, one: TrainedNets, other: TrainedNets) -> None:
        """Keep loss and error between pairs as they are, and with the units of the second ones matched."""
        ways = {AS_IS: other}
        if self.layers is not None:
            generator = rng.numpy_generator(self.spec.seed, "matching", key, kind)
            ways[MATCHED] = matched(one, other, self.layers, generator)
        for way, nets in ways.items():
            found = along(one, nets, self.data.test, self.spec.points)
            for measure, values in zip(("loss", "error"), found):
                self.arrays[f"{measure}.{key}.{kind}.{way}"] = values

    def _keep(self) -> None:
        self.context.check_cancel()
        if self.context.checkpoint_due():
            self.context.save_checkpoint(self.done, self.arrays, {})

    def _progress(self, step: int, steps: int) -> None:
        done = STEPS * (self.done + step / steps) / self.total
        self.context.progress(int(done), STEPS)


def between(one: TrainedNets, other: TrainedNets, share: float) -> TrainedNets:
    """Networks on the lines from one to the other, at so much of the other; the ends as they are."""
    if share in (0, 1):
        return other if share else one
    params = {k: torch.lerp(w, other.params[k], float(share)) for k, w in one.params.items()}
    return TrainedNets(one.network, params, {})


def along(
    one: TrainedNets, other: TrainedNets, test: Part, points: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean cross-entropy and error (points, nets) on test images along the lines between pairs."""
    losses, errors = [], []
    for share in shares(points):
        logits = torch.cat(between(one, other, share).logits_in_batches(test), dim=1)
        losses.append(mean_losses(logits, test.labels))
        errors.append([1 - right for right in agreement(logits.argmax(2), test.labels)])
    return np.array(losses), np.array(errors)


def matched(
    one: TrainedNets,
    other: TrainedNets,
    layers: tuple[alignment.HiddenUnits, ...],
    generator: np.random.Generator,
) -> TrainedNets:
    """The second networks of pairs with their hidden units where they are most like those of the first."""
    to, weights = (
        {k: w.detach().cpu().numpy() for k, w in nets.params.items()} for nets in (one, other)
    )
    found = []
    for i in range(one.network.num_nets):
        own, target = ({k: w[i] for k, w in named.items()} for named in (weights, to))
        orders = alignment.match(target, own, layers, generator)
        found.append(alignment.permuted(own, layers, orders))
    stacked = {k: torch.from_numpy(np.stack([f[k] for f in found])) for k in weights}
    device = next(iter(other.params.values())).device
    return TrainedNets(other.network, {k: w.to(device) for k, w in stacked.items()}, {})
