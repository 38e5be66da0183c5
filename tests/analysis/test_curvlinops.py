"""Our Hessians are those of curvlinops, which shares no line with them, on small ConvNets in float64.

It differentiates forward over reverse and vectorises over directions, on torch's own layers; ours go backward
twice over stacked networks. Whatever both agree on is no slip of either.
"""

from __future__ import annotations

import pytest
import torch
from curvlinops import HessianLinearOperator
from scipy.sparse.linalg import eigsh
from torch import nn

from analysis.shared import hessian
from ddcore.base import rng
from ddcore.nets import NetSpec
from ddcore.nets.module import to_module
from tests.analysis.test_hessian import mean_loss, trained

SOME = 3  # eigenvalues at the top


class Elementary(nn.Module):
    """A group norm written out: torch's own has no forward derivative of its backward pass."""

    def __init__(self, of: nn.GroupNorm) -> None:
        super().__init__()
        self.weight, self.bias, self.groups, self.eps = of.weight, of.bias, of.num_groups, of.eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        apart = x.unflatten(1, (self.groups, -1)).flatten(2)
        apart = apart - apart.mean(2, keepdim=True)
        scale = (apart.square().mean(2, keepdim=True) + self.eps).sqrt()
        return (apart / scale).view(x.shape) * self.weight[:, None, None] + self.bias[:, None, None]


@pytest.fixture(scope="module", params=["none", "instance"])
def both(request) -> tuple[hessian.MeanLoss, HessianLinearOperator]:
    """A network after some training, as our loss and as their operator over the same images in batches."""
    loss = trained(mean_loss(NetSpec(width=4, depth=2, norm=request.param)), 40)
    layers = to_module(loss.network, loss.weights)
    each = (Elementary(m) if isinstance(m, nn.GroupNorm) else m for m in layers)
    module = nn.Sequential(*each)
    names, parameters = zip(*module.named_parameters())
    assert list(names) == list(loss.weights)  # so flat vectors mean the same
    batches = list(loss.source.batches(7))
    theirs = HessianLinearOperator(module, nn.CrossEntropyLoss(), list(parameters), batches)
    assert theirs.shape == (loss.size, loss.size)
    return loss, theirs


def directions(loss: hessian.MeanLoss, count: int) -> torch.Tensor:
    """Random vectors (count, p)."""
    drawn = torch.randn(count, loss.size, generator=rng.generator(3), dtype=torch.float64)
    return drawn / loss.size**0.5


def test_products(both):
    loss, theirs = both
    vectors = directions(loss, 4)
    torch.testing.assert_close(
        loss.products(vectors), (theirs @ vectors.T).T, rtol=1e-9, atol=1e-11
    )


def test_trace(both):
    """Each sample is the quadratic form of its probe in their Hessian; all of them lie around its trace."""
    loss, theirs = both
    probes = 40
    found = hessian.trace(loss, probes, seed=0)
    vectors = hessian.rademacher(0, range(probes), loss.size, loss.device).double()
    expected = (vectors * (theirs @ vectors.T).T).sum(1)
    torch.testing.assert_close(found.samples, expected, rtol=1e-9, atol=1e-9)
    whole = theirs @ torch.eye(loss.size, dtype=torch.float64)
    assert abs(found.value - float(whole.trace())) <= 4 * found.error


def test_top_eigenvalues(both):
    loss, theirs = both
    top, apart = hessian.spectrum(loss, starts=2, steps=60, seed=0).top(SOME)
    expected = torch.from_numpy(eigsh(theirs.to_scipy(), SOME, which="LA")[0]).flip(0)
    torch.testing.assert_close(top, expected, rtol=1e-6, atol=0.0)
    assert (apart <= hessian.AGREED * top[0]).all()
