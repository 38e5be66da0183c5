"""Frozen feature maps phi with their preimages, for ridge regression and its exact distillation.

Chen, Huang & Weng (NeurIPS 2024) recover a model exactly if every feature vector has an image, that is
if phi is surjective. A map is drawn from a seed and then fixed; a set made for one map is exact for no
other, so `arrays` belong into the file of a set.
"""

from __future__ import annotations

import functools
import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ddcore.base import rng
from ddcore.base.errors import SpecError

EPS = torch.finfo(torch.float64).eps
BOX = 0.999  # share of a cosine's range that is used: the derivative of arccos is infinite at the ends
IN_SPAN = 1e-10  # an offset this close to the layers' range (relative) is taken to lie in it


class FeatureMap(ABC):
    """A fixed map from images (B, d) to features (B, p), both float64.

    `exact` tells whether every feature vector has an image (after `shrink`), `reason` why, in a sentence.
    """

    kind: ClassVar[str]

    @property
    @abstractmethod
    def inputs(self) -> int:
        """d, numbers of an image."""

    @property
    @abstractmethod
    def features(self) -> int:
        """p, numbers of a feature vector."""

    @abstractmethod
    def __call__(self, images: Tensor) -> Tensor:
        """Features (B, p) of images (B, d); differentiable."""

    @abstractmethod
    def preimage(self, features: Tensor) -> Tensor:
        """Images (B, d) with these features (B, p), the smallest if there are many.

        Where there are none (`exact` is False), layer after layer is solved in the least-squares sense.
        """

    @property
    @abstractmethod
    def exact(self) -> bool:
        """Whether every feature vector has an image."""

    @property
    @abstractmethod
    def reason(self) -> str:
        """Why it is exact, or why not."""

    @property
    def span(self) -> Tensor | None:
        """Orthonormal basis (p, r) of the subspace that all features lie in; None for all of it."""
        return None

    @property
    def unit(self) -> Tensor | None:
        """The read-out (p,) that is 1 on the features of every image, if their range has one."""
        return None

    def shrink(self, features: Tensor) -> float:
        """The factor c <= 1 that brings features (B, p) into the map's range."""
        return 1.0

    def to(self, device: str | torch.device) -> FeatureMap:
        """The map on a device."""
        return from_arrays(self.kind, self.arrays(), device)

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """Everything needed to rebuild the map with `from_arrays`, for a safetensors file."""


@dataclass(frozen=True, eq=False)
class Linear(FeatureMap):
    """The image itself: phi(x) = x."""

    kind: ClassVar[str] = "linear"

    size: int

    @property
    def inputs(self) -> int:
        """d."""
        return self.size

    @property
    def features(self) -> int:
        """p = d."""
        return self.size

    def __call__(self, images: Tensor) -> Tensor:
        """The images as float64."""
        return images.double()

    def preimage(self, features: Tensor) -> Tensor:
        """The features."""
        return features.double()

    exact = True
    reason = "the features are the image itself"

    def arrays(self) -> dict[str, np.ndarray]:
        """The size."""
        return {"size": np.array(self.size)}


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
        _require("slope", slope, slope > 0, "more than 0, so that the activation can be undone")
        sizes = _sizes(inputs, [inputs] if widths is None else widths)
        weights = []
        for layer, (fan_in, out) in enumerate(itertools.pairwise(sizes)):
            drawn = _normal(seed, cls.kind, layer, shape=(out, fan_in))
            weights.append(_orthonormal(drawn) if orthogonal else drawn / math.sqrt(fan_in))
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
        return {**_numbered("weight", self.weights), "slope": np.array(self.slope)}


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
        _require("variance", variance, variance > 0, "more than 0")
        inputs, p = _sizes(inputs, [inputs if features is None else features])
        weight = _normal(seed, cls.kind, "weight", shape=(p, inputs)) * math.sqrt(variance)
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
        _require("bias_std", bias_std, bias_std >= 0, "0 or more")
        sizes = _sizes(inputs, widths)
        pairs = list(enumerate(itertools.pairwise(sizes)))
        draw = functools.partial(_normal, seed, cls.kind)
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
        return {**_numbered("weight", self.weights), **_numbered("bias", self.biases)}


KINDS = {c.kind: c for c in (Linear, FCNN, RFF, Affine)}


def from_arrays(
    kind: str, arrays: dict[str, np.ndarray], device: str | torch.device = "cpu"
) -> FeatureMap:
    """The map that `arrays()` of this kind were taken from; `SpecError` for an unknown kind."""
    _require("kind", kind, kind in KINDS, "one of " + ", ".join(KINDS))

    def tensor(name: str) -> Tensor:
        return torch.as_tensor(arrays[name], dtype=torch.float64, device=device)

    def layers(name: str) -> tuple[Tensor, ...]:
        numbers = itertools.takewhile(lambda i: f"{name}.{i}" in arrays, itertools.count())
        return tuple(tensor(f"{name}.{i}") for i in numbers)

    if kind == Linear.kind:
        return Linear(int(arrays["size"]))
    if kind == FCNN.kind:
        return FCNN(layers("weight"), float(arrays["slope"]))
    if kind == RFF.kind:
        return RFF(tensor("weight"), tensor("phase"))
    return Affine(layers("weight"), layers("bias"))


class Solver:
    """Solutions x of x A' = z from one QR decomposition: of least norm if many, least squares if none.

    A (p, d) must have full rank (`SpecError`). More accurate than multiplying with an inverse.
    """

    def __init__(self, matrix: Tensor) -> None:
        self.wide = matrix.shape[0] <= matrix.shape[1]
        self.q, self.r = torch.linalg.qr(matrix.T if self.wide else matrix)
        pivots = self.r.diagonal().abs()
        if pivots.min() <= max(matrix.shape) * EPS * pivots.max():
            raise SpecError(
                "weights",
                f"{tuple(matrix.shape)} matrix that loses dimensions",
                "layers of full rank",
            )

    def __call__(self, z: Tensor) -> Tensor:
        """x (B, d) of z (B, p)."""
        if self.wide:
            return torch.linalg.solve_triangular(self.r.T, z.T, upper=False).T @ self.q.T
        return torch.linalg.solve_triangular(self.r, self.q.T @ z.T, upper=True).T


def _normal(seed: int, *labels: object, shape: tuple[int, ...]) -> Tensor:
    return torch.randn(shape, generator=rng.generator(seed, *labels), dtype=torch.float64)


def _orthonormal(drawn: Tensor) -> Tensor:
    """Uniformly random orthonormal rows (or columns, if there are more rows than columns)."""
    tall = drawn if drawn.shape[0] > drawn.shape[1] else drawn.T
    q, r = torch.linalg.qr(tall)
    q = q * r.diagonal().sign()  # without this the distribution depends on the algorithm
    return q if tall is drawn else q.T


def _sizes(inputs: int, widths: Sequence[int]) -> list[int]:
    for name, values in (("inputs", [inputs]), ("widths", widths)):
        allowed = len(values) > 0 and all(v >= 1 for v in values)
        _require(name, list(values), allowed, "whole numbers of at least 1")
    return [inputs, *widths]


def _require(field: str, value: object, ok: bool, allowed: str) -> None:
    if not ok:
        raise SpecError(field, value, allowed)


def _numbered(name: str, tensors: Sequence[Tensor]) -> dict[str, np.ndarray]:
    return {f"{name}.{i}": t.cpu().numpy() for i, t in enumerate(tensors)}
