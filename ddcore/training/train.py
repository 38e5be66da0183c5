"""Training N networks at once under a protocol, and measuring them.

Network i of a batch draws its weights, its order of images and its augmentation from its own streams,
so N networks at once give what N separate trainings give (to rounding).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ddcore.base import rng
from ddcore.nets.architectures import NetSpec
from ddcore.nets.network import Network, shape_of
from ddcore.training.batches import Batches
from ddcore.training.chunks import nets_at_once
from ddcore.training.losses import LOSSES
from ddcore.training.protocols import Protocol
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
) -> TrainedNets:
    """Train one network per seed on preprocessed images, at the protocol's own step size.

    images: (M, C, H, W) shared, or (N, M, C, H, W) with a set of its own for each network; on the
    device to train on. labels: (M,) integers, (M, K) soft, or (N, M, K) soft for each network. `chunk`
    overrides how many networks are trained together. `on_epoch` sees each such group after every epoch
    (0: untrained); its weights are the ones in training, so what is kept must be copied. Raises nothing on
    divergence: the accuracy says it.
    """
    shared = images.ndim == 4
    network = network or Network(net, shape_of(images), classes)
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
