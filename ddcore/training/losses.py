"""Losses of N networks at once: each the sum over networks, so that gradients stay apart."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor


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
