"""Random fully connected layers that can be undone."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ddcore.kernels.feature_maps.base import (
    FeatureMap,
    Solver,
    layer_sizes,
    normal,
    numbered,
    orthonormal,
    read_numbered,
    require,
)


@dataclass(frozen=True, eq=False)
class FCNN(FeatureMap):
    """Last hidden layer of a random fully connected network without biases.

    x_l = LeakyReLU(A_l x_{l-1}); weights[l] is A_l, (out, in). Surjective if every A_l has full row
    rank, since LeakyReLU takes every value once.
    """

    kind: ClassVar[str] = "fcnn"

    weights: tuple[Tensor, ...]
    slope: float = 0.1

    @classmethod
    def make(
        cls,
        inputs: int,
        widths: Sequence[int] | None = None,
        *,
        orthogonal: bool = False,
        slope: float = 0.1,
        seed: int = 0,
    ) -> FCNN:
        """Gaussian weights of variance 1 / fan-in, or orthonormal ones (better conditioned).

        `widths` of the hidden layers; one as wide as the image by default (the authors' choice).
        """
        require("slope", slope, slope > 0, "more than 0, so that the activation can be undone")
        sizes = layer_sizes(inputs, [inputs] if widths is None else widths)
        weights = []
        for layer, (fan_in, out) in enumerate(itertools.pairwise(sizes)):
            drawn = normal(seed, cls.kind, layer, shape=(out, fan_in))
            weights.append(orthonormal(drawn) if orthogonal else drawn / math.sqrt(fan_in))
        return cls(tuple(weights), slope)

    @property
    def inputs(self) -> int:
        """d."""
        return self.weights[0].shape[1]

    @property
    def features(self) -> int:
        """Width of the last hidden layer."""
        return self.weights[-1].shape[0]

    def __call__(self, images: Tensor) -> Tensor:
        """Activations of the last hidden layer."""
        x = images.double()
        for weight in self.weights:
            x = F.leaky_relu(x @ weight.T, self.slope)
        return x

    def preimage(self, features: Tensor) -> Tensor:
        """From the last layer to the first: undo the activation, then the weights."""
        x = features.double()
        for solve in reversed(self._solvers):
            x = solve(torch.where(x < 0, x / self.slope, x))
        return x

    @functools.cached_property
    def _solvers(self) -> list[Solver]:
        return [Solver(w) for w in self.weights]

    @property
    def exact(self) -> bool:
        """Whether no layer is wider than the one before it."""
        return all(w.shape[0] <= w.shape[1] for w in self.weights)

    @property
    def reason(self) -> str:
        """Why it is exact, or why not."""
        if self.exact:
            return "no layer is wider than the one before it, so every layer can be undone"
        return "a layer is wider than the one before it, so most feature vectors belong to no image"

    def arrays(self) -> dict[str, np.ndarray]:
        """Weights and slope."""
        return {**numbered("weight", self.weights), "slope": np.array(self.slope)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], device: str | torch.device) -> FCNN:
        """Inverse of `arrays`."""
        return cls(read_numbered(arrays, "weight", device), float(arrays["slope"]))
