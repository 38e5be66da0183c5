"""Exact gradients through training, at the memory of one step plus the stored states.

Backpropagation through T steps of training needs, in reverse, only the state (weights, velocities) that
each step started from: the step is computed again with its graph, and the adjoint of the state after it
is pulled back to the state before it, the images and the step sizes (the scheme of Wang et al. 2018,
for any differentiable update rule). The gradient inside the step is differentiated once more, so this
is a Hessian-vector product per step, never a Hessian.

Full autograd gives the same numbers with memory that grows by a whole graph per step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ddcore.distil.engines.rules import Rule, State, Weights

# (step, weights, leaves) -> scalar. Must give the same value whenever it is called for a step.
InnerLoss = Callable[[int, Weights, tuple[Tensor, ...]], Tensor]
OuterLoss = Callable[[Weights], Tensor]  # weights -> scalar


@dataclass(frozen=True)
class MetaGradient:
    """Loss after training and its derivatives."""

    loss: Tensor  # scalar
    leaves: tuple[Tensor, ...]  # like the leaves
    hyper: tuple[Tensor, ...]  # like hyper
    state0: State  # derivative with respect to the initial state
    state: State  # after the last step


def run(
    inner: InnerLoss,
    rule: Rule,
    state: State,
    leaves: Sequence[Tensor],
    hyper: tuple[Tensor, ...],
    steps: range,
    keep: list[State] | None = None,
) -> State:
    """Train without a graph through `steps`; the state before each is appended to `keep`."""
    leaves = tuple(x.detach() for x in leaves)
    hyper = tuple(h.detach() for h in hyper)
    for t in steps:
        if keep is not None:
            keep.append(state)
        theta = tuple(w.detach().requires_grad_() for w in rule_weights(rule, state))
        gradient = torch.autograd.grad(inner(t, theta, leaves), theta)
        with torch.no_grad():
            state = rule.update(t, state, gradient, hyper)
    return state


def meta_gradient(
    inner: InnerLoss,
    outer: OuterLoss | Sequence[OuterLoss],
    rule: Rule,
    state0: State,
    leaves: Sequence[Tensor],
    hyper: tuple[Tensor, ...],
    steps: range,
    *,
    every: OuterLoss | None = None,
    through_weights: bool = True,
) -> MetaGradient:
    """Derivative of `outer(weights after the last of `steps`)` with respect to leaves and hyper.

    A sequence of outer losses is summed, one graph at a time, so a large real batch may come in parts.
    `every` is added for the weights after each step but the last (intermediate losses).
    `through_weights=False` takes the weights at which each gradient is computed for constants: TESLA's
    approximation (Cui et al. 2023), exact only for one step; plain gradient descent only.

    Memory: T + 1 states and one step's graph; time: one more forward and backward per step than full
    autograd.
    """
    path: list[State] = []
    end = run(inner, rule, tuple(s.detach() for s in state0), leaves, hyper, steps, path)
    outers = [outer] if callable(outer) else list(outer)
    loss = torch.zeros((), device=hyper[0].device, dtype=hyper[0].dtype)
    adjoint = [torch.zeros_like(s) for s in end]
    loss = _seen(loss, outers, rule_weights(rule, end), adjoint)
    into = [torch.zeros_like(x) for x in (*leaves, *hyper)]
    after = end
    for t in reversed(steps):
        before = path.pop()
        if every is not None and after is not end:
            loss = _seen(loss, [every], rule_weights(rule, after), adjoint)
        state = tuple(s.detach().requires_grad_(through_weights) for s in before)
        inputs = tuple(x.detach().requires_grad_() for x in leaves)
        rates = tuple(h.detach().requires_grad_() for h in hyper)
        theta = rule_weights(rule, state)
        if not through_weights:
            theta = tuple(w.detach().requires_grad_() for w in theta)
        gradient = torch.autograd.grad(inner(t, theta, inputs), theta, create_graph=True)
        made = rule.update(t, state, gradient, rates)
        sources = (*(state if through_weights else ()), *inputs, *rates)
        pulled = torch.autograd.grad(
            made, sources, grad_outputs=adjoint, allow_unused=True, materialize_grads=True
        )
        if through_weights:
            adjoint = list(pulled[: len(state)])
            pulled = pulled[len(state) :]
        torch._foreach_add_(into, pulled)
        after = before
    n = len(leaves)
    return MetaGradient(loss, tuple(into[:n]), tuple(into[n:]), tuple(adjoint), end)


def _seen(loss: Tensor, losses: list[OuterLoss], weights: Weights, adjoint: list[Tensor]) -> Tensor:
    """`loss` and these losses of the weights, whose derivatives are added to the state's `adjoint`."""
    theta = tuple(w.detach().requires_grad_() for w in weights)
    for part in losses:
        value = part(theta)
        loss = loss + value.detach()
        found = torch.autograd.grad(value, theta, materialize_grads=True, allow_unused=True)
        torch._foreach_add_(adjoint[: len(theta)], found)
    return loss


def full_autograd(
    inner: InnerLoss,
    outer: OuterLoss,
    rule: Rule,
    state0: State,
    leaves: Sequence[Tensor],
    hyper: tuple[Tensor, ...],
    steps: range,
    *,
    every: OuterLoss | None = None,
) -> MetaGradient:
    """The same derivative by unrolling everything into one graph: the truth for tests and benchmarks."""
    start = state = tuple(s.detach().requires_grad_() for s in state0)
    leaves = tuple(x.detach().requires_grad_() for x in leaves)
    hyper = tuple(h.detach().requires_grad_() for h in hyper)
    loss = torch.zeros((), device=hyper[0].device, dtype=hyper[0].dtype)
    for t in steps:
        theta = rule_weights(rule, state)
        gradient = torch.autograd.grad(inner(t, theta, leaves), theta, create_graph=True)
        state = rule.update(t, state, gradient, hyper)
        if every is not None and t != steps[-1]:
            loss = loss + every(rule_weights(rule, state))
    loss = loss + outer(rule_weights(rule, state))
    found = torch.autograd.grad(
        loss, (*leaves, *hyper, *start), allow_unused=True, materialize_grads=True
    )
    n, m = len(leaves), len(leaves) + len(hyper)
    end = tuple(s.detach() for s in state)
    return MetaGradient(loss.detach(), found[:n], found[n:m], found[m:], end)


def rule_weights(rule: Rule, state: State) -> Weights:
    """The weights in a state."""
    return state[: len(state) // rule.blocks]
