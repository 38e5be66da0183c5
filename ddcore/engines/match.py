"""Feature matching: class means of synthetic and real features in fresh random networks (DM).

Zhao & Bilen 2021. All classes and all networks go through one forward pass each.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ddcore import augment
from ddcore.engines.problem import Distiller, Problem
from ddcore.synthetic import one_hot


def mean_feature_distance(real: Tensor, synthetic: Tensor) -> Tensor:
    """Sum over classes of the squared distance of feature means (N, K, F), averaged over networks."""
    return (real - synthetic).square().sum((1, 2)).mean()


def class_means(features: Tensor, classes: Tensor, count: int) -> Tensor:
    """Mean features (N, K, F) of each class: features (N, B, F), classes (B,)."""
    share = one_hot(classes, count).to(features.dtype)
    return torch.einsum("bk,nbf->nkf", share / share.sum(0), features)


class FeatureMatching(Distiller):
    """DM: `nets` fresh networks per iteration, one siamese augmentation draw per class."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        p = self.params
        self.network = problem.network(p.nets)
        groups = self.synthetic.groups(p.lr, problem.spec.label_lr)
        self.optimiser = torch.optim.SGD(groups, momentum=p.momentum)

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
            draw = augment.sample(p.augment, problem.classes, generator).to(problem.device)
            real = augment.apply(real, draw.take(real_classes))
            images = augment.apply(images, draw.take(classes))
        with torch.no_grad():
            target = class_means(
                self.network.features(weights, real), real_classes, problem.classes
            )
        features = self.network.features(weights, images)
        loss = mean_feature_distance(target, class_means(features, classes, problem.classes))
        self.synthetic.pull(leaves, torch.autograd.grad(loss, inputs))
        return {"loss": loss.item()}
