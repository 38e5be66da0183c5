"""Feature matching: class means of synthetic and real features in fresh random networks (DM).

Zhao & Bilen 2021. All classes and all networks go through one forward pass each.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ddcore.distil.problem import Distiller, Problem
from ddcore.nets.network import Params
from ddcore.nets.plan import cost
from ddcore.training import augment
from ddcore.training.labels import one_hot, step_major_labels

# Activations of real images at a time. More of them leave a CPU's cache, and the C library maps such
# tensors anew each time: whole batches took 1.2 to 1.9 times as long (measured), with equal features.
CPU_FLOATS = 4_000_000


def mean_feature_distance(real: Tensor, synthetic: Tensor) -> Tensor:
    """Sum over classes of the squared distance of feature means (N, K, F), averaged over networks."""
    return (real - synthetic).square().sum((1, 2)).mean()


def class_means(features: Tensor, classes: Tensor, count: int) -> Tensor:
    """Mean features (N, K, F) of each class: features (N, B, F), classes (B,)."""
    share = one_hot(classes, count).to(features.dtype)
    return torch.einsum("bk,nbf->nkf", share / share.sum(0), features)


@dataclass(frozen=True, kw_only=True)
class Features:
    """`nets` fresh networks and `real_batch` real images of each class in every iteration.

    One draw of `augment` for each class ("" for none). The images follow by SGD with `lr` and `momentum`.
    """

    nets: int
    real_batch: int
    augment: str
    lr: float
    momentum: float


class FeatureMatching(Distiller):
    """DM: class means in fresh networks, one siamese augmentation draw per class."""

    def __init__(self, problem: Problem, params: Features) -> None:
        super().__init__(problem)
        self.params = p = params
        self.network = problem.network(p.nets)
        groups = self.synthetic.groups(p.lr, problem.spec.label_lr)
        self.optimiser = torch.optim.SGD(groups, momentum=p.momentum)
        per_image = p.nets * cost(self.network.plan, self.network.shape).activations
        apart = problem.on_cpu and problem.spec.net.norm != "batch"  # which sees the whole batch
        self.images_at_once = max(1, CPU_FLOATS // per_image) if apart else None

    def step(self, iteration: int) -> dict[str, float]:
        """One matching step on the mean over networks."""
        p, problem = self.params, self.problem
        weights = self.network.init(problem.generator("net", iteration), problem.device)
        generator = problem.generator("real", iteration)
        real, real_classes = problem.data.sample_per_class(p.real_batch, generator)
        leaves = self.synthetic.leaves()
        inputs = [x.detach().requires_grad_() for x in leaves]
        view = self.synthetic.draw(problem.generator("view", iteration))
        images, _ = self.synthetic.take(inputs, view)
        classes = self.synthetic.classes_of(view)
        if p.augment:
            generator = problem.generator("augment", iteration)
            draw = augment.sample(p.augment, problem.classes, generator)
            shared = step_major_labels(problem.classes, p.real_batch)
            real = augment.apply(real, draw.take(shared))
            images = augment.apply(images, draw.take(self.synthetic.rows_of(view)))
        target = class_means(self._real_features(weights, real), real_classes, problem.classes)
        features = self.network.features(weights, images)
        loss = mean_feature_distance(target, class_means(features, classes, problem.classes))
        self.synthetic.pull(leaves, torch.autograd.grad(loss, inputs))
        return {"loss": loss.item()}

    @torch.no_grad()
    def _real_features(self, weights: Params, real: Tensor) -> Tensor:
        """Features (N, B, F) of real images (B, C, H, W), on a CPU some of them at a time."""
        parts = real.split(self.images_at_once or len(real))
        return torch.cat([self.network.features(weights, part) for part in parts], dim=1)
