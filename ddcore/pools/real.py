"""Training pools of networks on real data (see `pools`), many at once.

Network i of a pool draws its weights, images and order from its own streams, so a batch of networks
gives what training them one at a time gives, to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from ddcore.base import execution, rng
from ddcore.base.errors import SpecError
from ddcore.base.spread import summary
from ddcore.data.tensors import Part
from ddcore.nets.architectures import NetSpec
from ddcore.nets.network import Network, shape_of
from ddcore.nets.plan import cost
from ddcore.nets.precision import FLOAT32
from ddcore.pools import published
from ddcore.pools.networks import Job, Kept, as_arrays
from ddcore.pools.real_spec import Counts, EarlyPool, Pool, RealPool, SubsetPool
from ddcore.tasks.worker import Context
from ddcore.training.steps import batch_gradients, gradients
from ddcore.training.trained import TrainedNets, agreement

Pools = TypeVar("Pools", bound=Pool)


def train_real(
    net: NetSpec,
    part: Part,
    classes: int,
    seeds: Sequence[int],
    *,
    iterations: int,
    batch: int,
    lr: float,
    momentum: float = 0.9,
    precision: str = FLOAT32,
    subsets: Tensor | None = None,
    starts: Sequence[int] | None = None,
    on_iteration: Callable[[int, TrainedNets], None] = lambda t, nets: None,
) -> TrainedNets:
    """Train one network per seed at once: SGD with momentum on the mean cross-entropy of minibatches.

    Network i takes its weights and its order of images from streams of `seeds[i]`, its weights from that of
    `starts[i]` if given. `subsets` (N, M) are
    the rows of `part` that each network sees, all of them without it. An epoch is shuffled and cut into
    batches, the last one shorter; `batch` 0, or one that takes all, uses all images in their order.
    `on_iteration(t, nets)` sees the networks before the first update (t = 0) and after every one; their
    weights are those in training, so what is kept must be copied.
    """
    device = part.images.device
    network = Network(net, shape_of(part.images), classes, len(seeds), precision=precision)
    params = network.init([rng.generator(s, "init") for s in starts or seeds], device)
    weights = [w.requires_grad_() for w in params.values()]
    nets = TrainedNets(network.in_float32(), params, network.init_stats(device))
    optimiser = torch.optim.SGD(weights, lr, momentum=momentum)
    count = len(part) if subsets is None else subsets.shape[1]
    size = min(batch or count, count)
    work = 3.0 * len(seeds) * iterations * size * cost(network.plan, network.shape).macs
    step = execution.step(gradients, network, "ce", total=work)
    on_iteration(0, nets)
    rows = _batches(count, batch, [rng.generator(s, "order") for s in seeds], subsets)
    for t, index in enumerate(islice(rows, iterations), 1):
        x = part.batch(index.flatten()).unflatten(0, index.shape)
        held = [*weights, *nets.stats.values()]
        for w, g in zip(weights, batch_gradients(step, network, held, x, part.labels[index])):
            w.grad = g
        optimiser.step()
        on_iteration(t, nets)
    trained = {name: w.detach() for name, w in params.items()}
    return TrainedNets(nets.network, trained, nets.stats)


def _batches(
    count: int, batch: int, orders: list[torch.Generator], subsets: Tensor | None
) -> Iterator[Tensor]:
    """Rows of images without end: (N, B), or (B,) where all networks see the same."""
    if batch == 0 or batch >= count:
        whole = torch.arange(count) if subsets is None else subsets
        while True:
            yield whole
    while True:
        order = torch.stack([torch.randperm(count, generator=g) for g in orders])
        rows = order if subsets is None else subsets.gather(1, order)
        yield from rows.split(batch, dim=1)


def per_class_orders(labels: np.ndarray, classes: int, seed: int) -> list[np.ndarray]:
    """A random order of each class's rows; the first k of each are nested subsets for growing k."""
    generators = [rng.numpy_generator(seed, "subset", c) for c in range(classes)]
    return [g.permutation(np.flatnonzero(labels == c)) for c, g in enumerate(generators)]


def first_per_class(orders: list[np.ndarray], k: int) -> np.ndarray:
    """The first `k` rows of every class, sorted by class: (classes * k,)."""
    return np.concatenate([rows[:k] for rows in orders])


# --- the tasks ------------------------------------------------------------------------------------


class _Training(Job[Pools]):
    """What the three pools share beyond others: how they train and test."""

    def train(
        self,
        seeds: Sequence[int],
        iterations: int,
        subsets: np.ndarray | None = None,
        on_iteration: Callable[[int, TrainedNets], None] = lambda t, nets: None,
    ) -> TrainedNets:
        """The next few networks; reports progress."""
        spec, report = self.spec, self.reporter(len(seeds))

        def step(t: int, nets: TrainedNets) -> None:
            report(t, iterations)
            on_iteration(t, nets)

        return train_real(
            spec.net,
            self.data.train,
            self.data.num_classes,
            seeds,
            iterations=iterations,
            batch=spec.batch,
            lr=spec.lr,
            momentum=spec.momentum,
            precision=spec.precision,
            subsets=None if subsets is None else torch.from_numpy(subsets),
            on_iteration=step,
        )

    def predict(self, nets: TrainedNets) -> np.ndarray:
        """Classes of the test images (N, B), in as few bytes as they fit."""
        kind = np.min_scalar_type(self.data.num_classes - 1)
        return nets.predict(self.data.test).numpy().astype(kind)

    def accuracy(self, predicted: np.ndarray) -> np.ndarray:
        """Share of the test images predicted as labelled: (..., B) to (...)."""
        return (predicted == self.data.dataset.test_labels).mean(-1).astype(np.float32)

    def save(self, arrays: Kept, **facts: object) -> None:
        """Write arrays and result."""
        data = self.data
        number = Counts(len(data.train), len(data.test))
        self.context.save_arrays(arrays)
        self.save_result(self.spec.cost(data.shape, data.num_classes, number).macs, **facts)

    def batch(self, images: int) -> int:
        """Of so many images, those used at once."""
        return min(self.spec.batch or images, images)


