"""The pure functions that training and testing execute again and again (see `ddcore.base.execution`).

Each takes a network, what else is fixed, and tensors that begin with the network's weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ddcore.base.execution import PureStep, leaves
from ddcore.nets.network import Network
from ddcore.nets.plan import largest
from ddcore.training.losses import Loss, loss_value

# What the largest layer makes of the images that a compiled step sees at a time, which stays in the cache of
# a core then. Of 256 images, compiled, it is 1.2 (width 128) to 1.8 times (width 32) as quick as all at once;
# with convolutions of 16 bits 1.5 and 1.4 times (measured).
PART_FLOATS = 1 << 21


def part_sizes(network: Network, count: int, device: torch.device) -> list[int]:
    """In how many parts a compiled step sees `count` images: of equal sizes, or nearly so.

    Up to twice as many parts for one size, for which it is compiled once. In one on a graphics card, and
    where norms depend on the other images.
    """
    if device.type != "cpu" or network.stat_names:
        return [count]
    each = network.num_nets * largest(network.plan, network.shape)
    least = min(count, -(-count * each // PART_FLOATS))
    parts = next((n for n in range(least, 2 * least) if count % n == 0), least)
    return [count // parts + (i < count % parts) for i in range(parts)]


def batch_gradients(
    step: PureStep, network: Network, held: Sequence[Tensor], images: Tensor, targets: Tensor
) -> tuple[Tensor, ...]:
    """What `gradients` as a step finds for weights and statistics, and a batch; in parts where compiled.

    images (..., B, C, H, W); targets (..., B), or soft (..., B, K). Its loss is a mean over images.
    """
    parts = batch_parts(network, images, targets)
    if len(parts) == 1 or not step.compiles(*held, *parts[0]):
        return step(*held, images, targets)
    total: tuple[Tensor, ...] = ()
    for x, y in parts:
        found = torch._foreach_mul(step(*held, x, y), x.shape[-4] / images.shape[-4])
        total = torch._foreach_add(total, found) if total else found
    return tuple(total)


def batch_parts(network: Network, images: Tensor, targets: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The parts of a batch as `part_sizes` has them."""
    sizes = part_sizes(network, images.shape[-4], images.device)
    soft = targets.is_floating_point()
    return list(zip(images.split(sizes, -4), targets.split(sizes, -2 if soft else -1)))


def gradients(network: Network, loss: Loss, *tensors: Tensor) -> tuple[Tensor, ...]:
    """Derivatives of the summed loss of N networks by their weights, in training.

    After the weights: running statistics of batch norms, if any, images, targets.
    """
    weights, (*stats, images, targets) = network.split(tensors)
    by = leaves(list(weights.values()))
    logits = network.logits(dict(zip(weights, by)), images, network.statistics(stats))
    return torch.autograd.grad(loss_value(loss, logits, targets), by)


def tested(network: Network, *tensors: Tensor) -> tuple[Tensor]:
    """Outputs (N, B, K) of trained networks; after the weights: running statistics, if any, images."""
    weights, (*stats, images) = network.split(tensors)
    return (network.logits(weights, images, network.statistics(stats), training=False),)


def trained_features(network: Network, *tensors: Tensor) -> tuple[Tensor]:
    """Penultimate features (N, B, F) of trained networks; tensors as for `tested`."""
    weights, (*stats, images) = network.split(tensors)
    return (network.features(weights, images, network.statistics(stats), training=False),)


def fresh_features(network: Network, *tensors: Tensor) -> tuple[Tensor]:
    """Penultimate features (N, B, F) as in training; after the weights: images."""
    weights, (images,) = network.split(tensors)
    return (network.features(weights, images),)
