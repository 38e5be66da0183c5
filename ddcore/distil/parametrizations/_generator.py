"""Run time of `generator`: images that a small network makes of noise and class. Needs torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ddcore.base.placing import placed
from ddcore.distil.contract import DistillSpec, Params
from ddcore.distil.decoder import Decoder
from ddcore.distil.parametrizations.generator import GeneratorKnobs, seed_side
from ddcore.distil.problem import Problem
from ddcore.nets.plan import Shape
from ddcore.training.labels import one_hot

SLOPE, EPS = 0.1, 1e-5
IMAGES_AT_ONCE = 512  # rendered in one graph; more are rendered in parts that are computed again


def build(problem: Problem[DistillSpec[Params, GeneratorKnobs]]) -> Generator:
    """A generator with random weights and noise; `init`, which is about images, plays no part."""
    spec = problem.spec
    return Generator(
        problem.labels(),
        problem.classes,
        spec.steps,
        problem.data.shape,
        spec.knobs,
        problem.generator("images"),
        problem.data.device,
    )


class Generator(Decoder):
    """Noise (M, Z) and the network's weights; image i is made of noise i and the class of label i.

    labels (M,) step-major in `steps` equal parts. Two fully connected and two convolutional layers, each
    (weights of norm 1, batch norm over one step's images, gain and bias), leaky ReLUs between them, at
    the end 2 tanh. So the images of one step depend on each other, those of different steps do not.
    """

    def __init__(
        self,
        labels: Tensor,
        classes: int,
        steps: int,
        shape: Shape,
        knobs: GeneratorKnobs,
        generator: torch.Generator,
        device: torch.device,
    ) -> None:
        self.labels, self.steps, self.shape, self.knobs = labels, steps, shape, knobs
        self.condition = one_hot(labels, classes).to(device)
        rows, columns = self.seed = seed_side(shape[1]), seed_side(shape[2])
        width, half = knobs.channels, max(1, knobs.channels // 2)
        sizes = {
            "fc1": (knobs.hidden, knobs.noise_dim + classes),
            "fc2": (width * rows * columns, knobs.hidden),
            "conv1": (half, width, 3, 3),
            "conv2": (shape[0], half, 3, 3),
        }
        self.named = {"noise": torch.randn(len(labels), knobs.noise_dim, generator=generator)}
        for name, size in sizes.items():
            self.named[f"{name}.direction"] = torch.randn(size, generator=generator)
            self.named[f"{name}.gain"] = torch.ones(size[0])
            self.named[f"{name}.bias"] = torch.zeros(size[0])
        self.named = {k: v.to(device).requires_grad_() for k, v in self.named.items()}

    def tensors(self) -> dict[str, Tensor]:
        """Noise and weights."""
        return self.named

    def decode(self) -> Tensor:
        """The images of the stored noise."""
        return self._render(self.named["noise"])

    def fresh(self, generator: torch.Generator) -> Tensor:
        """The images of noise drawn now."""
        noise = torch.randn(self.named["noise"].shape, generator=generator)
        return self._render(placed(noise, self.condition.device))

    def _render(self, noise: Tensor) -> Tensor:
        """Whole steps at a time, since their images share a batch norm."""
        x = torch.cat([noise, self.condition], 1).unflatten(0, (self.steps, -1))
        at_once = max(1, IMAGES_AT_ONCE // x.shape[1])
        if at_once >= self.steps:
            return self._network(x)
        parts = [
            checkpoint(self._network, part, use_reentrant=False, preserve_rng_state=False)
            for part in x.split(at_once)
        ]
        return torch.cat(parts)

    def _network(self, x: Tensor) -> Tensor:
        """Images (S * B, C, H, W) of inputs (S, B, Z + K)."""
        steps = len(x)
        x = F.leaky_relu(self._layer("fc1", x.flatten(0, 1), steps), SLOPE)
        x = F.leaky_relu(self._layer("fc2", x, steps), SLOPE)
        x = x.unflatten(1, (-1, *self.seed))
        x = F.leaky_relu(self._layer("conv1", x, steps), SLOPE)
        x = 2 * torch.tanh(self._layer("conv2", x, steps))
        return x[:, :, : self.shape[1], : self.shape[2]]

    def _layer(self, name: str, x: Tensor, steps: int) -> Tensor:
        """Fully connected (B, F), or doubled in size and convolved (B, F, 2H, 2W); then normalised."""
        direction = self.named[f"{name}.direction"]
        lead = (-1, *[1] * (direction.ndim - 1))
        weight = direction / direction.flatten(1).norm(dim=1).view(lead)
        if direction.ndim == 2:
            x = x @ weight.T
        else:
            x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = F.conv2d(_reflected(x), weight)
        if self.knobs.batch_norm:
            x = x.unflatten(0, (steps, -1))
            axes = (1, *range(3, x.ndim))
            variance, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
            x = ((x - mean) * (variance + EPS).rsqrt()).flatten(0, 1)
        lead = (-1, *[1] * (x.ndim - 2))
        return x * self.named[f"{name}.gain"].view(lead) + self.named[f"{name}.bias"].view(lead)


def _reflected(x: Tensor) -> Tensor:
    """Reflection padding by one pixel, whose library kernel has no fixed order of sums on a GPU."""
    x = torch.cat([x[:, :, 1:2], x, x[:, :, -2:-1]], 2)
    return torch.cat([x[..., 1:2], x, x[..., -2:-1]], 3)
