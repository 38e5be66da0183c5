"""Exact gradients through training, at the memory of one step plus the stored states.

Backpropagation through T steps of training needs, in reverse, only the state (weights, velocities) that
each step started from: the step is computed again with its graph, and the adjoint of the state after it
is pulled back to the state before it, the images and the step sizes (the scheme of Wang et al. 2018,
for any differentiable update rule). The gradient inside the step is differentiated once more, so this
is a Hessian-vector product per step, never a Hessian.

Full autograd gives the same numbers with memory that grows by a whole graph per step.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ddcore.base import execution
from ddcore.base.execution import PureStep, leaves
from ddcore.distil.engines.rules import GradientDescent, Rule, State, WeightTuple
from ddcore.nets.network import Network
from ddcore.nets.plan import cost
from ddcore.training.losses import cross_entropy
from ddcore.training.steps import batch_gradients, batch_parts, gradients

# (step, weights, leaves) -> scalar. Must give the same value whenever it is called for a step.
InnerLoss = Callable[[int, WeightTuple, tuple[Tensor, ...]], Tensor]
OuterLoss = Callable[[WeightTuple], Tensor]  # weights -> scalar


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
        if isinstance(inner, SetLoss):
            gradient = inner.gradient(t, theta, leaves)
        else:
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
        inputs = tuple(x.detach().requires_grad_() for x in leaves)
        if isinstance(inner, SetLoss) and isinstance(rule, GradientDescent):
            found = inner.back_through(t, rule, before, adjoint, inputs, hyper, through_weights)
            if found is not None:
                adjoint = list(found[: len(before)]) if through_weights else adjoint
                torch._foreach_add_(into, found[-len(into) :])
                after = before
                continue
        state = tuple(s.detach().requires_grad_(through_weights) for s in before)
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


@dataclass(frozen=True)
class SetLoss:
    """Cross-entropy of N networks on what step t sees of a set: an `InnerLoss` whose steps may be compiled.

    Weights come in the order of `names`. `batch(t, leaves)` are images and targets; `take` are
    `gradients` by the weights, `back` is `pulled_back`.
    """

    network: Network
    names: Sequence[str]
    batch: Callable[[int, tuple[Tensor, ...]], tuple[Tensor, Tensor]]
    take: PureStep
    back: PureStep

    def __call__(self, t: int, theta: WeightTuple, leaves: tuple[Tensor, ...]) -> Tensor:
        """The loss, with a graph."""
        images, targets = self.batch(t, leaves)
        return cross_entropy(self.network.logits(dict(zip(self.names, theta)), images), targets)

    def gradient(self, t: int, theta: WeightTuple, leaves: tuple[Tensor, ...]) -> WeightTuple:
        """Its derivatives by the weights."""
        held = _ordered(theta, self.names, self.network.names)
        found = batch_gradients(self.take, self.network, held, *self.batch(t, leaves))
        return _ordered(found, self.network.names, self.names)

    def back_through(
        self,
        t: int,
        rule: GradientDescent,
        state: State,
        adjoint: Sequence[Tensor],
        inputs: tuple[Tensor, ...],
        hyper: tuple[Tensor, ...],
        through_weights: bool,
    ) -> tuple[Tensor, ...] | None:
        """Derivatives by state (if wanted), inputs and hyper, compiled; None where that is not worth it."""
        made = self.batch(t, inputs)
        with torch.no_grad():
            along = rule.to_gradient(t, adjoint, hyper)
        found = self._products(rule_weights(rule, state), along, *(x.detach() for x in made))
        if found is None:
            return None
        gradient, by_weights, by_batch = found
        before = tuple(s.detach().requires_grad_(through_weights) for s in state)
        rates = tuple(h.detach().requires_grad_() for h in hyper)
        sources = (*(before if through_weights else ()), *rates)
        after = rule.update(t, before, gradient, rates)
        pulled = list(
            torch.autograd.grad(after, sources, adjoint, allow_unused=True, materialize_grads=True)
        )
        if through_weights:
            n = len(by_weights)
            pulled[:n] = torch._foreach_add(pulled[:n], by_weights)
        seen = [(x, g) for x, g in zip(made, by_batch) if x.requires_grad]
        by_inputs = torch.autograd.grad(
            [x for x, _ in seen],
            inputs,
            [g for _, g in seen],
            allow_unused=True,
            materialize_grads=True,
        )
        split = len(sources) - len(rates)
        return (*pulled[:split], *by_inputs, *pulled[split:])

    def _products(
        self, theta: WeightTuple, along: WeightTuple, images: Tensor, targets: Tensor
    ) -> tuple[WeightTuple, WeightTuple, tuple[Tensor, ...]] | None:
        """`pulled_back`, in parts of the batch, whose loss is their mean; None where that is not worth it.

        Gradient, derivatives by weights if wanted (both summed), those by images and by soft targets.
        """
        both = (_ordered(x, self.names, self.network.names) for x in (theta, along))
        held = tuple(x.detach() for x in itertools.chain(*both))
        parts = batch_parts(self.network, images, targets)
        if not self.back.compiles(*held, *parts[0]):
            return None
        total: list[Tensor] = []
        by_batch = []
        for x, y in parts:
            found = torch._foreach_mul(self.back(*held, x, y), x.shape[-4] / images.shape[-4])
            last = len(found) - 1 - y.is_floating_point()
            by_batch.append(found[last:])
            total = list(torch._foreach_add(total, found[:last]) if total else found[:last])
        n = len(self.network.names)
        gradient, by_weights = (
            _ordered(x, self.network.names, self.names) for x in (total[:n], total[n:])
        )
        return gradient, by_weights, tuple(map(torch.cat, zip(*by_batch), (-4, -2)))


def _ordered(tensors: Sequence[Tensor], old: Sequence[str], new: Sequence[str]) -> WeightTuple:
    """Blocks of tensors that stand for weights in the order `old`, each in the order `new`."""
    order, size = [list(old).index(name) for name in new], len(old)
    return tuple(tensors[i + at] for i in range(0, len(tensors), size) for at in order)


def pulled_back(network: Network, through_weights: bool, *tensors: Tensor) -> tuple[Tensor, ...]:
    """The gradient of the loss by weights, and derivatives of its product with vectors of their shapes.

    Those by weights (if `through_weights`), images and, if soft, targets. Tensors: weights, vectors,
    images, targets.
    """
    n = len(network.names)
    theta, images, targets = tensors[:n], *tensors[2 * n :]
    sources = leaves([*theta, images, targets])
    theta, (images, targets) = tuple(sources[:n]), sources[n:]
    loss = cross_entropy(network.logits(dict(zip(network.names, theta)), images), targets)
    gradient = torch.autograd.grad(loss, theta, create_graph=True)
    by = sources if targets.is_floating_point() else sources[:-1]
    by = by if through_weights else by[n:]
    vectors = tensors[n : 2 * n]
    found = torch.autograd.grad(gradient, by, vectors, allow_unused=True, materialize_grads=True)
    return (*(g.detach() for g in gradient), *found)


def set_steps(
    network: Network, images: float, *, through_weights: bool = True
) -> tuple[PureStep, PureStep]:
    """`take` and `back` of a `SetLoss` whose networks see `images` images in all that is to come."""
    work = images * network.num_nets * cost(network.plan, network.shape).macs
    take = execution.step(gradients, network, "ce", total=3 * work)
    return take, execution.step(pulled_back, network, through_weights, total=9 * work)


def _seen(
    loss: Tensor, losses: list[OuterLoss], weights: WeightTuple, adjoint: list[Tensor]
) -> Tensor:
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


def rule_weights(rule: Rule, state: State) -> WeightTuple:
    """The weights in a state."""
    return state[: len(state) // rule.blocks]
