"""Update rules of inner training, written so that they can be differentiated and recomputed.

A rule's state is a flat tuple of tensors: the weights, then whatever else it keeps in blocks of the same
length (velocities; Adam's two moments). `hyper` are the tensors it reads that may be learned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

State = tuple[Tensor, ...]
WeightTuple = tuple[Tensor, ...]


@dataclass(frozen=True)
class GradientDescent:
    """SGD as in torch: v <- m v + g + decay theta, theta <- theta - eta_t v.

    hyper: (lrs (T,),), or (lrs (T,), momentum ()) if the momentum is learned; then `momentum` is unused
    but must not be 0.
    """

    momentum: float = 0.0
    weight_decay: float = 0.0

    @property
    def blocks(self) -> int:
        """Of the state."""
        return 2 if self.momentum else 1

    def start(self, weights: Sequence[Tensor]) -> State:
        """State before the first step."""
        velocity = [torch.zeros_like(w) for w in weights] if self.momentum else []
        return (*weights, *velocity)

    def update(
        self, t: int, state: State, gradient: WeightTuple, hyper: tuple[Tensor, ...]
    ) -> State:
        """State after step t."""
        n, lr = len(gradient), hyper[0][t]
        theta, step = state[:n], gradient
        # One operation for all weights: starting them one by one takes a GPU longer than they do.
        if self.weight_decay:
            step = torch._foreach_add(step, torch._foreach_mul(theta, self.weight_decay))
        if not self.momentum:
            return torch._foreach_sub(theta, _times(step, lr))
        momentum = hyper[1] if len(hyper) > 1 else self.momentum
        step = torch._foreach_add(_times(state[n:], momentum), step)
        return (*torch._foreach_sub(theta, _times(step, lr)), *step)

    def to_gradient(
        self, t: int, adjoint: Sequence[Tensor], hyper: tuple[Tensor, ...]
    ) -> WeightTuple:
        """The adjoint of step t's gradient, of which the state after it is a linear function."""
        n, lr = len(adjoint) // self.blocks, hyper[0][t]
        by_step = torch._foreach_mul(list(adjoint[:n]), -lr)
        return torch._foreach_add(by_step, list(adjoint[n:])) if self.momentum else by_step


class Adam:
    """Adam (Kingma & Ba 2015) as in torch, but with a tiny number inside the root too.

    The root's derivative at 0 is infinite, and a weight whose gradient has been 0 throughout is common
    (dead ReLUs). `ROOT` keeps it finite; it is felt only where gradients stay below 1e-6.
    """

    EPS, ROOT = 1e-8, 1e-16
    blocks = 3

    def __init__(self, beta1: float = 0.9, beta2: float = 0.999) -> None:
        self.beta1, self.beta2 = beta1, beta2

    def start(self, weights: Sequence[Tensor]) -> State:
        """State before the first step."""
        return (*weights, *(torch.zeros_like(w) for _ in range(2) for w in weights))

    def update(
        self, t: int, state: State, gradient: WeightTuple, hyper: tuple[Tensor, ...]
    ) -> State:
        """State after step t (counted from 0)."""
        n, lr = len(gradient), hyper[0][t]
        theta, first, second = state[:n], state[n : 2 * n], state[2 * n :]
        first = tuple(self.beta1 * m + (1 - self.beta1) * g for m, g in zip(first, gradient))
        second = tuple(self.beta2 * v + (1 - self.beta2) * g * g for v, g in zip(second, gradient))
        bias1, bias2 = 1 - self.beta1 ** (t + 1), math.sqrt(1 - self.beta2 ** (t + 1))
        theta = tuple(
            w - lr / bias1 * m / ((v + self.ROOT).sqrt() / bias2 + self.EPS)
            for w, m, v in zip(theta, first, second)
        )
        return (*theta, *first, *second)


def _times(tensors: WeightTuple, factor: float | Tensor) -> WeightTuple:
    """Each times a number or a tensor ()."""
    if not isinstance(factor, Tensor):
        return torch._foreach_mul(tensors, factor)
    if torch.is_grad_enabled():  # autograd cannot do it at once
        return tuple(factor * x for x in tensors)
    return torch._foreach_mul(tensors, factor)


Rule = GradientDescent | Adam
