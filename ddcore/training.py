"""Training N networks at once under a protocol, and measuring them.

Network i of a batch draws its weights, its order of images and its augmentation from its own streams,
so N networks at once give what N separate trainings give (to rounding).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ddcore import augment, rng, strategies
from ddcore.data.tensors import Part
from ddcore.errors import DataError
from ddcore.nets.architectures import NetSpec
from ddcore.nets.network import Network, Params, select, to_module
from ddcore.nets.plan import cost
from ddcore.nets.pretrained import alexnet_weights
from ddcore.placing import placed, placed_together
from ddcore.protocols import Protocol

if TYPE_CHECKING:
    from ddcore.distilled import DistilledSet

Images = Tensor | np.ndarray | Part  # preprocessed (B, C, H, W)

CPU_IMAGES_AT_ONCE = 200  # networks x batch; beyond it a loop beats grouped convolutions (measured)
SMALL_ACTIVATIONS = 20_000  # floats per image
CUDA_FLOATS_AT_ONCE = 1 << 30  # activations kept for the backward pass


class Trained:
    """N trained models that can be tested: networks, or kernel machines."""

    @property
    def module(self) -> torch.nn.Module:
        """The first model as a `torch.nn.Module`."""
        raise NotImplementedError

    def logits_in_batches(self, images: Images, batch: int = 2000) -> list[Tensor]:
        """Outputs (N, b, K) per batch, on the CPU."""
        raise NotImplementedError

    def predict(self, images: Images, batch: int = 2000) -> Tensor:
        """Predicted classes (N, B) of preprocessed images (B, C, H, W), on the CPU."""
        return torch.cat([lg.argmax(2) for lg in self.logits_in_batches(images, batch)], dim=1)

    def accuracy(self, part: Part) -> list[float]:
        """Share of the part's images that each model classifies as labelled."""
        return agreement(self.predict(part), part.labels)

    def losses(self, part: Part) -> list[float]:
        """Mean cross-entropy of each model on the part."""
        return mean_losses(torch.cat(self.logits_in_batches(part), dim=1), part.labels)


@dataclass(frozen=True)
class TrainedNets(Trained):
    """N trained networks: stacked weights and batch-norm statistics."""

    network: Network
    params: Params
    stats: Params

    @property
    def module(self) -> torch.nn.Module:
        """The first network as an ordinary `nn.Module` in eval mode."""
        return to_module(self.network, self.params, self.stats)

    def logits_in_batches(self, images: Images, batch: int = 2000) -> list[Tensor]:
        """Outputs (N, b, K) per batch, on the CPU; networks one by one, which is fastest when large."""
        single = self.network.with_nets(1)
        device = next(iter(self.params.values())).device
        found = []
        with torch.no_grad():
            for part in in_batches(images, batch):
                part = part.to(device)
                outputs = [
                    single.logits(
                        select(self.params, i), part, select(self.stats, i), training=False
                    )
                    for i in range(self.network.num_nets)
                ]
                found.append(torch.cat(outputs).cpu())
        return found

    def features(self, images: Images, batch: int = 2000) -> Tensor:
        """Penultimate features (N, B, F), on the CPU."""
        device = next(iter(self.params.values())).device
        with torch.no_grad():
            parts = [
                self.network.features(self.params, p.to(device), self.stats, training=False).cpu()
                for p in in_batches(images, batch)
            ]
        return torch.cat(parts, dim=1)


def agreement(predicted: Tensor, labels: Tensor) -> list[float]:
    """Of each network, the share of images classified as labelled: (N, B) on the CPU, and (B,)."""
    return (predicted == labels.cpu()).float().mean(1).tolist()


def mean_losses(logits: Tensor, labels: Tensor) -> list[float]:
    """Of each network, the mean cross-entropy: logits (N, B, K) on the CPU, labels (B,)."""
    targets = labels.cpu().expand(len(logits), -1)
    return F.cross_entropy(logits.mT, targets, reduction="none").mean(1).tolist()


