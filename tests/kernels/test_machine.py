"""Kernel machines against scikit-learn, the infinite-width limit and brute force."""

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge

from ddcore.data.preprocess import Preprocess
from ddcore.data.tensors import Part
from ddcore.kernels import machine, ntk, random_features
from ddcore.kernels.spec import KernelSpec
from ddcore.nets.architectures import NetSpec
from ddcore.nets.network import Network

SHAPE, CLASSES = (1, 4, 4), 3


@pytest.fixture
def points():
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(12, *SHAPE, generator=generator)
    queries = torch.randn(40, *SHAPE, generator=generator)
    return images, torch.arange(12) % CLASSES, queries


@pytest.mark.parametrize("kind", ["ntk", "nngp"])
def test_a_kernel_machine_is_scikit_learns(points, kind):
    images, labels, queries = points
    spec = KernelSpec(kind=kind, depth=2, ridge=1e-3)
    mine = machine.train(spec, images, labels, CLASSES, [0])
    k_ss = getattr(ntk.fc_kernels(images.flatten(1), depth=2), kind).numpy()
    k_ts = getattr(ntk.fc_kernels(queries.flatten(1), images.flatten(1), depth=2), kind).numpy()
    targets = np.eye(CLASSES)[labels] - 1 / CLASSES
    alpha = 1e-3 * np.trace(k_ss) / len(k_ss)
    theirs = KernelRidge(alpha=alpha, kernel="precomputed").fit(k_ss, targets).predict(k_ts)
    (found,) = torch.cat(mine.logits_in_batches(queries, 7), dim=1).numpy()
    np.testing.assert_allclose(found, theirs, rtol=1e-8, atol=1e-10)


def test_a_map_is_plain_ridge_regression(points):
    images, labels, queries = points
    mine = machine.train(KernelSpec(kind="linear", ridge=0.7), images, labels, CLASSES, [0])
    theirs = Ridge(alpha=0.7, fit_intercept=False)
    theirs.fit(images.flatten(1).double().numpy(), np.eye(CLASSES)[labels])
    (found,) = torch.cat(mine.logits_in_batches(queries), dim=1).numpy()
    expected = theirs.predict(queries.flatten(1).double().numpy())
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)
    with torch.no_grad():
        assert torch.equal(mine.module(queries), torch.from_numpy(found))


def test_random_features_approach_the_infinite_network(points):
    """The error falls as one over the square root of the number of features."""
    images, _, _ = points
    exact = ntk.fc_kernels(images.flatten(1), depth=1).nngp
    errors = []
    for nets in (4, 256):
        network = Network(NetSpec(arch="mlp", width=64, depth=1), SHAPE, CLASSES, nets)
        weights = random_features.draw(network, torch.Generator().manual_seed(1), "cpu")
        psi = random_features.features(network, weights, images)
        errors.append(((random_features.kernel(psi, psi) - exact).norm() / exact.norm()).item())
    assert errors[1] < 0.02 < errors[0]
    assert 4 < errors[0] / errors[1] < 16  # the root of 64 is 8


def test_a_set_each_for_several_machines_and_one_kernel_each(points):
    images, labels, queries = points
    spec = KernelSpec(kind="ntk", ridge=1e-3)
    sets = torch.stack([images, images * 2])
    both = machine.train(spec, sets, labels, CLASSES, [1, 2]).predict(queries)
    alone = [machine.train(spec, s, labels, CLASSES, [0]).predict(queries)[0] for s in sets]
    assert torch.equal(both, torch.stack(alone))
    random = KernelSpec(kind="features", net=NetSpec(arch="mlp", width=8, depth=1), nets=1)
    outputs = machine.train(random, images, labels, CLASSES, [1, 2]).logits_in_batches(queries)[0]
    again = machine.train(random, images, labels, CLASSES, [2]).logits_in_batches(queries)[0]
    assert not torch.equal(outputs[0], outputs[1]) and torch.equal(outputs[1], again[0])


@pytest.mark.parametrize("kind", ["linear", "rff", "ntk", "features"])
@pytest.mark.parametrize("several", [False, True])
def test_the_best_ridge_is_that_of_trying_each(points, kind, several):
    """All ridges from one decomposition, against training a machine at each."""
    images, labels, queries = points
    sets = torch.stack([images, images.flip(0)]) if several else images
    net = NetSpec(arch="mlp", width=8, depth=1)
    spec = KernelSpec(kind=kind, net=net if kind == "features" else None, nets=3, ridge=0.5)
    pixels = ((queries + 3) / 6 * 255).clamp(0, 255).to(torch.uint8).numpy()
    wanted = torch.arange(len(queries)) % CLASSES
    val = Part(pixels, wanted.numpy(), Preprocess((0.5,), (0.2,)), "cpu")
    ridges = (1e-4, 1e-2, 1.0, 100.0)
    scores = {}
    for value in sorted({*ridges, 0.5}):
        trained = machine.train(spec.replace(ridge=value), sets, labels, CLASSES, [3, 4])
        scores[value] = float(np.mean(trained.accuracy(val)))
    best = machine.best_ridge(spec, sets, labels, CLASSES, [3, 4], val, ridges)
    assert best.ridge == max(scores, key=lambda r: (scores[r], r))
    assert len(set(scores.values())) > 1
