"""Feature matching in networks between the start and the end of their training, with a term for the classes.

Zhang et al. 2024 (DANCE). Class means are matched in theta = start + u (end - start) with u uniform
in [0, 1), and networks at the end of that training are to tell the images' classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ddcore.base import execution
from ddcore.base.execution import leaves
from ddcore.base.placing import placed_together
from ddcore.distil.engines.match import FeatureMatching, Features
from ddcore.distil.problem import Problem
from ddcore.nets.network import Network, Weights
from ddcore.pools.trajectory import Trajectories
from ddcore.training.labels import one_hot


def told(network: Network, *tensors: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy of images, and its derivative by them; after the weights: images, classes, shares.

    Averaged over networks, weighted with each image's share (B,).
    """
    weights, (images, classes, shares) = network.split(tensors)
    (by,) = leaves([images])
    said = network.logits(weights, by).log_softmax(2)
    right = said.gather(2, classes.expand(len(said), -1)[..., None])[..., 0]
    loss = -(right * shares).sum(1).mean()
    (gradient,) = torch.autograd.grad(loss, by)
    return loss.detach(), gradient


@dataclass(frozen=True, kw_only=True)
class Between:
    """Experts and the length of their training in epochs; `calibration` weighs the cross-entropy."""

    experts: Trajectories
    epochs: int
    calibration: float


class BetweenMatching(FeatureMatching):
    """DANCE: the distance of class means, plus each class's mean cross-entropy, summed over classes."""

    def __init__(self, problem: Problem, params: Features, between: Between) -> None:
        super().__init__(problem, params)
        self.calibration, self.count = between.calibration, len(between.experts)
        pairs = [between.experts.stretch(i, 0, between.epochs) for i in range(self.count)]
        # Of all experts: (E, ...) by name.
        self.starts, self.ends = (
            {
                name: torch.stack([pair[end][name] for pair in pairs]).to(problem.device)
                for name in self.network.names
            }
            for end in (0, 1)
        )
        self.trained: Weights = {}  # the ends of this iteration's networks
        self.told = execution.step(told, self.network, total=self.macs(3 * len(self.synthetic)))

    def drawn(self, iteration: int) -> Weights:
        """Random experts, each at a point of its own on the line through its training."""
        generator = self.problem.generator("net", iteration)
        chosen = torch.randint(self.count, (self.params.nets,), generator=generator)
        share = torch.rand(self.params.nets, generator=generator)
        index, u = placed_together([chosen, share], self.problem.device)
        self.trained = {name: w[index] for name, w in self.ends.items()}
        return {
            name: self.starts[name][index].lerp(
                end, u.to(end.dtype).view(-1, *[1] * (end.ndim - 1))
            )
            for name, end in self.trained.items()
        }

    def distance(
        self, weights: Weights, target: Tensor, classes: Tensor, images: Tensor, *drawn: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Both terms; a class counts the same, however many images it has."""
        loss, gradient = super().distance(weights, target, classes, images, *drawn)
        if not self.calibration:
            return loss, gradient
        counts = one_hot(classes, self.problem.classes).sum(0)
        shares = self.calibration / counts[classes]
        error, slope = self.told(*self.trained.values(), images, classes, shares)
        return loss + error, gradient + slope
