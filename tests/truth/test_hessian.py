"""Traces and eigenvalues against the explicit Hessian, of a tiny network and of the shipped result."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analysis.shared import hessian as _hessian
from ddcore.nets.architectures import NetSpec
from ddcore.nets.network import Network
from tests.truth import convnet, files, hessian, streams

WIDTH, SIDE, CLASSES, IMAGES = 4, 4, 3, 12
PROBES, SEEDS = 50, 60
SHIPPED = files.on_digits("curvature")


def tiny(trained=0):
    """A network of 99 weights in float64 with images, after some steps of descent."""
    draw = streams.of_torch(5, "tiny")
    net = convnet.drawn(convnet.ConvNet(WIDTH, 1, 1, SIDE, CLASSES), draw).double()
    images = torch.randn(IMAGES, 1, SIDE, SIDE, generator=draw, dtype=torch.float64)
    labels = torch.arange(IMAGES) % CLASSES
    recipe = convnet.Recipe(epochs=trained, lr=0.1)
    return convnet.train(net, images, labels, recipe), images, labels


def ours(net, images, labels):
    """The same loss as ours."""
    network = Network(NetSpec(width=WIDTH, depth=1), (1, SIDE, SIDE), CLASSES, fused_norm=False)
    weights = network.init(torch.Generator())
    given = [w.detach()[None] for w in net.parameters()]
    weights = {k: w.reshape(weights[k].shape) for k, w in zip(weights, given)}
    source = _hessian.Images(images, labels)
    return _hessian.MeanLoss(network, weights, source, network.init_stats())


@pytest.fixture(scope="module", params=[0, 40], ids=["fresh", "trained"])
def case(request):
    """Explicit Hessian, and our loss."""
    net, images, labels = tiny(request.param)
    return hessian.explicit(net, images, labels), ours(net, images, labels)


def test_two_ways_to_the_explicit_hessian():
    net, images, labels = tiny(40)
    one, two = hessian.explicit(net, images, labels), hessian.by_differences(net, images, labels)
    assert one == pytest.approx(two, abs=1e-6 * np.abs(one).max())
    assert hessian.eigenvalues(one)[-1] < 0  # not convex: signs can go wrong


def test_products_are_the_rows_of_the_explicit_hessian(case):
    matrix, loss = case
    found = loss.products(torch.eye(len(matrix), dtype=torch.float64)).numpy()
    assert found == pytest.approx(matrix, abs=1e-10 * np.abs(matrix).max())


def test_traces_are_off_by_their_stated_standard_error(case):
    """z = (estimate - trace) / error over many seeds has the mean and spread of Student's t."""
    matrix, loss = case
    found = [_hessian.trace(loss, PROBES, seed) for seed in range(SEEDS)]
    z = np.array([(t.value - np.trace(matrix)) / t.error for t in found])
    assert abs(z.mean()) < 4 / np.sqrt(SEEDS)
    assert 0.7 < z.std() < 1.4  # 1.02 expected, four standard deviations of it either way


def test_all_eigenvalues_where_lanczos_goes_to_the_end(case):
    matrix, loss = case
    start = torch.randn(1, len(matrix), generator=streams.of_torch(1, "start"), dtype=torch.float64)
    found = _hessian.lanczos(loss.products, start, len(matrix)).nodes[0].flip(0).numpy()
    true = hessian.eigenvalues(matrix)
    # Where the start's space is exhausted, repeated eigenvalues (0) come from fresh directions.
    assert found == pytest.approx(true, abs=1e-8 * true[0])


@pytest.mark.parametrize("seed", range(20))
def test_some_eigenvalue_lies_within_every_bound(case, seed):
    matrix, loss = case
    spectrum = _hessian.spectrum(loss, 2, 20, seed)
    true = hessian.eigenvalues(matrix)
    apart = np.abs(spectrum.nodes.numpy()[..., None] - true).min(-1)
    assert (apart <= spectrum.bounds.numpy() + 1e-9 * true[0]).all()
    assert spectrum.nodes.max().item() == pytest.approx(true[0], rel=1e-3)


def test_fisher_trace():
    net, images, labels = tiny(40)
    assert _hessian.fisher_trace(ours(net, images, labels)) == pytest.approx(
        hessian.fisher_trace(net, images, labels), rel=1e-9
    )


# --- the shipped result ---------------------------------------------------------------------------


def fresh_net(asked):
    """The network that the shipped result measures before training, in float64."""
    width = int(asked["network"].removeprefix("convnet-"))
    seed = streams.derived(asked["seed"], "curvature", 0)
    return convnet.drawn(convnet.ConvNet(width, 2), streams.of_torch(seed, "init")).double()


def probes(asked, size):
    """The stated directions of +1 and -1 (P, size)."""
    drawn = [
        torch.randint(
            0, 2, (size,), generator=streams.of_torch(asked["seed"], "probe", i), dtype=torch.int8
        )
        for i in range(asked["probes"])
    ]
    return 2.0 * torch.stack(drawn).numpy() - 1


@pytest.mark.slow
@pytest.mark.parametrize("key", files.spec(SHIPPED)["run_keys"][:2])
def test_the_shipped_curvature_of_a_fresh_network(key):
    """Of all 3,000 weights: every probe, Fisher trace, and the largest eigenvalues, rank by rank."""
    asked, stored = files.spec(SHIPPED), files.arrays(SHIPPED)
    (run,) = (f for f in files.shipped("distill") if f.name == key)
    made = files.arrays(run, "set")
    images = torch.from_numpy(made["images"].copy()).double()
    labels = torch.from_numpy(made["labels"].copy())
    net = fresh_net(asked)
    times, size = hessian.product(net, images, labels)
    samples = stored[f"samples.{key}"][0, 0]
    true = [v @ times(v) for v in probes(asked, size)]
    assert samples == pytest.approx(np.array(true), rel=1e-3, abs=1e-3)
    assert stored[f"fisher.{key}"][0, 0] == pytest.approx(
        hessian.fisher_trace(net, images, labels), rel=1e-4
    )
    top, bounds = stored[f"top.{key}"][0, 0], stored[f"bounds.{key}"][0, 0]
    shown = np.isfinite(top)
    largest = hessian.largest(times, size, len(top))
    assert shown.any()
    assert (np.abs(top - largest)[shown] <= bounds[shown] + 1e-4 * largest[0]).all()