def in_batches(images: Images, batch: int) -> Iterator[Tensor]:
    """Preprocessed images, `batch` at a time."""
    if isinstance(images, Part):
        yield from (x for x, _ in images.batches(batch))
    else:
        yield from _tensor(images).split(batch)


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Sum over networks of the mean cross-entropy: logits (N, B, K), targets (B,), (N, B) or soft."""
    n, b, k = logits.shape
    if targets.is_floating_point():
        targets = targets.expand(n, b, k).reshape(n * b, k)
    else:
        targets = targets.expand(n, b).reshape(n * b)
    return F.cross_entropy(logits.reshape(n * b, k), targets, reduction="sum") / b


def squared_error(logits: Tensor, targets: Tensor) -> Tensor:
    """Sum over networks of the mean squared error to centred targets: one-hot (or soft) minus 1/K."""
    classes = logits.shape[-1]
    if not targets.is_floating_point():
        targets = F.one_hot(targets, classes).to(logits.dtype)
    return (logits - (targets - 1 / classes)).square().mean((1, 2)).sum()


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"ce": cross_entropy, "mse": squared_error}


def limit_threads(network: Network, device: str | torch.device) -> None:
    """One CPU thread for small networks: a second one costs as much as it gains (measured on digits)."""
    small = cost(network.plan, network.shape).activations < SMALL_ACTIVATIONS
    if small and torch.device(device).type == "cpu":
        torch.set_num_threads(1)


def nets_at_once(network: Network, batch: int, device: str | torch.device) -> int:
    """How many networks to train together: measured on the CPU, bounded by memory on a GPU."""
    if torch.device(device).type == "cpu":
        return max(1, CPU_IMAGES_AT_ONCE // max(batch, 1))
    per_net = cost(network.plan, network.shape).activations * max(batch, 1)
    return max(1, CUDA_FLOATS_AT_ONCE // per_net)


def train(
    net: NetSpec,
    images: Tensor,
    labels: Tensor,
    classes: int,
    protocol: Protocol,
    seeds: Sequence[int],
    *,
    on_step: Callable[[int, int], None] = lambda step, total: None,
    on_epoch: Callable[[int, TrainedNets], None] = lambda epoch, nets: None,
    network: Network | None = None,
    chunk: int | None = None,
) -> TrainedNets:
    """Train one network per seed on preprocessed images, at the protocol's own step size.

    images: (M, C, H, W) shared, or (N, M, C, H, W) with a set of its own for each network; on the
    device to train on. labels: (M,) integers, (M, K) soft, or (N, M, K) soft for each network. `chunk`
    overrides how many networks are trained together. `on_epoch` sees each such group after every epoch
    (0: untrained); its weights are the ones in training, so what is kept must be copied. Raises nothing on
    divergence: the accuracy says it.
    """
    shared = images.ndim == 4
    network = network or Network(net, tuple(images.shape[-3:]), classes)
    batch = protocol.batch or images.shape[-4]
    chunk = chunk or nets_at_once(network, min(batch, images.shape[-4]), images.device)
    trained = []
    for start in range(0, len(seeds), chunk):
        part = seeds[start : start + chunk]
        own = images if shared else images[start : start + chunk]
        wanted = labels if labels.ndim < 3 else labels[start : start + chunk]

        def report(step: int, total: int, done: int = start, count: int = len(part)) -> None:
            on_step(done * total + count * step, len(seeds) * total)

        trained.append(
            _train_chunk(
                network.with_nets(len(part)), own, wanted, protocol, part, report, on_epoch
            )
        )
    return TrainedNets(
        network.with_nets(len(seeds)),
        {k: torch.cat([t.params[k] for t in trained]) for k in trained[0].params},
        {k: torch.cat([t.stats[k] for t in trained]) for k in trained[0].stats},
    )


def _train_chunk(
    network: Network,
    images: Tensor,
    labels: Tensor,
    protocol: Protocol,
    seeds: Sequence[int],
    on_step: Callable[[int, int], None],
    on_epoch: Callable[[int, TrainedNets], None],
) -> TrainedNets:
    device = images.device
    params = network.init([rng.generator(s, "init") for s in seeds], device)
    stats = network.init_stats(device)
    weights = [w.requires_grad_() for w in params.values()]
    optimiser = make_optimiser(protocol, weights)
    batches = Batches(images, labels, network.classes, protocol, seeds)
    averaged = [w.detach().clone() for w in weights] if protocol.ema else []
    loss_of = LOSSES[protocol.loss]
    drops = {int(m * protocol.epochs) + 1 for m in protocol.milestones}  # E // 2 + 1 when m = 0.5
    step, total = 0, protocol.epochs * batches.per_epoch
    nets = TrainedNets(network, params, stats)
    on_epoch(0, nets)
    for epoch in range(protocol.epochs):
        if epoch in drops:
            for group in optimiser.param_groups:
                group["lr"] *= protocol.decay
        for x, y in batches.epoch():
            loss = loss_of(network.logits(params, x, stats), y)
            gradients = torch.autograd.grad(loss, weights)
            for w, g in zip(weights, gradients):
                w.grad = g
            optimiser.step()
            if averaged:
                torch._foreach_lerp_(averaged, [w.detach() for w in weights], 1 - protocol.ema)
            step += 1
            on_step(step, total)
        on_epoch(epoch + 1, nets)
    final = averaged or [w.detach() for w in weights]
    return TrainedNets(network, dict(zip(params, final)), stats)


def make_optimiser(protocol: Protocol, weights: list[Tensor]) -> torch.optim.Optimizer:
    """The protocol's optimiser; elementwise, so stacked networks stay independent."""
    if protocol.optimiser == "adam":
        return torch.optim.Adam(weights, protocol.lr, weight_decay=protocol.weight_decay)
    return torch.optim.SGD(
        weights, protocol.lr, momentum=protocol.momentum, weight_decay=protocol.weight_decay
    )


