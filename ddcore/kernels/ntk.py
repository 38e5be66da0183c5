"""Kernels of infinitely wide fully connected ReLU networks, and what KIP does with a kernel.

NNGP (Lee et al. 2018) is the covariance of random networks' outputs, NTK (Jacot et al. 2018) the kernel
of their training. KIP and Label Solve: Nguyen, Chen & Lee (ICLR 2021), with the constants of their code.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ddcore.base.errors import SpecError
from ddcore.kernels.ridge import kernel_predict

W_VAR = 2.0  # variance of a weight times fan-in
B_VAR = 0.01  # of a bias
RIDGE = 1e-6  # relative to the mean of the kernel's diagonal
LEAST_RIDGE = 1e-12  # so that a kernel of zeros has a solution
# Cosines this close to 1 belong to the same point: the derivative of arccos is infinite there.
SAME = 1e-10


class Kernels(NamedTuple):
    """Both kernels (n, m) of the same points."""

    nngp: Tensor
    ntk: Tensor


def fc_kernels(
    x: Tensor,
    y: Tensor | None = None,
    *,
    depth: int = 1,
    w_var: float = W_VAR,
    b_var: float = B_VAR,
) -> Kernels:
    """Kernels of a network with `depth` hidden ReLU layers between points x (n, d) and y (m, d).

    y is x if left out. Computed in float64 and differentiable in both arguments, also where points
    coincide. Weights have variance w_var / fan-in, biases b_var; both are trained (NTK parametrization).
    Formula of a layer: Cho & Saul 2009 (arc-cosine kernels of degree 0 and 1).
    """
    if depth < 0:
        raise SpecError("depth", depth, "a number of at least 0")
    x = x.double()
    y = x if y is None else y.double()
    scale = w_var / x.shape[1]
    nngp = scale * (x @ y.T) + b_var
    x_var, y_var = (scale * z.square().sum(1) + b_var for z in (x, y))
    ntk = nngp
    for _ in range(depth):
        length = (x_var[:, None] * y_var).clamp(min=torch.finfo(x.dtype).tiny).sqrt()
        cosine = nngp / length
        inner = cosine.abs() < 1 - SAME
        # `where` twice: a derivative that is infinite is NaN even where its branch is not taken.
        angle = torch.where(inner, torch.where(inner, cosine, 0).arccos(), _straight(cosine))
        ends = torch.where(inner, cosine, cosine.sign())
        relu = length * (angle.sin() + (math.pi - angle) * ends) / (2 * math.pi)
        slope = (math.pi - angle) / (2 * math.pi)
        nngp = w_var * relu + b_var
        ntk = nngp + w_var * slope * ntk
        x_var, y_var = (w_var * v / 2 + b_var for v in (x_var, y_var))
    return Kernels(nngp, ntk)


def _straight(cosine: Tensor) -> Tensor:
    """The angle of cosine 1 (0) or -1 (pi), a constant."""
    return math.pi * (cosine.detach() < 0).to(cosine.dtype)


def ridge_of(k_ss: Tensor, relative: float = RIDGE) -> Tensor:
    """The ridge () of a support kernel (m, m), or of each (N,): `relative` times its mean diagonal.

    More than 0 also for a network whose features are all 0: it predicts 0.
    """
    return (relative * k_ss.diagonal(dim1=-2, dim2=-1).mean(-1)).clamp(min=LEAST_RIDGE)


def kip_loss(
    k_ss: Tensor, k_ts: Tensor, labels: Tensor, targets: Tensor, relative: float = RIDGE
) -> Tensor:
    """Half the mean square error () of ridge regression on the support, judged on real targets.

    k_ss (m, m), k_ts (n, m), labels (m, k) of the support, targets (n, k), both centred one-hot rows in
    KIP; or stacks of kernels. The mean is over all numbers, as in the authors' code. Differentiable in
    everything.
    """
    predicted = kernel_predict(k_ts, k_ss, labels, ridge_of(k_ss, relative))
    return (predicted - targets).square().mean() / 2


def label_solve(k_ss: Tensor, k_ts: Tensor, targets: Tensor, relative: float = RIDGE) -> Tensor:
    """Labels (m, k) that minimise `kip_loss` for these support images; least norm if many do."""
    identity = torch.eye(len(k_ss)).to(k_ss)
    predictor = kernel_predict(k_ts, k_ss, identity, ridge_of(k_ss, relative))  # (n, m)
    return torch.linalg.pinv(predictor) @ targets
