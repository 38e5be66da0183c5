"""Edges as a function of features: a perceptron over all pairs of nodes (Jin et al. 2022, equation 10).

    a_ij = sigmoid((e([x_i; x_j]) + e([x_j; x_i])) / 2),  a_ii = 0

e has three layers with batch normalisation over all n² pairs, always with the statistics of these pairs, as
in the authors' code: A is a function of the whole set. The first layer is a sum, [x_i; x_j] W = x_i Wa +
x_j Wb, so that it takes 2 n products instead of n²: the same numbers to rounding.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

EPS = 1e-5  # of batch normalisation


class PairPerceptron:
    """The weights, as a dict of tensors; `features` numbers a node, `hidden` units."""

    def __init__(self, features: int, hidden: int, generator: torch.Generator) -> None:
        sizes = {"first": (2 * features, hidden), "second": (hidden, hidden), "third": (hidden, 1)}
        self.weights: dict[str, Tensor] = {}
        for name, (wide, narrow) in sizes.items():
            bound = 1 / math.sqrt(wide)
            for part, shape in (("weight", (wide, narrow)), ("bias", (narrow,))):
                drawn = torch.rand(shape, generator=generator) * 2 * bound - bound
                self.weights[f"{name}.{part}"] = drawn
        for name in ("first", "second"):
            self.weights[f"{name}.scale"] = torch.ones(hidden)
            self.weights[f"{name}.shift"] = torch.zeros(hidden)

    def to(self, device: str | torch.device, dtype: torch.dtype = torch.float32) -> PairPerceptron:
        """On a device, as leaves that learn."""
        self.weights = {
            name: w.to(device=device, dtype=dtype).requires_grad_()
            for name, w in self.weights.items()
        }
        return self

    def adjacency(self, x: Tensor) -> Tensor:
        """A (n, n) of features (n, d): symmetric, between 0 and 1, no loops."""
        n, w = len(x), self.weights
        halves = w["first.weight"].split(x.shape[1])
        one, other = x @ halves[0], x @ halves[1]
        h = (one[:, None] + other[None]).reshape(n * n, -1) + w["first.bias"]
        return self.rest(h, n)

    def plain(self, x: Tensor) -> Tensor:
        """The same, from the pairs as they are written: what `adjacency` is tested against."""
        n, w = len(x), self.weights
        pairs = torch.cat([x.repeat_interleave(n, 0), x.repeat(n, 1)], 1)
        return self.rest(pairs @ w["first.weight"] + w["first.bias"], n)

    def rest(self, h: Tensor, n: int) -> Tensor:
        """All that follows the first layer (n², hidden)."""
        w = self.weights
        h = functional.relu(self._normal(h, "first"))
        h = torch.addmm(w["second.bias"], h, w["second.weight"])
        h = functional.relu(self._normal(h, "second"))
        e = (h @ w["third.weight"] + w["third.bias"]).reshape(n, n)
        a = torch.sigmoid((e + e.T) / 2)
        return a - torch.diag(a.diagonal())

    def _normal(self, h: Tensor, name: str) -> Tensor:
        w = self.weights
        scale, shift = w[f"{name}.scale"], w[f"{name}.shift"]
        return functional.batch_norm(h, None, None, scale, shift, training=True, eps=EPS)


def dense_propagation(adjacency: Tensor) -> Tensor:
    """P' = D^-1/2 (A + I) D^-1/2 (n, n), D the degrees of A + I."""
    with_loops = adjacency + torch.eye(len(adjacency)).to(adjacency)
    root = with_loops.sum(1) ** -0.5
    return root[:, None] * with_loops * root
