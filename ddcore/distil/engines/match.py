"""Feature matching: class means of synthetic and real features in fresh random networks (DM).

Zhao & Bilen 2021. All classes and all networks go through one forward pass each. What is compared is a
`Discrepancy`: means here, more of the distributions in `discrepancies`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ddcore.base import execution
from ddcore.base.execution import leaves
from ddcore.distil.problem import Distiller, Problem
from ddcore.nets.network import Network, Weights
from ddcore.nets.plan import cost
from ddcore.nets.precision import FLOAT32
from ddcore.training import augment
from ddcore.training.labels import one_hot, step_major_labels
from ddcore.training.steps import fresh_features

# Activations of real images at a time, which bounds memory. Workers keep the memory of large tensors: with a
# quarter of this the features took 1.08 times as long at width 128, at width 32 as long (measured).
CPU_FLOATS = 16_000_000


def mean_feature_distance(real: Tensor, synthetic: Tensor) -> Tensor:
    """Sum over classes of the squared distance of feature means (N, K, F), averaged over networks."""
    return (real - synthetic).square().sum((1, 2)).mean()


def class_means(features: Tensor, classes: Tensor, count: int) -> Tensor:
    """Mean features (N, K, F) of each class: features (N, B, F), classes (B,)."""
    share = one_hot(classes, count).to(features.dtype)
    return torch.einsum("bk,nbf->nkf", share / share.sum(0), features)


class Discrepancy:
    """How far features (N, B, F) of images of `count` classes (B,) are from real ones; a value.

    A class counts the same, however many images it has; classes are summed, networks averaged.
    """

    def draw(self, features: Tensor, generator: torch.Generator) -> list[Tensor]:
        """What is random in an iteration, beside such features; nothing here."""
        return []

    def summary(self, features: Tensor, classes: Tensor, count: int, *drawn: Tensor) -> Tensor:
        """What it has to know of real features: (N, K, ...)."""
        raise NotImplementedError

    def loss(self, target: Tensor, features: Tensor, classes: Tensor, *drawn: Tensor) -> Tensor:
        """A scalar; `target` is the summary of real features."""
        raise NotImplementedError


@dataclass(frozen=True)
class Means(Discrepancy):
    """DM: squared distances of class means."""

    def summary(self, features: Tensor, classes: Tensor, count: int, *drawn: Tensor) -> Tensor:
        """(N, K, F)."""
        return class_means(features, classes, count)

    def loss(self, target: Tensor, features: Tensor, classes: Tensor, *drawn: Tensor) -> Tensor:
        """See `mean_feature_distance`."""
        return mean_feature_distance(target, class_means(features, classes, target.shape[1]))


def matched(network: Network, discrepancy: Discrepancy, *tensors: Tensor) -> tuple[Tensor, Tensor]:
    """The loss and its derivative by images; after the weights: target, classes, images, what is drawn."""
    weights, (target, classes, images, *drawn) = network.split(tensors)
    (by,) = leaves([images])
    loss = discrepancy.loss(target, network.features(weights, by), classes, *drawn)
    (gradient,) = torch.autograd.grad(loss, by)
    return loss.detach(), gradient


@dataclass(frozen=True, kw_only=True)
class Features:
    """`nets` fresh networks and `real_batch` real images of each class in every iteration.

    One draw of `augment` for each class ("" for none). The images follow by `optimiser` (sgd with
    `momentum`, or adam) with `lr`. With `precision` "bfloat16" the networks' convolutions are of 16 bits,
    forward and backward; means, distance and the set stay float32.
    """

    nets: int
    real_batch: int
    augment: str
    lr: float
    momentum: float
    precision: str = FLOAT32
    optimiser: str = "sgd"
    discrepancy: Discrepancy = Means()


class FeatureMatching(Distiller):
    """DM: class means in fresh networks, one siamese augmentation draw per class."""

    def __init__(self, problem: Problem, params: Features) -> None:
        super().__init__(problem)
        self.params = p = params
        self.network = problem.network(p.nets, precision=p.precision)
        groups = self.synthetic.groups(p.lr, problem.spec.label_lr)
        self.optimiser = (
            torch.optim.Adam(groups)
            if p.optimiser == "adam"
            else torch.optim.SGD(groups, momentum=p.momentum)
        )
        per_image = p.nets * cost(self.network.plan, self.network.shape).activations
        apart = problem.on_cpu and problem.spec.net.norm != "batch"  # which sees the whole batch
        self.images_at_once = max(1, CPU_FLOATS // per_image) if apart else None
        real, made = p.real_batch * problem.classes, len(self.synthetic)
        self.seen = execution.step(
            fresh_features, self.network, total=self.macs(real), of=self._real_macs
        )
        self.matched = execution.step(
            matched, self.network, p.discrepancy, total=self.macs(3 * made)
        )

    def step(self, iteration: int) -> dict[str, float]:
        """One matching step on the mean over networks."""
        p, problem = self.params, self.problem
        weights = self.drawn(iteration)
        generator = problem.generator("real", iteration)
        real, real_classes = problem.data.sample_per_class(p.real_batch, generator)
        decoded = self.synthetic.leaves()
        inputs = [x.detach().requires_grad_() for x in decoded]
        view = self.synthetic.draw(problem.generator("view", iteration))
        images, _ = self.synthetic.take(inputs, view)
        classes = self.synthetic.classes_of(view)
        if p.augment:
            generator = problem.generator("augment", iteration)
            draw = augment.sample(p.augment, problem.classes, generator)
            shared = step_major_labels(problem.classes, p.real_batch)
            real = augment.apply(real, draw.take(shared))
            images = augment.apply(images, draw.take(self.synthetic.rows_of(view)))
        features = self._real_features(weights, real)
        drawn = p.discrepancy.draw(features, problem.generator("discrepancy", iteration))
        target = p.discrepancy.summary(features, real_classes, problem.classes, *drawn)
        loss, gradient = self.distance(weights, target, classes, images.detach(), *drawn)
        self.synthetic.pull(decoded, torch.autograd.grad(images, inputs, gradient))
        return {"loss": loss.item()}

    def drawn(self, iteration: int) -> Weights:
        """Networks in which this iteration's images are seen: fresh ones."""
        return self.network.init(self.problem.generator("net", iteration), self.problem.device)

    def distance(
        self, weights: Weights, target: Tensor, classes: Tensor, images: Tensor, *drawn: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The loss of images as networks see them, and its derivative; target (N, K, ...)."""
        loss, gradient = self.matched(*weights.values(), target, classes, images, *drawn)
        return loss, gradient

    @torch.no_grad()
    def _real_features(self, weights: Weights, real: Tensor) -> Tensor:
        """Features (N, B, F) of real images (B, C, H, W), on a CPU some of them at a time."""
        parts = real.split(self.images_at_once or len(real))
        return torch.cat([self.seen(*weights.values(), part)[0] for part in parts], dim=1)

    def macs(self, images: int) -> float:
        """Multiply-adds of forward passes of so many images in all iterations."""
        one = self.params.nets * cost(self.network.plan, self.network.shape).macs
        return 1.0 * self.problem.spec.params.iterations * images * one

    def _real_macs(self, *tensors: Tensor) -> float:
        """Of those that are seen in parts of a size."""
        total, size = self.params.real_batch * self.problem.classes, len(tensors[-1])
        return self.macs(total // size * size if size == self.images_at_once else size)
