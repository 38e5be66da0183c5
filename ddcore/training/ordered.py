"""Gradient descent through a set's own steps, in their order."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ddcore.nets.network import Network, Weights
from ddcore.training.losses import cross_entropy


def train_ordered(
    network: Network,
    params: Weights,
    images: Tensor,
    labels: Tensor,
    lrs: Tensor,
    steps: int,
    on_step: Callable[[int, Weights], None] = lambda step, params: None,
    momentum: float = 0.0,
) -> Weights:
    """Gradient descent through a set's own steps in order (protocol `native-2018`).

    images (M, C, H, W) or (N, M, ...), step-major with M / steps each; labels as for `train`; lrs
    (steps * passes,).
    """
    per_step = images.shape[-4] // steps
    params = dict(params)
    velocity: dict[str, Tensor | float] = dict.fromkeys(params, 0.0)
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
