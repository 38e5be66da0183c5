"""Distances between distributions of features, class by class, for feature matching in place of means.

`KernelMean`: maximum mean discrepancy (Gretton et al. 2012; M3D, Zhang et al. 2024). `Characteristic`:
characteristic functions at random frequencies (NCFM, Wang et al. 2025).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ddcore.base.placing import placed
from ddcore.distil.engines.match import Discrepancy, class_means

LEAST_SPREAD = 1e-12  # squared: real features that are all the same have none
LEAST_GAP = 1e-12  # squared, of two characteristic functions: below it they are equal


def by_class(features: Tensor, classes: Tensor, count: int) -> Tensor:
    """Features (N, K, B / K, F) of (N, B, F): every class has the same number of images."""
    order = classes.argsort(stable=True)
    return features[:, order].unflatten(1, (count, -1))


def squared_distances(one: Tensor, other: Tensor) -> Tensor:
    """(..., I, J) between points (..., I, F) and (..., J, F)."""
    lengths = one.square().sum(-1)[..., :, None] + other.square().sum(-1)[..., None, :]
    return (lengths - 2 * one @ other.mT).clamp(min=0)


@dataclass(frozen=True)
class KernelMean(Discrepancy):
    """Squared distance of mean embeddings, all pairs counted (the V-statistic).

    "linear": of the features themselves, which is the squared distance of class means. "gaussian":
    exp(-|x - y|^2 / 2 s^2), so all moments count; s is `bandwidth` times the root of the mean squared
    distance of a class's real features, and the discrepancy comes times s^2: it tends to that of the linear
    kernel as `bandwidth` grows.
    """

    kernel: str
    bandwidth: float

    def summary(self, features: Tensor, classes: Tensor, count: int, *drawn: Tensor) -> Tensor:
        """(N, K, B / K, F): every feature counts."""
        return by_class(features, classes, count)

    def loss(self, target: Tensor, features: Tensor, classes: Tensor, *drawn: Tensor) -> Tensor:
        """s^2 MMD^2, summed over classes, averaged over networks."""
        mine = by_class(features, classes, target.shape[1])
        if self.kernel == "linear":
            same, other, cross = (a @ b.mT for a, b in _pairs(target, mine))
            return _discrepancy(same, other, cross).sum(1).mean()
        same, other, cross = (squared_distances(a, b) for a, b in _pairs(target, mine))
        square = self.bandwidth**2 * same.mean((2, 3)).clamp(min=LEAST_SPREAD)  # (N, K)
        width = 2 * square[..., None, None]
        found = _discrepancy(*((-d / width).exp() for d in (same, other, cross)))
        return (square * found).sum(1).mean()


def _pairs(real: Tensor, mine: Tensor) -> tuple[tuple[Tensor, Tensor], ...]:
    return (real, real), (mine, mine), (real, mine)


def _discrepancy(same: Tensor, other: Tensor, cross: Tensor) -> Tensor:
    """(N, K) from a kernel's values among real features, among the others, and between both."""
    return same.mean((2, 3)) + other.mean((2, 3)) - 2 * cross.mean((2, 3))


@dataclass(frozen=True)
class Characteristic(Discrepancy):
    """`weight` times the mean, over `frequencies` t ~ N(0, 1), of the gap of characteristic functions there.

    Features have length 1. With phi = E exp(i t f), r of real and s of other features, the squared gap is
    a (|r| - |s|)^2 + 2 (1 - a) (|r| |s| - Re r conj s): amplitudes count with a = `amplitude`, phases with
    the rest. At a = 1/2 it is |r - s|^2 / 2.
    """

    frequencies: int
    amplitude: float
    weight: float

    def draw(self, features: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Frequencies (T, F), the same for all classes and networks."""
        t = torch.randn(self.frequencies, features.shape[2], generator=generator)
        return [placed(t, features.device).to(features.dtype)]

    def summary(self, features: Tensor, classes: Tensor, count: int, *drawn: Tensor) -> Tensor:
        """(N, K, 2 T): real parts, then imaginary ones."""
        (t,) = drawn
        angles = F.normalize(features, dim=2) @ t.T
        return class_means(torch.cat([angles.cos(), angles.sin()], 2), classes, count)

    def loss(self, target: Tensor, features: Tensor, classes: Tensor, *drawn: Tensor) -> Tensor:
        """Summed over classes, averaged over networks; 0 for equal samples, where it has no slope."""
        mine = self.summary(features, classes, target.shape[1], *drawn)
        amplitudes = (_lengths(x) for x in (target, mine))
        phases = 1 - self.amplitude
        square = phases * (target - mine).square().unflatten(2, (2, -1)).sum(2)
        if self.amplitude != phases:
            one, other = amplitudes
            square = square + (self.amplitude - phases) * (one - other).square()
        apart = square > LEAST_GAP
        gap = torch.where(apart, square.clamp(min=LEAST_GAP).sqrt(), 0)
        return self.weight * gap.mean(2).sum(1).mean()


def _lengths(parts: Tensor) -> Tensor:
    """(N, K, T) moduli; no slope at 0."""
    square = parts.square().unflatten(2, (2, -1)).sum(2)
    return square.clamp(min=LEAST_GAP).sqrt()
