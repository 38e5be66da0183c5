"""NNGP and NTK against random finite networks; kernel regression by numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddcore.kernels import ntk
from ddcore.kernels.ridge import kernel_predict
from tests.truth import kernels

DRAW = np.random.default_rng(0)
POINTS = DRAW.standard_normal((6, 16)) * np.array([[0.5, 1, 1, 1, 2, 3]]).T


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_both_kernels_are_the_means_of_wide_networks(depth):
    """Within five standard errors of 40 networks of width 800, and within 2 %."""
    found = ntk.fc_kernels(torch.from_numpy(POINTS), depth=depth)
    mean, error = kernels.averaged(POINTS, 800, depth, 40)
    for ours, truth, spread in zip((found.nngp, found.ntk), mean, error):
        scale = np.sqrt(np.outer(np.diag(truth), np.diag(truth)))
        apart = np.abs(ours.numpy() - truth)
        # A width of 800 leaves a bias of its own, of the order of depth / width.
        assert (apart <= 5 * spread + 2 * depth / 800 * scale).all()
        assert (apart <= 0.02 * depth * scale).all()


def test_kernel_regression_and_its_relative_ridge():
    draw = np.random.default_rng(1)
    support, tests, labels = (draw.standard_normal(s) for s in ((8, 16), (5, 16), (8, 3)))
    one = [torch.from_numpy(z) for z in (support, tests)]
    k_ss, k_ts = ntk.fc_kernels(one[0]).ntk, ntk.fc_kernels(one[1], one[0]).ntk
    for relative in (1e-6, 1e-1):
        true = kernels.regression(k_ts.numpy(), k_ss.numpy(), labels, relative)
        targets = torch.from_numpy(labels)
        found = kernel_predict(k_ts, k_ss, targets, ntk.ridge_of(k_ss, relative))
        assert found.numpy() == pytest.approx(true, rel=1e-6, abs=1e-9)
        aim = torch.from_numpy(draw.standard_normal((5, 3)))
        loss = ntk.kip_loss(k_ss, k_ts, targets, aim, relative)
        assert loss.item() == pytest.approx(((true - aim.numpy()) ** 2).mean() / 2, rel=1e-6)