class Batches:
    """Minibatches by index, shuffled and augmented per network."""

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        classes: int,
        protocol: Protocol,
        seeds: Sequence[int],
    ) -> None:
        self.images, self.labels, self.protocol = images, labels, protocol
        self.classes = classes
        self.shared = images.ndim == 4
        self.count = images.shape[-4]
        self.batch = min(protocol.batch or self.count, self.count)
        self.per_epoch = -(-self.count // self.batch)
        self.orders = [rng.generator(s, "order") for s in seeds]
        self.augments = [rng.generator(s, "augment") for s in seeds]
        self.together, self.stages = strategies.stages(protocol.augment)
        self.mixes = [rng.generator(s, "cutmix") for s in seeds]

    def epoch(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (images, labels); images (N, B, C, H, W), or (B, C, H, W) when all see the same."""
        if self.batch == self.count:
            yield self._mixed(self._augmented(self.images), self.labels)
            return
        order = torch.stack([torch.randperm(self.count, generator=g) for g in self.orders])
        order = placed(order, self.images.device)
        nets = torch.arange(len(order), device=order.device)[:, None]
        for index in order.split(self.batch, dim=1):
            x = self.images[index] if self.shared else self.images[nets, index]
            y = self.labels[index] if self.labels.ndim < 3 else self.labels[nets, index]
            yield self._mixed(self._augmented(x), y)

    def _augmented(self, x: Tensor) -> Tensor:
        if not self.stages:
            return x
        n = len(self.augments)
        if x.ndim == 4:
            x = x.expand(n, *x.shape)
        flat = x.flatten(0, 1)
        for stage in self.stages:
            draws = [
                augment.sample(stage, x.shape[1], g, together=self.together) for g in self.augments
            ]
            flat = augment.apply(flat, augment.Draw.cat(draws))
        return flat.unflatten(0, (n, -1))

    def _mixed(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """CutMix: with probability `cutmix` per network, paste one box of a shuffled batch."""
        if not self.protocol.cutmix:
            return x, y
        n = len(self.mixes)
        if x.ndim == 4:
            x = x.expand(n, *x.shape)
        if not y.is_floating_point():
            y = F.one_hot(y, self.classes).to(x.dtype)
        y = y.expand(n, *y.shape[-2:])
        count, height, width = x.shape[1], *x.shape[-2:]
        order, masks = [], torch.zeros(n, 1, 1, height, width)
        for mask, g in zip(masks, self.mixes):
            order.append(torch.randperm(count, generator=g))
            happens, area, row, column = torch.rand(4, generator=g).tolist()
            if happens < self.protocol.cutmix:
                half = (area**0.5) / 2  # beta(1, 1): the box's share of the image is uniform
                top, bottom = (round(height * (row + s * half)) for s in (-1, 1))
                left, right = (round(width * (column + s * half)) for s in (-1, 1))
                mask[..., max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = 1
        nets = torch.arange(n, device=x.device)[:, None]
        shuffled, masks = placed_together([torch.stack(order), masks], x.device)
        share = masks.mean((2, 3, 4))[..., None]
        x = x * (1 - masks) + x[nets, shuffled] * masks
        return x, y * (1 - share) + y[nets, shuffled] * share


def train_ordered(
    network: Network,
    params: Params,
    images: Tensor,
    labels: Tensor,
    lrs: Tensor,
    steps: int,
    on_step: Callable[[int, Params], None] = lambda step, params: None,
    momentum: float = 0.0,
) -> Params:
    """Gradient descent through a set's own steps in order (protocol `native-2018`).

    images (M, C, H, W) or (N, M, ...), step-major with M / steps each; labels as for `train`; lrs
    (steps * passes,).
    """
    per_step = images.shape[-4] // steps
    params, velocity = dict(params), dict.fromkeys(params, 0.0)
    for k, lr in enumerate(lrs.tolist()):
        s = slice((k % steps) * per_step, (k % steps + 1) * per_step)
        x = images[s] if images.ndim == 4 else images[:, s]
        weights = {name: w.detach().requires_grad_() for name, w in params.items()}
        y = labels[s] if labels.ndim < 3 else labels[:, s]
        loss = cross_entropy(network.logits(weights, x), y)
        gradients = torch.autograd.grad(loss, list(weights.values()))
        velocity = {n: momentum * velocity[n] + g for n, g in zip(weights, gradients)}
        params = {n: (w - lr * velocity[n]).detach() for n, w in weights.items()}
        on_step(k + 1, params)
    return params


def train_on_set(
    distilled: DistilledSet,
    net: NetSpec,
    *,
    seed: int = 0,
    nets: int = 1,
    device: str = "cpu",
    weights: Params | None = None,
) -> Trained:
    """Train networks on a distilled set the way it is meant to be used (its own protocol).

    `weights` are the initial ones of as many networks, which only a set made for a bank's needs.
    """
    if weights is not None:
        nets = len(next(iter(weights.values())))
    images, labels = (_tensor(a).to(device) for a in distilled.for_training(distilled.protocol))
    seeds = [rng.derive(seed, "net", i) for i in range(nets)]
    classes = distilled.num_classes
    if distilled.protocol.closed_form:
        from ddcore.kernels import machine  # which imports this module

        phi = machine.stored_map(distilled.learner, distilled.exact, device)
        return machine.train(distilled.learner, images, labels, classes, seeds, phi)
    if not distilled.protocol.ordered:
        recipe = with_learned_lr(distilled.protocol, distilled)
        return train(net, images, labels, classes, recipe, seeds)
    network = Network(net, distilled.shape, classes, nets)
    params = starting_weights(distilled, network, seeds, device) if weights is None else weights
    lrs = _tensor(distilled.lrs)
    params = train_ordered(
        network, params, images, labels, lrs, distilled.steps, momentum=distilled.momentum
    )
    return TrainedNets(network, params, network.init_stats(device))


def with_learned_lr(protocol: Protocol, distilled: DistilledSet | None) -> Protocol:
    """The protocol at the set's own step size, if it asks for that and the set has learned one."""
    if not protocol.learned_lr or distilled is None or distilled.lrs is None:
        return protocol
    return protocol.replace(lr=float(np.mean(distilled.lrs)))


def starting_weights(
    distilled: DistilledSet, network: Network, seeds: Sequence[int], device: str
) -> Params:
    """The known weights a set was made for, or fresh ones, one network per seed.

    Those of a set made for a bank's networks are not in it: `DataError`.
    """
    if distilled.init_weights and network.net == distilled.net:
        fixed = {k: _tensor(w).to(device) for k, w in distilled.init_weights.items()}
        return {k: w.expand(len(seeds), *w.shape[1:]).clone() for k, w in fixed.items()}
    start = distilled.start
    if start.get("bank"):
        source = start["bank"]["data"]["name"]
        raise DataError(f"This set is made for networks trained on {source}: pass their weights.")
    if start.get("weights") and network.net == distilled.net:
        return alexnet_weights(start["weights"], network, start["seed"], device)
    return network.init([rng.generator(s, "init") for s in seeds], device)


def _tensor(values: Tensor | np.ndarray) -> Tensor:
    return values if isinstance(values, Tensor) else torch.from_numpy(np.ascontiguousarray(values))
