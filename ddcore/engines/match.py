"""Feature matching: class means of synthetic and real features in fresh random networks (DM).

Zhao & Bilen 2021. All classes and all networks go through one forward pass each.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ddcore import augment
from ddcore.engines.problem import Current, Problem, to_numpy
from ddcore.labels import HardLabels


def mean_feature_distance(real: Tensor, synthetic: Tensor, classes: int) -> Tensor:
    """Sum over classes of the squared distance of feature means, averaged over networks.

    real (N, K*R, F) and synthetic (N, K*ipc, F), each sorted by class in equal parts.
    """
    means = [f.unflatten(1, (classes, -1)).mean(2) for f in (real, synthetic)]
    return (means[0] - means[1]).square().sum((1, 2)).mean()


class FeatureMatching:
    """DM: `nets` fresh networks per iteration, one siamese augmentation draw per class."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.params = problem, problem.spec.params
        self.labels = HardLabels(problem.classes, problem.spec.ipc)
        self.pixels = problem.pixels(self.labels)
        self.network = problem.network(self.params.nets)
        self.optimiser = torch.optim.SGD(
            list(self.tensors().values()), lr=self.params.lr, momentum=self.params.momentum
        )

    def tensors(self) -> dict[str, Tensor]:
        """The pixels."""
        return self.pixels.tensors()

    def lr_factor(self, iteration: int) -> float:
        """Constant step size."""
        return 1.0

    def step(self, iteration: int) -> dict[str, float]:
        """One matching step on the mean over networks."""
        p, problem = self.params, self.problem
        weights = self.network.init(problem.generator("net", iteration), problem.device)
        generator = problem.generator("real", iteration)
        real, real_labels = problem.data.sample_per_class(p.real_batch, generator)
        synthetic = self.pixels.decode()
        if p.augment:
            generator = problem.generator("augment", iteration)
            draw = augment.sample(p.augment, problem.classes, generator).to(problem.device)
            real = augment.apply(real, draw.take(real_labels))
            synthetic = augment.apply(synthetic, draw.take(self.labels.targets().to(real.device)))
        with torch.no_grad():
            target = self.network.features(weights, real)
        features = self.network.features(weights, synthetic)
        loss = mean_feature_distance(target, features, problem.classes)
        (self.pixels.images.grad,) = torch.autograd.grad(loss, [self.pixels.images])
        return {"loss": loss.item()}

    def current(self) -> Current:
        """Images in class order; no step sizes."""
        labels = self.labels.targets().numpy()
        return Current(to_numpy(self.pixels.decode()), labels, 1, None, {})
