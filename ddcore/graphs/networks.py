"""Networks on graphs, as functions of their weights: GCN, SGC, APPNP and an MLP that sees no edges."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor
from torch.nn import functional

POWER, TELEPORT = 10, 0.1  # of APPNP (Gasteiger et al. 2019)


class Operator:
    """A constant matrix, dense or sparse, on the left of a product; gradients flow to the right side."""

    def __init__(self, matrix: np.ndarray | sp.csr_matrix, device: str | torch.device) -> None:
        self.dense: Tensor | None = None
        if sp.issparse(matrix):
            self.sparse = _csr(matrix, device)
            self.turned = _csr(sp.csr_matrix(matrix.T), device)
        else:
            self.dense = torch.from_numpy(np.ascontiguousarray(matrix, np.float32)).to(device)

    def __matmul__(self, other: Tensor) -> Tensor:
        if self.dense is not None:
            return self.dense @ other
        return _Product.apply(self.sparse, self.turned, other)


def _csr(matrix: sp.csr_matrix, device: str | torch.device) -> Tensor:
    import warnings

    matrix = matrix.sorted_indices()
    rows, columns, values = (
        torch.from_numpy(np.asarray(part, kind))
        for part, kind in (
            (matrix.indptr, np.int64),
            (matrix.indices, np.int64),
            (matrix.data, np.float32),
        )
    )
    with warnings.catch_warnings():
        for said in ("Sparse CSR tensor support is in beta", "Sparse invariant checks"):
            warnings.filterwarnings("ignore", message=said)
        return torch.sparse_csr_tensor(
            rows, columns, values, size=matrix.shape, device=device, check_invariants=True
        )


class _Product(torch.autograd.Function):
    """Sparse (n, m) times dense (m, k)."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, turned: Tensor, other: Tensor) -> Tensor:
        ctx.turned = turned
        return matrix @ other

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[None, None, Tensor]:
        return None, None, ctx.turned @ slopes[0].contiguous()


@dataclass(frozen=True)
class GraphView:
    """A graph as a network sees it: features X (n, d) and P (n, n); without P no node sees another."""

    features: Operator
    spread: Operator | None

    def times(self, z: Tensor) -> Tensor:
        """P z."""
        return z if self.spread is None else self.spread @ z


def first_weights(
    net: str, width: int, hidden: int, classes: int, generator: torch.Generator
) -> list[Tensor]:
    """Fresh weights and biases, uniform within 1/sqrt(inputs) (as in the authors' code)."""
    sizes = [(width, classes)] if net == "sgc" else [(width, hidden), (hidden, classes)]
    found = []
    for wide, narrow in sizes:
        bound = 1 / math.sqrt(wide)
        for shape in ((wide, narrow), (narrow,)):
            found.append(torch.rand(shape, generator=generator) * 2 * bound - bound)
    return found


def hidden_units(net: str, weights: list[Tensor], seen: GraphView) -> Tensor:
    """The units (n, hidden) before the last layer; of SGC the features of its outputs (n, K)."""
    z = seen.features @ weights[0]
    if net == "gcn":
        z = seen.times(z)
    return z if net == "sgc" else functional.relu(z + weights[1])


def logits(net: str, weights: list[Tensor], seen: GraphView, mask: Tensor | None = None) -> Tensor:
    """Outputs (n, K). `mask` (n, hidden) multiplies the hidden units: dropout."""
    h = hidden_units(net, weights, seen)
    if net == "sgc":
        return seen.times(seen.times(h)) + weights[1]
    if mask is not None:
        h = h * mask
    z = h @ weights[2]
    if net == "gcn":
        return seen.times(z) + weights[3]
    z = z + weights[3]
    if net == "appnp":
        first = z
        for _ in range(POWER):
            z = (1 - TELEPORT) * seen.times(z) + TELEPORT * first
    return z
