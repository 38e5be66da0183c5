"""The pure functions that training and testing execute again and again (see `ddcore.base.execution`).

Each takes a network, what else is fixed, and tensors that begin with the network's weights.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ddcore.base.execution import leaves
from ddcore.nets.network import Network
from ddcore.training.losses import Loss, loss_value


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
