"""Trajectory matching: training on the set should arrive where training on real data arrives.

MTT (Cazenavette et al. 2022): from an expert's weights after t epochs, N steps on synthetic minibatches
should end at the expert's weights M epochs later. Differentiated exactly at the memory of one step, or
with TESLA's approximation (Cui et al. 2023).
"""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ddcore.base.placing import placed_together
from ddcore.distil.engines.rules import GradientDescent
from ddcore.distil.engines.unroll import SetLoss, WeightTuple, meta_gradient, set_steps
from ddcore.distil.problem import Current, Distiller, Problem, to_numpy
from ddcore.nets.network import Weights
from ddcore.pools.trajectory import Trajectories
from ddcore.training import augment


def squared_distance(one: WeightTuple, other: WeightTuple) -> Tensor:
    """(N,): for each network, over all weights (N, ...)."""
    each = ((a - b).square().flatten(1).sum(1) for a, b in zip(one, other, strict=True))
    return functools.reduce(operator.add, each)


@dataclass(frozen=True, kw_only=True)
class Stretches:
    """What is followed in an iteration, and how the set learns from it.

    `nets` networks start from an expert after t < `max_start` epochs and take `inner_steps` steps on
    `batch_syn` synthetic images each (0: all), every image with a draw of `augment` of its own; they should
    arrive where the expert is `expert_epochs` epochs later. `exact` differentiates through the inner
    weights too, else this is TESLA's approximation. The images follow by `optimiser` (sgd with `momentum`,
    or adam) with `lr`; the logarithm of the inner step size, `lr0` at first, with `lr_rates`. Networks that
    end with a loss above `most` teach nothing, and where all do the set stays as it is.
    """

    nets: int
    inner_steps: int
    expert_epochs: int
    max_start: int
    batch_syn: int
    augment: str
    exact: bool
    lr0: float
    lr: float
    lr_rates: float
    optimiser: str
    momentum: float
    most: float = math.inf