def run_real(context: Context[RealPool]) -> None:
    """Task `real_nets`: see `RealPool`."""
    spec = context.spec
    job = _Training(context, spec.nets)
    if spec.published:
        _from_file(job)
        return
    labels, classes = job.data.dataset.train_labels, job.data.num_classes
    _require(spec, "per_class", spec.per_class, labels)
    images = spec.per_class * classes or len(labels)
    iterations = spec.epochs_for(images) * -(-images // (spec.batch or images))
    for chunk in job.chunks(job.batch(images)):
        seeds = [job.seed(i) for i in chunk]
        subsets = _subsets(labels, classes, seeds, spec.per_class) if spec.per_class else None
        nets = job.train(seeds, iterations, subsets)
        predicted = job.predict(nets)
        arrays = {f"weights.{k}": w for k, w in as_arrays(nets).items()}
        arrays |= {"predicted": predicted, "test": job.accuracy(predicted)}
        arrays["train"] = np.array(_train_accuracy(nets, job.data.train, subsets), np.float32)
        job.keep(len(chunk), arrays)
    arrays = job.joined()
    weights = {k.removeprefix("weights."): a for k, a in arrays.items() if k[:8] == "weights."}
    context.save_arrays(weights, name="weights")
    rest = {k: a for k, a in arrays.items() if k[:8] != "weights."}
    job.save(
        rest,
        epochs=spec.epochs_for(images),
        test=summary(rest["test"].tolist()),
        train=summary(rest["train"].tolist()),
    )


def _from_file(job: _Training[RealPool]) -> None:
    """Weights as they were published, tested like those that were trained; no image is learned from."""
    data, spec = job.data, job.spec
    nets = published.load(spec.published, data.shape, data.num_classes, job.context.device)
    predicted = job.predict(nets)
    test = job.accuracy(predicted)
    job.context.save_arrays(as_arrays(nets), name="weights")
    job.save({"predicted": predicted, "test": test}, epochs=0, test=summary(test.tolist()))


def run_early(context: Context[EarlyPool]) -> None:
    """Task `early_nets`: see `EarlyPool`."""
    spec = context.spec
    job = _Training(context, spec.nets)
    steps = np.arange(spec.every, spec.iterations + 1, spec.every)
    for chunk in job.chunks(job.batch(len(job.data.train))):
        seeds = [job.seed(i) for i in chunk]
        seen: list[np.ndarray] = []

        def test(t: int, nets: TrainedNets, seen: list[np.ndarray] = seen) -> None:
            if t and t % spec.every == 0:
                seen.append(job.predict(nets))

        job.train(seeds, spec.iterations, on_iteration=test)
        predicted = np.stack(seen, axis=1)
        job.keep(len(chunk), {"predicted": predicted, "accuracy": job.accuracy(predicted)})
    arrays = job.joined()
    last = arrays["accuracy"][:, -1].tolist()
    job.save({**arrays, "steps": steps}, accuracy=summary(last))


def run_subset(context: Context[SubsetPool]) -> None:
    """Task `subset_nets`: see `SubsetPool`. Networks with sets of one size are trained together."""
    spec = context.spec
    nets = len(spec.sizes) * spec.draws
    job = _Training(context, nets)
    labels, classes = job.data.dataset.train_labels, job.data.num_classes
    _require(spec, "sizes", max(spec.sizes), labels)
    streams = [job.seed("images", d) for d in range(spec.draws)]
    for place, k in enumerate(spec.sizes):
        at_once = job.at_once(job.batch(k * classes))
        end = (place + 1) * spec.draws
        while job.done < end:
            draws = range(job.done % spec.draws, min(job.done % spec.draws + at_once, spec.draws))
            seeds = [job.seed(k, d) for d in draws]
            subsets = _subsets(labels, classes, [streams[d] for d in draws], k)
            predicted = job.predict(job.train(seeds, spec.steps(k * classes), subsets))
            arrays = {"predicted": predicted, "accuracy": job.accuracy(predicted)}
            arrays |= {"size": np.full(len(seeds), k), "draw": np.array(draws)}
            job.keep(len(seeds), arrays)
    arrays = job.joined()
    job.save(arrays, accuracy=summary(arrays["accuracy"].tolist()))


def _subsets(labels: np.ndarray, classes: int, seeds: Sequence[int], k: int) -> np.ndarray:
    """(N, classes * k) training rows, those of each network from its own stream."""
    return np.stack([first_per_class(per_class_orders(labels, classes, s), k) for s in seeds])


def _require(spec: Pool, field: str, wanted: int, labels: np.ndarray) -> None:
    smallest = int(np.bincount(labels).min())
    if wanted > smallest:
        allowed = f"at most {smallest} images per class, those of the smallest class"
        raise SpecError(field, wanted, allowed)


def _train_accuracy(nets: TrainedNets, part: Part, subsets: np.ndarray | None) -> list[float]:
    """Of each network, the share of its own training images classified as labelled."""
    if subsets is None:
        return nets.accuracy(part)
    rows = torch.from_numpy(subsets)
    predicted = [nets.predict(part.batch(r))[i] for i, r in enumerate(rows)]
    return [agreement(p[None], part.labels[r])[0] for p, r in zip(predicted, rows)]
