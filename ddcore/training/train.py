"""Training N networks at once under a protocol, and measuring them.

Network i of a batch draws its weights, its order of images and its augmentation from its own streams,
so N networks at once give what N separate trainings give (to rounding).
"""

from __future__ import annotations

import collections
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ddcore.base import execution, rng
from ddcore.nets.architectures import NetSpec
from ddcore.nets.network import Network, shape_of
from ddcore.nets.plan import cost
from ddcore.training.batches import Batches
from ddcore.training.chunks import nets_at_once
from ddcore.training.labels import smoothed
from ddcore.training.losses import loss_of
from ddcore.training.protocols import Protocol
from ddcore.training.stages import Stage, stages
from ddcore.training.steps import batch_gradients, gradients, part_sizes
from ddcore.training.teacher import Teach, as_given
from ddcore.training.trained import TrainedNets


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
    only: range | None = None,
    start: TrainedNets | None = None,
    teach: Teach = as_given,
) -> TrainedNets:
    """Train one network per seed on preprocessed images, at the protocol's own step size.

    images: (M, C, H, W) shared, or (N, M, C, H, W) with a set of its own for each network; on the
    device to train on. labels: (M,) integers, (M, K) soft, or (N, M, K) soft for each network. `chunk`
    overrides how many networks are trained together, and `only` some of the N are. `on_epoch` sees each such
    group after every epoch (0: untrained); its weights are the ones in training, so what is kept must be
    copied. They begin with the weights of `start`, one for each network that is trained, if given. `teach`
    makes the labels of every batch, from its images after augmentation and CutMix and from what it would be
    taught otherwise. Raises nothing on divergence, the accuracy says it; `SpecError` where a class cannot be
    divided into the protocol's stages.
    """
    shared = images.ndim == 4
    precision = protocol.precision
    network = network or Network(net, shape_of(images), classes, precision=precision)
    batch = protocol.batch or images.shape[-4]
    chunk = chunk or nets_at_once(network, min(batch, images.shape[-4]), images.device)
    trained = []
    which = range(len(seeds)) if only is None else only
    for first in which[::chunk]:
        here = slice(first, min(first + chunk, which.stop))
        part = seeds[here]
        own = images if shared else images[here]
        wanted = labels if labels.ndim < 3 else labels[here]

        def report(step: int, total: int, before: int = first, count: int = len(part)) -> None:
            on_step((before - which.start) * total + count * step, len(which) * total)

        these = network.with_nets(len(part))
        nets = start and start.part(slice(first - which.start, here.stop - which.start))
        for stage in stages(own, wanted, classes, protocol, part):
            phases = _phases(these, len(seeds), stage, protocol, teach)
            nets = _train_stage(these, phases, stage, protocol, report, on_epoch, nets)
        assert nets
        trained.append(nets)
    return TrainedNets(
        network.with_nets(len(which)).in_float32(),
        {k: torch.cat([t.params[k] for t in trained]) for k in trained[0].params},
        {k: torch.cat([t.stats[k] for t in trained]) for k in trained[0].stats},
    )


@dataclass(frozen=True)
class _Phase:
    """Epochs that take their batches, labels and loss from one place."""

    batches: Batches
    take: execution.PureStep
    teach: Teach


def _phases(
    network: Network,
    nets: int,
    stage: Stage,
    protocol: Protocol,
    teach: Teach,
) -> Callable[[int], _Phase]:
    """The phase of every epoch, counted from 0: one, or another between `classes_between`."""
    classes, images, labels, seeds = network.classes, stage.images, stage.labels, stage.seeds
    if protocol.smoothing and not labels.is_floating_point():
        first = smoothed(labels, classes, protocol.smoothing)
    else:
        first = labels
    take = _gradients(network, nets, images, protocol)
    usual = _Phase(Batches(images, first, classes, protocol, seeds), take, teach)
    if not protocol.classes_between:
        return lambda epoch: usual
    hard = labels.argmax(-1) if labels.is_floating_point() else labels
    plain = protocol.replace(loss="ce")
    known = smoothed(hard, classes, protocol.smoothing)
    apart = [rng.derive(s, "classes") for s in seeds]
    take = _gradients(network, nets, images, plain)
    between = _Phase(Batches(images, known, classes, plain, apart), take, as_given)
    start, end = (round(share * protocol.epochs) for share in protocol.classes_between)
    return lambda epoch: between if start <= epoch < end else usual


