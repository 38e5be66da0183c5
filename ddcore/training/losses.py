"""Losses of N networks at once: each the sum over networks, so that gradients stay apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from ddcore.training.labels import one_hot


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
        targets = one_hot(targets, classes).to(logits.dtype)
    return (logits - (targets - 1 / classes)).square().mean((1, 2)).sum()


def cosine(logits: Tensor, targets: Tensor) -> Tensor:
    """Sum over networks of the mean of 1 − cos(z, t): logits z (N, B, K), targets t as for `cross_entropy`.

    Targets need be no distributions: their length does not count.
    """
    if not targets.is_floating_point():
        targets = one_hot(targets, logits.shape[-1]).to(logits.dtype)
    return (1 - F.cosine_similarity(logits, targets.expand_as(logits), dim=2)).mean(1).sum()


@dataclass(frozen=True)
class Divergence:
    """Kullback-Leibler divergence of outputs at a temperature from targets, times its square.

    T² KL(t || softmax(z / T)), summed over networks, averaged over images; logits (N, B, K), targets as
    for `cross_entropy`, taken as they are: a teacher's are softened before. The factor keeps the size of
    gradients (Hinton, Vinyals & Dean 2015).
    """

    temperature: float

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The scalar loss."""
        n, b, k = logits.shape
        if not targets.is_floating_point():
            targets = one_hot(targets, k).to(logits.dtype)
        said = (logits / self.temperature).log_softmax(2)
        each = F.kl_div(said, targets.expand(n, b, k), reduction="sum")
        return each * self.temperature**2 / b


Loss = str | Divergence  # a name of `LOSSES`, or one that has a temperature
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "ce": cross_entropy,
    "mse": squared_error,
    "cosine": cosine,
}


def loss_of(name: str, temperature: float) -> Loss:
    """What a step of training is told of its loss: equal ones are the same computation."""
    return Divergence(temperature) if name == "kl" else name


def loss_value(loss: Loss, logits: Tensor, targets: Tensor) -> Tensor:
    """The scalar loss of logits (N, B, K)."""
    return LOSSES[loss](logits, targets) if isinstance(loss, str) else loss(logits, targets)
