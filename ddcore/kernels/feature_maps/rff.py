"""Random Fourier features."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ddcore.base import rng
from ddcore.kernels.feature_maps.base import (
    EPS,
    FeatureMap,
    Solver,
    as_double,
    layer_sizes,
    normal,
    require,
)

BOX = 0.999  # share of a cosine's range that is used: the derivative of arccos is infinite at the ends


@dataclass(frozen=True, eq=False)
class RFF(FeatureMap):
    """Random Fourier features (Rahimi & Recht 2007): phi(x) = sqrt(2 / p) cos(A x + b).

    weight A (p, d), phase b (p,). Features lie in a box, so they are shrunk by c before a preimage
    is taken; with labels shrunk by c too (and a ridge by c^2), the trained model stays the same.
    """

    kind: ClassVar[str] = "rff"

    weight: Tensor
    phase: Tensor

    @classmethod
    def make(
        cls, inputs: int, features: int | None = None, *, variance: float = 1e-3, seed: int = 0
    ) -> RFF:
        """Weights of this variance (1 / squared length scale; 1/1000 is the authors' choice)."""
        require("variance", variance, variance > 0, "more than 0")
        inputs, p = layer_sizes(inputs, [inputs if features is None else features])
        weight = normal(seed, cls.kind, "weight", shape=(p, inputs)) * math.sqrt(variance)
        generator = rng.generator(seed, cls.kind, "phase")
        phase = torch.rand(p, generator=generator, dtype=torch.float64) * (2 * math.pi)
        return cls(weight, phase)

    @property
    def inputs(self) -> int:
        """d."""
        return self.weight.shape[1]

    @property
    def features(self) -> int:
        """Number of cosines."""
        return self.weight.shape[0]

    @property
    def _height(self) -> float:
        return math.sqrt(2 / self.features)

    def __call__(self, images: Tensor) -> Tensor:
        """Scaled cosines of random projections."""
        return self._height * torch.cos(images.double() @ self.weight.T + self.phase)

    def preimage(self, features: Tensor) -> Tensor:
        """Images of features inside the box; those outside are moved to its edge."""
        cosine = (features.double() / self._height).clamp(-1, 1)
        return self._solver(cosine.arccos() - self.phase)

    def shrink(self, features: Tensor) -> float:
        """So that the largest feature reaches 0.999 of the cosine's range."""
        return min(1.0, BOX * self._height / features.abs().max().clamp(min=EPS).item())

    @functools.cached_property
    def _solver(self) -> Solver:
        return Solver(self.weight)

    @property
    def exact(self) -> bool:
        """Whether there are no more cosines than numbers in an image."""
        return self.features <= self.inputs

    @property
    def reason(self) -> str:
        """Why it is exact, or why not."""
        if self.exact:
            return (
                "the angles can be chosen freely; features and labels are shrunk into their range"
            )
        return (
            "there are more cosines than numbers in an image, so their angles depend on each other"
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """Weight and phase."""
        return {"weight": self.weight.cpu().numpy(), "phase": self.phase.cpu().numpy()}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], device: str | torch.device) -> RFF:
        """Inverse of `arrays`."""
        return cls(as_double(arrays["weight"], device), as_double(arrays["phase"], device))
