"""One product of a Hessian with a direction, as a pure function (`ddcore.base.execution`)."""

from __future__ import annotations

import torch
from torch import Tensor

from ddcore.nets.network import Network
from ddcore.training.losses import cross_entropy


def product(network: Network, *tensors: Tensor) -> tuple[Tensor, ...]:
    """A Hessian times a direction as the gradient's derivative along it: forward over reverse, no vmap.

    After the weights: running statistics, the direction in the shapes of the weights, images, labels.
    """
    weights, rest = network.split(tensors)
    held = len(rest) - len(weights) - 2
    stats = network.statistics(rest[:held])
    along, (images, labels) = network.split(rest[held:])

    def gradient(*by: Tensor) -> tuple[Tensor, ...]:
        def loss(*by: Tensor) -> Tensor:
            outputs = network.logits(dict(zip(weights, by)), images, stats, training=False)
            return cross_entropy(outputs, labels)

        return torch.func.grad(loss, tuple(range(len(by))))(*by)

    return torch.func.jvp(gradient, tuple(weights.values()), tuple(along.values()))[1]
