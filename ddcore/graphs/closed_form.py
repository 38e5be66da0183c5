"""Gradients of a linear graph network in closed form, and how far those of two graphs are apart.

    logits = H W + b,  H = P P X;   dCE/dW = Hᵀ (softmax(logits) - Y) / n

so matching them needs first derivatives only (Jin et al. 2022 differentiate twice).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

EPS = 1e-6  # in the cosine, as in the authors' code


def residual(logits: Tensor, labels: Tensor) -> Tensor:
    """softmax - one-hot (n, K)."""
    found = logits.softmax(1)
    return found - torch.nn.functional.one_hot(labels, logits.shape[1]).to(found)


def gradient(h: Tensor, labels: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Of the mean cross entropy with respect to W (d, K) and b (1, K), at H (n, d)."""
    error = residual(torch.addmm(bias, h, weight), labels) / len(h)
    return h.T @ error, error.sum(0, keepdim=True)


def class_gradients(
    h: Tensor, labels: Tensor, weight: Tensor, bias: Tensor, classes: Sequence[int]
) -> Tensor:
    """The gradients with respect to W of each class's own mean (C, d, K), for rows of H (n, d)."""
    error = residual(torch.addmm(bias, h, weight), labels)
    found = []
    for c in classes:
        rows = (labels == c).nonzero()[:, 0]
        found.append(h[rows].T @ error[rows] / len(rows))
    return torch.stack(found)


def distances(real: Tensor, ours: Tensor, kind: str) -> Tensor:
    """Of gradients (C, d, K), one for each class: (C,).

    "cosine": summed over the outputs j, 1 - cos of columns j; "mse": the sum of squared differences.
    """
    if kind == "mse":
        return ((real - ours) ** 2).sum((1, 2))
    product = (real * ours).sum(1)
    norms = real.norm(dim=1) * ours.norm(dim=1)
    return (1 - product / (norms + EPS)).sum(1)
