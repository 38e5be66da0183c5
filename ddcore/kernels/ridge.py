"""Ridge regression in closed form, without intercept: min_W |Y - Phi W'|^2 + lambda |W|^2.

Rows are samples: Phi (n, p), Y (n, k), W (k, p). The loss is a sum, so lambda grows with n. Data are
read in batches; only the sums over them are kept, so memory does not depend on n.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ddcore.base.errors import SpecError

EPS = torch.finfo(torch.float64).eps
GRID = tuple(10 ** (e / 2) for e in range(-12, 12))  # 1e-6 .. 10^5.5 (Chen et al. 2024)
GRID_LINEAR = GRID[6:]  # from 1e-3: pixels that never change make their Gram matrix singular

LabelledBatches = Iterable[tuple[Tensor, Tensor]]


def targets(classes: Tensor, count: int, *, centred: bool = False) -> Tensor:
    """(B, k) float64 one-hot rows of classes (B,); `centred` ones sum to 0 (minus 1 / k)."""
    return torch.nn.functional.one_hot(classes, count).double() - (1 / count if centred else 0)


class Gram:
    """Sums over samples: `gram` Phi'Phi (p, p), `cross` Phi'Y (p, k) and their number `count`."""

    def __init__(self, features: int, outputs: int, device: str | torch.device = "cpu") -> None:
        self.gram = torch.zeros(features, features, dtype=torch.float64, device=device)
        self.cross = torch.zeros(features, outputs, dtype=torch.float64, device=device)
        self.count = 0

    def add(self, features: Tensor, labels: Tensor) -> None:
        """Count in a batch: features (B, p), targets (B, k)."""
        features, labels = features.double(), labels.double()
        self.gram.addmm_(features.T, features)
        self.cross.addmm_(features.T, labels)
        self.count += len(features)

    def path(self) -> RidgePath:
        """Decompose, for solutions at any lambda. O(p^3), once."""
        values, vectors = torch.linalg.eigh(self.gram)
        return RidgePath(values.clamp(min=0), vectors, vectors.T @ self.cross)


def accumulate(
    phi: Callable[[Tensor], Tensor], batches: LabelledBatches, features: int, outputs: int
) -> Gram:
    """The sums over batches of images (B, ...) and targets (B, k); images are flattened for phi."""
    gram = None
    for images, labels in batches:
        gram = gram or Gram(features, outputs, images.device)
        gram.add(phi(images.flatten(1)), labels)
    return gram or Gram(features, outputs)


@dataclass(frozen=True, eq=False)
class RidgePath:
    """The solutions at all lambdas: eigenvalues (p,), eigenvectors (p, p), V'Phi'Y (p, k)."""

    values: Tensor
    vectors: Tensor
    projected: Tensor

    def weights(self, lam: float) -> Tensor:
        """W (k, p). At lambda = 0 the least-norm solution; eigenvalues below p eps max count as 0.

        A Gram matrix has squared singular values, so directions 1e-7 below the largest are lost then.
        """
        if not 0 <= lam < float("inf"):
            raise SpecError("lambda", lam, "a number of at least 0")
        cut = len(self.values) * EPS * self.values.max() if lam == 0 else -1
        factor = torch.where(self.values > cut, 1 / (self.values + lam), 0)
        return (self.vectors @ (factor[:, None] * self.projected)).T


@dataclass(frozen=True, eq=False)
class ChosenRidge:
    """The lambda of best validation accuracy, its weights (k, p), and the accuracy of every lambda."""

    lam: float
    weights: Tensor
    accuracies: dict[float, float]


def choose(
    path: RidgePath,
    phi: Callable[[Tensor], Tensor],
    batches: LabelledBatches,
    grid: Sequence[float] = GRID,
) -> ChosenRidge:
    """Judge a grid of lambdas on batches of validation images (B, ...) and classes (B,).

    Among equally good ones the largest is taken: the smoothest and best conditioned model.
    """
    if not grid:
        raise SpecError("grid", list(grid), "at least one lambda")
    models = torch.stack([path.weights(lam) for lam in grid])  # (L, k, p)
    right, seen = torch.zeros(len(grid), dtype=torch.int64), 0
    for images, classes in batches:
        scores = phi(images.flatten(1)) @ models.flatten(0, 1).T
        called = scores.view(len(classes), *models.shape[:2]).argmax(2)
        right += (called == classes[:, None]).sum(0).cpu()
        seen += len(classes)
    accuracies = dict(zip(grid, (right.double() / max(1, seen)).tolist()))
    best = max(grid, key=lambda lam: (accuracies[lam], lam))
    return ChosenRidge(best, path.weights(best), accuracies)


def primal(features: Tensor, labels: Tensor, lam: float) -> Tensor:
    """W (k, p) = Y'Phi (Phi'Phi + lambda I)^-1, for lambda > 0: solves p equations."""
    system = features.T @ features
    system.diagonal().add_(lam)
    return _solve(system, features.T @ labels).T


def dual(features: Tensor, labels: Tensor, lam: float) -> Tensor:
    """The same W (k, p) = Y'(Phi Phi' + lambda I)^-1 Phi, for lambda > 0: solves n equations."""
    system = features @ features.T
    system.diagonal().add_(lam)
    return _solve(system, labels).T @ features


def pinv(features: Tensor, lam: float = 0.0) -> Tensor:
    """Regularised pseudo-inverse (p, n) = (Phi'Phi + lambda I)^-1 Phi'; W' = pinv(Phi) Y.

    From singular values, s -> s / (s^2 + lambda), so the condition number is not squared. At
    lambda = 0 those below max(n, p) eps s_max count as 0.
    """
    left, values, right = torch.linalg.svd(features, full_matrices=False)
    keep = values > (0 if lam else cut_off(features.shape, values))
    inverse = torch.where(keep, values / (values.square() + lam), 0)
    return (right.T * inverse) @ left.T


def cut_off(shape: Sequence[int], values: Tensor) -> float:
    """Singular values up to this are 0 but for rounding: max(n, p) eps s_max."""
    return max(shape) * EPS * values.max().item()


def predict(features: Tensor, weights: Tensor) -> Tensor:
    """f (B, k) of features (B, p) and weights (k, p)."""
    return features @ weights.T


def kernel_predict(k_ts: Tensor, k_ss: Tensor, labels: Tensor, ridge: float | Tensor) -> Tensor:
    """Kernel ridge regression (n, k) = K_TS (K_SS + ridge I)^-1 Y_S; differentiable.

    k_ts (n, m) between targets and support, k_ss (m, m), labels (m, k), ridge (); or stacks of them.
    """
    ridge = torch.as_tensor(ridge).to(k_ss)[..., None, None]
    return k_ts @ _solve(k_ss + ridge * torch.eye(k_ss.shape[-1]).to(k_ss), labels)


def fit(features: Tensor, labels: Tensor, lam: float, eps: float = EPS) -> Tensor:
    """W (k, p) of features (m, p) and labels (m, k), by LAPACK's least squares.

    lam > 0 as p more rows sqrt(lam) I with label 0, or, for fewer points than features, m more columns
    (the same W from a smaller system). Never through the normal equations, which square the condition
    number. `eps` is the precision of the features: singular values up to max(m, p) eps s_max are rounding.
    """
    device, p = features.device, features.shape[1]
    left, right = features.double().cpu().numpy(), labels.double().cpu().numpy()
    m = len(left)
    if lam and m < p:
        left = np.hstack([left, np.sqrt(lam) * np.eye(m)])
    elif lam:
        left = np.vstack([left, np.sqrt(lam) * np.eye(p)])
        right = np.vstack([right, np.zeros((p, right.shape[1]))])
    solution = np.linalg.lstsq(left, right, rcond=max(m, p) * eps)[0][:p]
    return torch.from_numpy(solution.T.copy()).to(device)


def _solve(system: Tensor, right: Tensor) -> Tensor:
    """Of a symmetric positive definite system, which rounding may have made indefinite.

    A kernel of fewer features than images has eigenvalues 0, which rounding moves to either side by more
    than a small ridge lifts them. Only then all are lifted by that much: eps times the trace.
    """
    try:
        return torch.cholesky_solve(right, torch.linalg.cholesky(system))
    except torch.linalg.LinAlgError:
        lift = torch.finfo(system.dtype).eps * system.diagonal(dim1=-2, dim2=-1).sum(-1)
        lifted = system + lift[..., None, None] * torch.eye(system.shape[-1]).to(system)
        return torch.linalg.solve(lifted.double(), right.double()).to(right.dtype)
