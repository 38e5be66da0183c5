"""Random linear layers with offsets, wider than the image."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ddcore.kernels.feature_maps.base import (
    FeatureMap,
    Solver,
    layer_sizes,
    normal,
    numbered,
    read_numbered,
    require,
)

IN_SPAN = 1e-10  # an offset this close to the layers' range (relative) is taken to lie in it


@dataclass(frozen=True, eq=False)
class Affine(FeatureMap):
    """A deep linear network, phi(x) = B x + a: x_l = A_l x_{l-1} + b_l.

    With p > d its features fill only a plane. Without offset that plane is a subspace, in which all of a
    trained model lies; with one, distilled points need a further condition (`unit`), so k + 1 of them.
    """

    kind: ClassVar[str] = "affine"

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]

    @classmethod
    def make(
        cls, inputs: int, widths: Sequence[int], *, bias_std: float = 1.0, seed: int = 0
    ) -> Affine:
        """Gaussian weights of variance 1 / fan-in and biases of this standard deviation (0: none)."""
        require("bias_std", bias_std, bias_std >= 0, "0 or more")
        sizes = layer_sizes(inputs, widths)
        pairs = list(enumerate(itertools.pairwise(sizes)))
        draw = functools.partial(normal, seed, cls.kind)
        weights = [draw("weight", i, shape=(o, n)) / math.sqrt(n) for i, (n, o) in pairs]
        biases = [draw("bias", i, shape=(o,)) * bias_std for i, (_, o) in pairs]
        return cls(tuple(weights), tuple(biases))

    @property
    def inputs(self) -> int:
        """d."""
        return self.weights[0].shape[1]

    @property
    def features(self) -> int:
        """Width of the last layer."""
        return self.weights[-1].shape[0]

    @functools.cached_property
    def matrix(self) -> Tensor:
        """B (p, d), all layers as one."""
        return functools.reduce(lambda product, weight: weight @ product, self.weights)

    @functools.cached_property
    def offset(self) -> Tensor:
        """a (p,), the features of the image 0."""
        layers = zip(self.weights[1:], self.biases[1:])
        return functools.reduce(lambda a, layer: layer[0] @ a + layer[1], layers, self.biases[0])

    def __call__(self, images: Tensor) -> Tensor:
        """B x + a, layer after layer."""
        x = images.double()
        for weight, bias in zip(self.weights, self.biases):
            x = x @ weight.T + bias
        return x

    def preimage(self, features: Tensor) -> Tensor:
        """Solved for all layers at once, since layers wider than needed cancel out."""
        return self._solver(features.double() - self.offset)

    @functools.cached_property
    def _solver(self) -> Solver:
        return Solver(self.matrix)

    @functools.cached_property
    def _outside(self) -> Tensor | None:
        """(p,) the part of the offset that no image makes; None if images make all of it."""
        if self.exact:
            return None
        basis = self._solver.q
        rest = self.offset - basis @ (basis.T @ self.offset)
        rest = rest - basis @ (basis.T @ rest)  # once more: orthogonal to the last digit
        return rest if rest.norm() > IN_SPAN * self.offset.norm() else None

    @functools.cached_property
    def span(self) -> Tensor | None:
        """Of the columns of [B a]."""
        if self.exact:
            return None
        basis, rest = self._solver.q, self._outside
        return basis if rest is None else torch.cat([basis, (rest / rest.norm())[:, None]], 1)

    @functools.cached_property
    def unit(self) -> Tensor | None:
        """q with q'B = 0 and q'a = 1, in the span of [B a]: the last row of its pseudo-inverse."""
        rest = self._outside
        return None if rest is None else rest / rest.square().sum()

    @property
    def exact(self) -> bool:
        """Whether there are no more features than numbers in an image."""
        return self.features <= self.inputs

    @property
    def reason(self) -> str:
        """Why it is exact, or why not."""
        if self.exact:
            return (
                "there are no more features than numbers in an image, so the layers can be undone"
            )
        if self.unit is None:
            return "its features fill only a subspace, in which the trained model lies too"
        return "its features fill only a plane beside the origin: one point more than classes is needed"

    def arrays(self) -> dict[str, np.ndarray]:
        """Weights and biases."""
        return {**numbered("weight", self.weights), **numbered("bias", self.biases)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], device: str | torch.device) -> Affine:
        """Inverse of `arrays`."""
        return cls(read_numbered(arrays, "weight", device), read_numbered(arrays, "bias", device))