def _gradients(
    network: Network, nets: int, images: Tensor, protocol: Protocol
) -> execution.PureStep:
    """Derivatives for a step of some of `nets` networks, all of which see `images` in batches."""
    count = images.shape[-4]
    batch = min(protocol.batch or count, count)
    each = 3.0 * nets * protocol.epochs * cost(network.plan, network.shape).macs
    seen: collections.Counter[int] = collections.Counter()  # images in parts of a size
    for size, times in ((batch, count // batch), (count % batch, 1)):
        for part in part_sizes(network, size, images.device) if size else ():
            seen[part] += times * part

    def of(*tensors: Tensor) -> float:
        return each * seen[tensors[-2].shape[-4]]

    loss = loss_of(protocol.loss, protocol.temperature)
    return execution.step(gradients, network, loss, total=each * count, of=of)


def _train_stage(
    network: Network,
    phase_of: Callable[[int], _Phase],
    stage: Stage,
    protocol: Protocol,
    on_step: Callable[[int, int], None],
    on_epoch: Callable[[int, TrainedNets], None],
    begun: TrainedNets | None,
) -> TrainedNets:
    device = stage.images.device
    if begun:
        params = {k: begun.params[k].detach().to(device, copy=True) for k in network.names}
        stats = {k: begun.stats[k].to(device, copy=True) for k in network.stat_names}
    else:
        params = network.init([rng.generator(s, "init") for s in stage.seeds], device)
        stats = network.init_stats(device)
    weights = [w.requires_grad_() for w in params.values()]
    optimiser = make_optimiser(protocol, weights)
    averaged = [w.detach().clone() for w in weights] if protocol.ema else []
    drops = {int(m * protocol.epochs) + 1 for m in protocol.milestones}  # E // 2 + 1 when m = 0.5
    step, lr = stage.steps_before, protocol.lr
    nets = TrainedNets(network.in_float32(), params, stats)
    if stage.epochs_before == 0:
        on_epoch(0, nets)
    for epoch in range(protocol.epochs):
        if epoch in drops:
            lr *= protocol.decay
        for group in optimiser.param_groups:
            group["lr"] = lr * wave(protocol, epoch)
        phase = phase_of(epoch)
        for x, y in phase.batches.epoch():
            targets = phase.teach(x, y)
            held = [*weights, *stats.values()]
            for w, g in zip(weights, batch_gradients(phase.take, network, held, x, targets)):
                w.grad = g
            optimiser.step()
            if averaged:
                torch._foreach_lerp_(averaged, [w.detach() for w in weights], 1 - protocol.ema)
            step += 1
            on_step(step, stage.steps)
        on_epoch(stage.epochs_before + epoch + 1, nets)
    final = averaged or [w.detach() for w in weights]
    return TrainedNets(nets.network, dict(zip(params, final)), stats)


def wave(protocol: Protocol, epoch: int) -> float:
    """What the cosine schedule leaves of the step size in an epoch, counted from 0; 1 without one."""
    if not protocol.cosine:
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * epoch / (protocol.epochs * protocol.cosine)))


def make_optimiser(protocol: Protocol, weights: list[Tensor]) -> torch.optim.Optimizer:
    """The protocol's optimiser; elementwise, so stacked networks stay independent."""
    if protocol.optimiser == "adam":
        return torch.optim.Adam(weights, protocol.lr, weight_decay=protocol.weight_decay)
    if protocol.optimiser == "adamw":
        return torch.optim.AdamW(weights, protocol.lr, weight_decay=protocol.weight_decay)
    return torch.optim.SGD(
        weights, protocol.lr, momentum=protocol.momentum, weight_decay=protocol.weight_decay
    )
