"""Trajectory matching of a set's parts, one after the other (SeqMatch).

Du, Shi & Zhou 2023: the first part is to lead where the start of real training leads; each later part begins
where training on the parts before it ends and is to lead on from there, while those stay as they are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from ddcore.base.placing import placed_together
from ddcore.distil.engines import unroll
from ddcore.distil.engines.trajectory_match import TrajectoryMatching
from ddcore.distil.problem import Current, to_numpy
from ddcore.nets.network import Weights


class SequentialMatching(TrajectoryMatching):
    """SeqMatch: iterations are shared out evenly among the steps of the set, its parts.

    In part k the start is an expert of t epochs after N steps on each part before it, the target the expert
    at t + (k + 1) M epochs. Each part has an inner step size of its own. With one part this is
    `TrajectoryMatching`.
    """

    @property
    def parts(self) -> int:
        """How many."""
        return self.problem.spec.steps

    def first_log_lr(self) -> Tensor:
        """(parts,)."""
        return super().first_log_lr().expand(self.parts).clone()

    def part(self, iteration: int) -> int:
        """From 0 on."""
        return iteration * self.parts // self.problem.spec.params.iterations

    def rates(self, part: int) -> Tensor:
        """Of that part."""
        return self.log_lr[part].exp().expand(self.params.inner_steps)

    def step(self, iteration: int) -> dict[str, float]:
        """The optimiser forgets a part that is finished, or momentum would move it on."""
        if iteration and self.part(iteration) > self.part(iteration - 1):
            self.optimiser.state.clear()
        return super().step(iteration)

    def _stretches(self, iteration: int) -> tuple[Weights, Weights]:
        """Weights at the end of training on the parts before, and where this one should lead."""
        start, target = super()._stretches(iteration)
        state, names = self.rule.start(tuple(start.values())), list(start)
        leaves = self.synthetic.leaves()
        for part in range(self.part(iteration)):
            inner = self._inner_loss(iteration, names, part)
            steps, rates = range(self.params.inner_steps), (self.rates(part),)
            state = unroll.run(inner, self.rule, state, leaves, rates, steps)
        return dict(zip(names, unroll.rule_weights(self.rule, state))), target

    def _minibatches(self, iteration: int, part: int = 0) -> Sequence[Tensor | None]:
        """Of the images of a part; they stand together, step by step."""
        if self.parts == 1:
            return super()._minibatches(iteration)
        count, steps = len(self.synthetic) // self.parts, self.params.inner_steps
        size = self.params.batch_syn
        if not 0 < size < count:
            index = torch.arange(count) + part * count
            return [*placed_together([index], self.problem.device)] * steps
        generator = self.problem.generator("batches", iteration, part)
        pieces: list[Tensor] = []
        while len(pieces) < steps:
            pieces += (torch.randperm(count, generator=generator) + part * count).split(size)
        return placed_together(pieces[:steps], self.problem.device)

    def current(self) -> Current:
        """The set with a learned step size for each part."""
        return dataclasses.replace(super().current(), lrs=to_numpy(self.log_lr.exp()))