class TrajectoryMatching(Distiller):
    """The sum over networks of |theta_N - target|^2 / |start - target|^2.

    Each of the `nets` networks follows an expert and an epoch of its own. One step size is learned with
    the images, as its logarithm, so it stays positive and a step on it is a relative change.
    """

    def __init__(self, problem: Problem, experts: Trajectories, params: Stretches) -> None:
        super().__init__(problem)
        self.params = p = params
        self.experts, self.rule = experts, GradientDescent()
        self.network = problem.network(p.nets)
        self.log_lr = self.first_log_lr().to(problem.device).requires_grad_()
        sizes = p.batch_syn or len(self.synthetic)
        seen = 1.0 * problem.spec.params.iterations * p.inner_steps * sizes
        self.steps = set_steps(self.network, seen, through_weights=p.exact)
        groups = self.synthetic.groups(p.lr, problem.spec.label_lr)
        groups.append({"params": [self.log_lr], "lr": p.lr_rates})
        self.optimiser = (
            torch.optim.Adam(groups)
            if p.optimiser == "adam"
            else torch.optim.SGD(groups, momentum=p.momentum)
        )

    def tensors(self) -> dict[str, Tensor]:
        """The set's tensors and the step size's logarithm."""
        return {**super().tensors(), "log_lr": self.log_lr}

    def first_log_lr(self) -> Tensor:
        """Logarithm of the inner step size at first: one for all steps."""
        return torch.tensor(math.log(self.params.lr0))

    def step(self, iteration: int) -> dict[str, float]:
        """Follow the experts for a stretch, and differentiate how far from them training ends."""
        p = self.params
        start, target = self._stretches(iteration)
        theta, goal = tuple(start.values()), tuple(target.values())
        length = squared_distance(theta, goal)
        missed = torch.zeros(())  # (N,) losses of the networks

        def outer(weights: WeightTuple) -> Tensor:
            nonlocal missed
            each = squared_distance(weights, goal) / length
            missed = each.detach()
            return (each if p.most == math.inf else torch.where(missed > p.most, 0, each)).sum()

        leaves = self.synthetic.leaves()
        part = self.part(iteration)
        rates = self.rates(part)
        meta = meta_gradient(
            self._inner_loss(iteration, list(start), part),
            outer,
            self.rule,
            self.rule.start(theta),
            leaves,
            (rates,),
            range(p.inner_steps),
            through_weights=p.exact,
        )
        share = 1 / p.nets
        self.synthetic.pull(leaves, [g * share for g in meta.leaves])
        (self.log_lr.grad,) = torch.autograd.grad(rates, self.log_lr, meta.hyper[0] * share)
        return self._told(missed, rates[0])

    def _told(self, missed: Tensor, rate: Tensor) -> dict[str, float]:
        """The figures of an iteration, looked at once; losses (N,).

        Where no network teaches there is no gradient at all, so that momentum moves nothing either.
        """
        p, skipped = self.params, (missed > self.params.most).sum().to(missed)
        loss, step_size, left_out = torch.stack([missed.sum(), rate.detach(), skipped]).tolist()
        told = {"loss": loss * (1 / p.nets), "step_size": step_size}
        if p.most == math.inf:
            return told
        if left_out == p.nets:
            for tensor in self.tensors().values():
                tensor.grad = None
        return {**told, "skipped": left_out / p.nets}

    def _stretches(self, iteration: int) -> tuple[Weights, Weights]:
        """Weights (N, ...) at the start and at the end of a random stretch of N random experts."""
        p = self.params
        generator = self.problem.generator("expert", iteration)
        experts = torch.randint(len(self.experts), (p.nets,), generator=generator).tolist()
        low, high = self.window(iteration)
        epochs = (low + torch.randint(high - low, (p.nets,), generator=generator)).tolist()
        ahead = p.expert_epochs * (1 + self.part(iteration))
        pairs = [self.experts.stretch(i, t, t + ahead) for i, t in zip(experts, epochs)]
        starts, targets = (self._stacked([pair[end] for pair in pairs]) for end in (0, 1))
        return starts, targets

    def window(self, iteration: int) -> tuple[int, int]:
        """Networks start from experts of so many epochs or more, and of fewer than the second number."""
        return 0, self.params.max_start

    def part(self, iteration: int) -> int:
        """Which part of the set is learned in an iteration; here the whole set is one."""
        return 0

    def rates(self, part: int) -> Tensor:
        """Step sizes of all inner steps on a part."""
        return self.log_lr.exp().expand(self.params.inner_steps)

    def _stacked(self, weights: list[Weights]) -> Weights:
        stacked = [torch.stack([w[k] for w in weights]) for k in weights[0]]
        return dict(zip(weights[0], placed_together(stacked, self.problem.device)))

    def _inner_loss(self, iteration: int, names: Sequence[str], part: int = 0) -> SetLoss:
        """Cross-entropy on update t's minibatch of a part; everything random is drawn here."""
        problem, synthetic, strategy = self.problem, self.synthetic, self.params.augment
        at = (iteration, part) if part else (iteration,)
        generator = problem.generator("views", *at)
        pieces = self._minibatches(iteration, part)
        views = [synthetic.decoder.draw(index, generator) for index in pieces]
        draws = []
        if strategy:
            generator = problem.generator("augment", *at)
            counts = [len(synthetic.classes_of(view)) for view in views]
            draws = [augment.sample(strategy, n, generator) for n in counts]

        def batch(t: int, leaves: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
            images, targets = synthetic.take(leaves, views[t])
            return augment.apply(images, draws[t]) if draws else images, targets

        return SetLoss(self.network, names, batch, *self.steps)

    def _minibatches(self, iteration: int, part: int = 0) -> Sequence[Tensor | None]:
        """Which images each update sees: a permutation in pieces, a new one when it is used up."""
        count, size, steps = len(self.synthetic), self.params.batch_syn, self.params.inner_steps
        if not 0 < size < count:
            return [None] * steps
        generator = self.problem.generator("batches", iteration)
        pieces: list[Tensor] = []
        while len(pieces) < steps:
            pieces += torch.randperm(count, generator=generator).split(size)
        return placed_together(pieces[:steps], self.problem.device)

    def current(self) -> Current:
        """The set with its one learned step size."""
        return dataclasses.replace(super().current(), lrs=to_numpy(self.log_lr.exp())[None])
