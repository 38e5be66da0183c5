"""What a feature map is, and what they are made of: random layers, and their solution."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ddcore.base import rng
from ddcore.base.errors import SpecError

EPS = torch.finfo(torch.float64).eps


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
        return self.from_arrays(self.arrays(), device)

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """Everything needed to rebuild the map with `from_arrays`, for a safetensors file."""

    @classmethod
    @abstractmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], device: str | torch.device) -> FeatureMap:
        """Inverse of `arrays`."""


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


def normal(seed: int, *labels: object, shape: tuple[int, ...]) -> Tensor:
    """Standard normal float64 numbers of a stream of their own."""
    return torch.randn(shape, generator=rng.generator(seed, *labels), dtype=torch.float64)


def orthonormal(drawn: Tensor) -> Tensor:
    """Uniformly random orthonormal rows (or columns, if there are more rows than columns)."""
    tall = drawn if drawn.shape[0] > drawn.shape[1] else drawn.T
    q, r = torch.linalg.qr(tall)
    q = q * r.diagonal().sign()  # without this the distribution depends on the algorithm
    return q if tall is drawn else q.T


def layer_sizes(inputs: int, widths: Sequence[int]) -> list[int]:
    """Numbers of the image and of each layer; `SpecError` if one has none."""
    for name, values in (("inputs", [inputs]), ("widths", widths)):
        allowed = len(values) > 0 and all(v >= 1 for v in values)
        require(name, list(values), allowed, "whole numbers of at least 1")
    return [inputs, *widths]


def numbered(name: str, tensors: Sequence[Tensor]) -> dict[str, np.ndarray]:
    """The tensors as arrays "name.0", "name.1", ..."""
    return {f"{name}.{i}": t.cpu().numpy() for i, t in enumerate(tensors)}


def require(field: str, value: object, ok: bool, allowed: str) -> None:
    """`SpecError` unless `ok`."""
    if not ok:
        raise SpecError(field, value, allowed)


def as_double(values: np.ndarray, device: str | torch.device) -> Tensor:
    """Float64 on a device."""
    return torch.as_tensor(values, dtype=torch.float64, device=device)


def read_numbered(
    arrays: dict[str, np.ndarray], name: str, device: str | torch.device
) -> tuple[Tensor, ...]:
    """The tensors that `numbered` named."""
    numbers = itertools.takewhile(lambda i: f"{name}.{i}" in arrays, itertools.count())
    return tuple(as_double(arrays[f"{name}.{i}"], device) for i in numbers)
