"""Exact gradients through training, at the memory of one step plus the stored weights.

Backpropagation through T steps of gradient descent needs, in reverse, only the weights at which each
gradient was taken: step t is recomputed and the adjoint pushed through it by one Hessian-vector
product (the scheme of Wang et al. 2018, extended to momentum and weight decay):

    forward   g_t = d inner_t/d theta (theta_t, S) + decay * theta_t
              v_{t+1} = m v_t + g_t,   theta_{t+1} = theta_t - eta_t v_{t+1}
    reverse   with a = dL/d theta_{t+1} and b = dL/d v_{t+1} carried from later steps (b starts at 0)
              dL/d eta_t = -<v_{t+1}, a>
              b <- m b - eta_t a          (adjoint of v_{t+1}, which is also that of g_t)
              a <- a + d<g_t, b>/d theta + decay b,   dL/dS += d<g_t, b>/dS

Full autograd gives the same numbers with memory that grows by a whole graph per step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Weights = tuple[Tensor, ...]
InnerLoss = Callable[
    [int, Weights, tuple[Tensor, ...]], Tensor
]  # (step, weights, leaves) -> scalar
OuterLoss = Callable[[Weights], Tensor]  # weights -> scalar


@dataclass(frozen=True)
class MetaGradient:
    """Loss after training and its derivatives."""

    loss: Tensor  # scalar
    leaves: tuple[Tensor, ...]  # like the leaves
    lrs: Tensor  # (T,)
    weights0: Weights  # derivative with respect to the initial weights
    weights: Weights  # weights after the last step


def meta_gradient(
    inner: InnerLoss,
    outer: OuterLoss | Sequence[OuterLoss],
    weights0: Sequence[Tensor],
    leaves: Sequence[Tensor],
    lrs: Tensor,
    *,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
) -> MetaGradient:
    """Derivative of `outer(weights after len(lrs) steps)` with respect to leaves and step sizes.

    A sequence of outer losses is summed, one graph at a time, so a large real batch may come in parts.

    `inner(t, weights, leaves)` must give the same value each time it is called for t (draw any
    randomness beforehand). Memory: T + 1 copies of the weights (twice that with momentum) and one
    step's graph; time: one more forward and backward per step than full autograd.
    """
    theta = tuple(w.detach() for w in weights0)
    leaves = tuple(x.detach() for x in leaves)
    velocity: Weights | None = None
    path: list[Weights] = []
    velocities: list[Weights] = []
    steps = len(lrs)
    rates = lrs.detach().tolist()
    for t in range(steps):
        path.append(theta)
        gradient = _gradient(inner, t, theta, leaves, weight_decay)
        if momentum and velocity is not None:
            velocity = tuple(torch._foreach_add(gradient, velocity, alpha=momentum))
        else:
            velocity = gradient
        if momentum:
            velocities.append(velocity)
        theta = tuple(torch._foreach_add(theta, velocity, alpha=-rates[t]))

    end = tuple(w.requires_grad_() for w in theta)
    loss = torch.zeros((), device=lrs.device)
    a: Weights = tuple(torch.zeros_like(w) for w in end)
    for part in [outer] if callable(outer) else outer:
        value = part(end)
        loss = loss + value.detach()
        a = tuple(torch._foreach_add(a, torch.autograd.grad(value, end)))
    b: Weights = tuple(torch.zeros_like(w) for w in a)
    total = [torch.zeros_like(x) for x in leaves]
    lr_gradient = torch.zeros_like(lrs)
    for t in reversed(range(steps)):
        at = tuple(w.detach().requires_grad_() for w in path.pop())
        inputs = tuple(x.detach().requires_grad_() for x in leaves)
        value = inner(t, at, inputs)
        gradient = torch.autograd.grad(value, at, create_graph=True)
        if momentum:
            step = velocities.pop()
        else:
            step = tuple(g.detach() for g in gradient)
            if weight_decay:
                step = tuple(torch._foreach_add(step, [w.detach() for w in at], alpha=weight_decay))
        lr_gradient[t] = -_dot(step, a)
        b = tuple(momentum * v - rates[t] * u for v, u in zip(b, a))
        pulled = torch.autograd.grad(
            gradient, (*at, *inputs), grad_outputs=b, allow_unused=True, materialize_grads=True
        )
        a = tuple(u + p for u, p in zip(a, pulled))
        if weight_decay:
            a = tuple(u + weight_decay * v for u, v in zip(a, b))
        for slot, p in zip(total, pulled[len(at) :]):
            slot += p
    return MetaGradient(loss, tuple(total), lr_gradient, a, tuple(w.detach() for w in end))


def full_autograd(
    inner: InnerLoss,
    outer: OuterLoss,
    weights0: Sequence[Tensor],
    leaves: Sequence[Tensor],
    lrs: Tensor,
    *,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
) -> MetaGradient:
    """The same derivative by unrolling everything into one graph: the truth for tests and benchmarks."""
    start = tuple(w.detach().requires_grad_() for w in weights0)
    leaves = tuple(x.detach().requires_grad_() for x in leaves)
    lrs = lrs.detach().requires_grad_()
    theta, velocity = start, tuple(torch.zeros_like(w) for w in start)
    for t in range(len(lrs)):
        gradient = torch.autograd.grad(inner(t, theta, leaves), theta, create_graph=True)
        velocity = tuple(
            momentum * v + g + weight_decay * w for v, g, w in zip(velocity, gradient, theta)
        )
        theta = tuple(w - lrs[t] * v for w, v in zip(theta, velocity))
    loss = outer(theta)
    found = torch.autograd.grad(
        loss, (*leaves, lrs, *start), allow_unused=True, materialize_grads=True
    )
    n = len(leaves)
    return MetaGradient(
        loss.detach(), found[:n], found[n], found[n + 1 :], tuple(w.detach() for w in theta)
    )


def _gradient(
    inner: InnerLoss, t: int, theta: Weights, leaves: tuple[Tensor, ...], weight_decay: float
) -> Weights:
    at = tuple(w.detach().requires_grad_() for w in theta)
    gradient = torch.autograd.grad(inner(t, at, leaves), at)
    if weight_decay:
        gradient = tuple(torch._foreach_add(gradient, theta, alpha=weight_decay))
    return tuple(gradient)


def _dot(left: Sequence[Tensor], right: Sequence[Tensor]) -> Tensor:
    return sum((x * y).sum() for x, y in zip(left, right))
