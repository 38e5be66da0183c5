"""Curvature against the explicit Hessian, finite differences, loops and random matrices, in float64."""

from __future__ import annotations

import gc
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from analysis.shared import hessian
from analysis.shared.hessian import Images, MeanLoss, flat, hvp, lanczos, shaped, trace
from ddcore.base import rng
from ddcore.nets import NetSpec
from ddcore.nets.module import to_module
from ddcore.nets.network import Network, select
from ddcore.nets.plan import Linear

SHAPE, CLASSES, COUNT = (1, 8, 8), 10, 20
NET = NetSpec(width=6, depth=2)


class Softmax:
    """Linear softmax regression in the place of a `NetSpec`."""

    init = "default"

    def plan(self, shape, classes):
        return (Linear(classes),)


def problem(nets: int = 1, net=NET, count: int = COUNT, seed: int = 0):
    """Network, weights (nets, ...) and images, all in float64."""
    network = Network(net, SHAPE, CLASSES, nets, fused_norm=False)
    generators = [rng.generator(seed, i) for i in range(nets)]
    weights = network.init(generators, dtype=torch.float64)
    draw = rng.generator(seed, "images")
    images = torch.randn(count, *SHAPE, generator=draw, dtype=torch.float64)
    return network, weights, Images(images, torch.arange(count) % CLASSES)


def mean_loss(net=NET, count: int = COUNT, seed: int = 0) -> MeanLoss:
    network, weights, source = problem(1, net, count, seed)
    return MeanLoss(network, weights, source, network.init_stats())


def trained(loss: MeanLoss, steps: int, lr: float = 0.05) -> MeanLoss:
    """After some gradient descent, where the spectrum has large and negative eigenvalues."""
    weights = loss.weights
    for _ in range(steps):
        step = shaped(gradient(loss.network, weights, loss.source), list(weights.values()))
        weights = {k: w - lr * g for (k, w), g in zip(weights.items(), step)}
    return MeanLoss(loss.network, weights, loss.source, loss.stats)


def gradient(network, weights, source):
    """(N, p), from the mean loss of each network."""
    leaves = {k: w.detach().requires_grad_() for k, w in weights.items()}
    outputs = network.logits(leaves, source.images)
    losses = [F.cross_entropy(o, source.labels) for o in outputs]
    return flat(torch.autograd.grad(sum(losses), list(leaves.values())))


def explicit(loss: MeanLoss) -> torch.Tensor:
    """The Hessian of torch's own layers, row by row: (p, p). Shares nothing with `_hessian`."""
    module = to_module(loss.network, loss.weights)
    parameters = list(module.parameters())
    value = F.cross_entropy(module(loss.source.images), loss.source.labels)
    first = torch.autograd.grad(value, parameters, create_graph=True)
    first = torch.cat([g.flatten() for g in first])
    rows = [
        torch.cat(
            [
                h.flatten()
                for h in torch.autograd.grad(
                    entry, parameters, retain_graph=True, materialize_grads=True
                )
            ]
        )
        for entry in first
    ]
    assert [n for n, _ in module.named_parameters()] == list(loss.weights)
    return torch.stack(rows)


@pytest.fixture(scope="module")
def known() -> tuple[MeanLoss, torch.Tensor]:
    """A ConvNet with instance norm after some training, and its Hessian."""
    loss = trained(mean_loss(), 60)
    assert 500 < loss.size < 3000
    return loss, explicit(loss)


# --- products ---------------------------------------------------------------------------------------


def test_products_are_those_of_the_explicit_hessian(known):
    loss, matrix = known
    vectors = torch.randn(7, loss.size, dtype=torch.float64, generator=rng.generator(1))
    torch.testing.assert_close(loss.products(vectors), vectors @ matrix, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("norm", ["instance", "none", "layer", "group", "batch"])
def test_products_are_differences_of_the_gradient(norm):
    """A smooth activation, so that differences mean something everywhere."""
    net = NetSpec(width=4, depth=2, norm=norm, activation="swish")
    network, weights, source = problem(2, net)
    stats = {k: v.double() for k, v in network.init_stats().items()}
    like = list(weights.values())
    v = torch.randn(1, 2, flat(like).shape[1], dtype=torch.float64, generator=rng.generator(2))
    found = hvp(network, weights, v, source, stats)[0]

    def moved(step: float) -> torch.Tensor:
        there = {k: w + step * d for (k, w), d in zip(weights.items(), shaped(v[0], like))}
        leaves = {k: w.requires_grad_() for k, w in there.items()}
        outputs = network.logits(leaves, source.images, stats, training=False)
        loss = sum(F.cross_entropy(o, source.labels) for o in outputs)
        return flat(torch.autograd.grad(loss, list(leaves.values())))

    expected = (moved(1e-5) - moved(-1e-5)) / 2e-5
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("chunk", [1, 6, 19])
def test_chunked_equals_unchunked(chunk):
    network, weights, source = problem(3)
    size = flat(list(weights.values())).shape[1]
    vectors = torch.randn(2, 3, size, dtype=torch.float64, generator=rng.generator(3))
    whole = hvp(network, weights, vectors, source, chunk=COUNT)
    part = hvp(network, weights, vectors, source, chunk=chunk)
    torch.testing.assert_close(part, whole, rtol=1e-10, atol=1e-12)


def test_copies_equal_one_at_a_time():
    """Networks with weights of their own, several directions each."""
    network, weights, source = problem(4)
    size = flat(list(weights.values())).shape[1]
    vectors = torch.randn(3, 4, size, dtype=torch.float64, generator=rng.generator(4))
    together = hvp(network, weights, vectors, source)
    for n in range(4):
        alone = hvp(network.with_nets(1), select(weights, n), vectors[:, n : n + 1], source)
        torch.testing.assert_close(together[:, n : n + 1], alone, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("at_once", [1, 50, 200, 1000])
def test_products_do_not_depend_on_how_they_are_arranged(known, monkeypatch, at_once):
    loss, matrix = known
    monkeypatch.setattr("ddcore.training.chunks.CPU_IMAGES_AT_ONCE", at_once)
    seen = []
    loss = MeanLoss(loss.network, loss.weights, loss.source, loss.stats, seen.append)
    vectors = torch.randn(5, loss.size, dtype=torch.float64, generator=rng.generator(5))
    torch.testing.assert_close(loss.products(vectors), vectors @ matrix, rtol=1e-9, atol=1e-10)
    assert 5 * COUNT <= sum(seen) <= 6 * COUNT  # images that went through, padding included


def test_no_graph_is_left():
    network, weights, source = problem(2)
    size = flat(list(weights.values())).shape[1]

    def tensors() -> int:
        gc.collect()
        return sum(type(o) is torch.Tensor for o in gc.get_objects())

    before = tensors()
    for _ in range(3):
        found = hvp(network, weights, torch.ones(2, 2, size, dtype=torch.float64), source, chunk=5)
    assert not found.requires_grad
    assert all(w.grad is None and not w.requires_grad for w in weights.values())
    assert tensors() <= before + 1


def test_fused_norms_are_refused():
    _, weights, source = problem()
    fused = Network(NET, SHAPE, CLASSES)
    with pytest.raises(AssertionError):
        hvp(fused, weights, torch.zeros(1, 1, 10, dtype=torch.float64), source)


# --- trace ------------------------------------------------------------------------------------------


def test_hutchinson_is_near_the_exact_trace(known):
    loss, matrix = known
    found = trace(loss, 100, seed=0)
    exact = float(matrix.diagonal().sum())
    assert abs(found.value - exact) < 3 * found.error
    off = matrix - matrix.diagonal().diag()
    expected = math.sqrt(2 * float(off.square().sum()) / 100)  # of Rademacher probes
    assert found.error == pytest.approx(expected, rel=0.3)
    assert found.asymmetry < 1e-10


def test_each_sample_is_the_quadratic_form_of_its_own_probe(known, monkeypatch):
    loss, matrix = known
    found = trace(loss, 7, seed=3)
    vectors = hessian.rademacher(3, range(7), loss.size, loss.device).double()
    assert set(vectors.unique().tolist()) == {-1.0, 1.0}
    expected = (vectors @ matrix * vectors).sum(1)
    torch.testing.assert_close(found.samples, expected, rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(trace(loss, 3, seed=3).samples, found.samples[:3])
    monkeypatch.setattr(hessian, "VECTOR_FLOATS", 3 * loss.size)  # three at a time
    torch.testing.assert_close(trace(loss, 7, seed=3).samples, found.samples)
    assert not torch.allclose(trace(loss, 7, seed=4).samples, found.samples)


def test_a_negative_trace_is_negative():
    """PyHessian 0.1 stops at once where the running mean is negative; here all probes count."""
    network, weights, source = problem(1, NetSpec(width=4, depth=1), 10)
    wrong = network.logits(weights, source.images)[0].argmin(1)
    loss = MeanLoss(network, weights, Images(source.images, wrong), {})
    exact = float(explicit(loss).diagonal().sum())
    assert exact < 0
    found = trace(loss, 400, seed=0)
    assert len(found.samples) == 400
    assert abs(found.value - exact) < 3 * found.error


def test_softmax_regression_is_convex():
    for seed in range(2):
        loss = mean_loss(Softmax(), seed=seed)
        matrix = explicit(loss)
        assert float(torch.linalg.eigvalsh(matrix)[0]) > -1e-12
        found = trace(loss, 50, seed)
        assert float(found.samples.min()) >= 0
        # The trace in closed form: mean over images of (|x|^2 + 1) (1 - |softmax|^2).
        x = loss.source.images.flatten(1)
        shares = loss.network.logits(loss.weights, loss.source.images)[0].softmax(1)
        exact = (x.square().sum(1) + 1) * (1 - shares.square().sum(1))
        assert float(matrix.diagonal().sum()) == pytest.approx(float(exact.mean()), rel=1e-10)
        assert abs(found.value - float(exact.mean())) < 3 * found.error


def test_asymmetry_is_seen(known):
    """Products that belong to no symmetric matrix are told from rounding."""
    loss, matrix = known

    class Wrong(MeanLoss):
        def products(self, vectors):
            return vectors.to(matrix) @ matrix.triu()

    wrong = Wrong(loss.network, loss.weights, loss.source, loss.stats)
    assert trace(wrong, 2, seed=0).asymmetry > 0.1
    single = MeanLoss(
        loss.network,
        {k: w.float() for k, w in loss.weights.items()},
        Images(loss.source.images.float(), loss.source.labels),
        {},
    )
    assert trace(single, 2, seed=0).asymmetry < 1e-4 < hessian.ASYMMETRY


@pytest.mark.parametrize("at_once", [1, 7, 200])
def test_fisher_is_a_loop_over_images(known, monkeypatch, at_once):
    loss, _ = known
    monkeypatch.setattr("ddcore.training.chunks.CPU_IMAGES_AT_ONCE", at_once)
    module = to_module(loss.network, loss.weights)
    parameters = list(module.parameters())
    norms = []
    for x, y in zip(loss.source.images, loss.source.labels):
        found = torch.autograd.grad(F.cross_entropy(module(x[None]), y[None]), parameters)
        norms.append(sum(float(g.square().sum()) for g in found))
    assert hessian.fisher_trace(loss) == pytest.approx(np.mean(norms), rel=1e-10)


# --- eigenvalues and density ------------------------------------------------------------------------


def test_top_eigenvalues(known):
    loss, matrix = known
    exact = torch.linalg.eigvalsh((matrix + matrix.T) / 2)
    found = hessian.spectrum(loss, starts=2, steps=120, seed=0)
    values, bounds = found.top(5)
    torch.testing.assert_close(values, exact.flip(0)[:5], rtol=1e-8, atol=0)
    assert float((bounds / values).max()) < 1e-6
    lowest, bound = found.lowest()
    assert lowest < 0
    assert lowest == pytest.approx(float(exact[0]), rel=1e-6)
    assert bound < 1e-3


@pytest.fixture(scope="module")
def untrained() -> tuple[MeanLoss, torch.Tensor]:
    """The same network before training, where large eigenvalues are close to each other."""
    loss = mean_loss()
    return loss, explicit(loss)


@pytest.mark.parametrize("when", ["untrained", "known"])
@pytest.mark.parametrize(
    ("steps", "least"), [pytest.param(40, 0.9, marks=pytest.mark.slow), (20, 0.0)]
)
def test_shown_eigenvalues_are_those_of_their_rank(request, when, steps, least):
    """Over many starts, the k-th of the explicit Hessian is within the bar of the k-th shown."""
    _, matrix = request.getfixturevalue(when)
    matrix = (matrix + matrix.T) / 2
    exact = torch.linalg.eigvalsh(matrix)
    shown, right, skipped = torch.zeros(5), torch.zeros(5), 0
    seeds, rounding = 60, 1e-9
    for seed in range(seeds):
        starts = torch.randn(2, len(matrix), generator=rng.generator(seed, "many"))
        found = lanczos(lambda v: v @ matrix, starts, steps)
        values, bars = found.top(5)
        known = values.isfinite()
        assert torch.equal(known, bars.isfinite())
        assert torch.equal(known, known.cumprod(0).bool())  # none after one that is not known
        shown += known
        right += known & ((values - exact.flip(0)[:5]).abs() <= bars + rounding)
        # What a residual alone would have promised:
        nodes, bounds = found.nodes[0].flip(0)[:5], found.bounds[0].flip(0)[:5]
        skipped += int(((nodes - exact.flip(0)[:5]).abs() > bounds + rounding)[4])
        low, bar = found.lowest()
        assert math.isnan(low) or abs(low - float(exact[0])) <= bar + rounding
    assert (right >= 0.99 * shown).all(), (shown, right)
    assert (shown[:3] >= least * seeds).all(), shown
    if when == "untrained" and steps == 20:
        assert skipped > 0.5 * seeds  # so that this says something


def test_equal_eigenvalues_are_not_passed_over():
    """Each start finds one of two equal eigenvalues, and takes the third for the second: both agree."""
    values = torch.cat([torch.tensor([9.0, 9.0, 5.0, 4.0]), torch.linspace(-1, 1, 60)]).double()
    starts = torch.randn(2, len(values), generator=rng.generator(10))
    found = lanczos(lambda v: v * values, starts, 10)
    torch.testing.assert_close(found.nodes[:, -2], torch.full((2,), 5.0).double())
    torch.testing.assert_close(found.joint[-3:], torch.tensor([5.0, 9, 9]).double())
    top, _ = found.top(3)
    assert top[0] == pytest.approx(9)
    assert top[1:].isnan().all()


def test_nothing_confirms_a_single_start():
    values = torch.linspace(-1, 1, 50).double() ** 3
    found = lanczos(lambda v: v * values, torch.randn(1, 50, generator=rng.generator(11)), 50)
    assert found.top(2)[0].isnan().all()
    assert math.isnan(found.lowest()[0])


def test_joint_space_is_that_of_all_starts(known):
    """Against a basis of all Krylov vectors, made orthogonal by a singular value decomposition."""
    _, matrix = known
    starts = torch.randn(3, len(matrix), dtype=torch.float64, generator=rng.generator(12))
    powers = [starts]
    for _ in range(4):
        powers.append(F.normalize(powers[-1] @ matrix, dim=1))
    basis = torch.linalg.svd(torch.cat(powers).T, full_matrices=False).U
    expected = torch.linalg.eigvalsh(basis.T @ ((matrix + matrix.T) / 2) @ basis)
    found = lanczos(lambda v: v @ matrix, starts, 5)
    torch.testing.assert_close(found.joint[-4:], expected[-4:], rtol=1e-6, atol=0)
    assert (found.joint[-1] >= found.nodes[:, -1] - 1e-9).all()


def test_bounds_hold_before_convergence(known):
    loss, matrix = known
    exact = torch.linalg.eigvalsh((matrix + matrix.T) / 2)
    found = hessian.spectrum(loss, starts=3, steps=8, seed=1)
    away = (found.nodes[..., None] - exact).abs().amin(-1)
    assert bool((away <= found.bounds * (1 + 1e-9) + 1e-10).all())
    assert float(found.bounds.max()) > 1e-3  # so that this says something


def test_moments_of_the_density(known):
    """Within 1 % of the explicit Hessian's with many starts; exactly those of each start by itself."""
    loss, matrix = known
    found = hessian.spectrum(loss, starts=4, steps=4, seed=0)
    torch.testing.assert_close(found.weights.sum(1), torch.ones(4, dtype=torch.float64))
    drawn = [torch.randn(loss.size, generator=rng.generator(0, "start", i)) for i in range(4)]
    v = F.normalize(torch.stack(drawn).double(), dim=1)
    for power, moved in ((1, v @ matrix), (2, v @ matrix @ matrix)):
        exact = (moved * v).sum(1)
        each = (found.weights * found.nodes**power).sum(1)
        torch.testing.assert_close(each, exact, rtol=1e-9, atol=1e-12)
        assert found.moment(power) == pytest.approx(float(exact.mean()), rel=1e-9)
    many = torch.randn(20_000, loss.size, dtype=torch.float64, generator=rng.generator(6))
    density = lanczos(lambda x: x @ matrix, many, 2)
    assert density.moment(0) == pytest.approx(1, abs=1e-12)
    assert density.moment(1) == pytest.approx(float(matrix.trace()) / loss.size, rel=0.01)
    assert density.moment(2) == pytest.approx(
        float((matrix @ matrix).trace()) / loss.size, rel=0.01
    )


def test_moments_over_a_whole_basis_are_exact():
    """Orthogonal starts that span the space: the mean of the quadratures is the trace, to rounding."""
    draw = rng.generator(7)
    matrix = torch.randn(30, 30, dtype=torch.float64, generator=draw)
    matrix = matrix + matrix.T
    basis = torch.linalg.qr(torch.randn(30, 30, dtype=torch.float64, generator=draw)).Q
    found = lanczos(lambda v: v @ matrix, basis, 3)
    for power in range(6):  # of degree 2m - 1
        exact = float(torch.linalg.matrix_power(matrix, power).trace()) / 30
        assert found.moment(power) == pytest.approx(exact, rel=1e-9)


def test_lanczos_on_known_spectra():
    values = torch.cat([torch.linspace(-1, 1, 50), torch.tensor([3.0, 5.0, 9.0])]).double()
    draw = rng.generator(8)
    axes = torch.linalg.qr(torch.randn(53, 53, dtype=torch.float64, generator=draw)).Q
    matrix = axes @ values.diag() @ axes.T
    starts = torch.randn(3, 53, dtype=torch.float64, generator=draw)
    found = lanczos(lambda v: v @ matrix, starts, 100)  # no more than there are dimensions
    assert found.nodes.shape == (3, 53)
    torch.testing.assert_close(found.nodes, values.sort().values.expand(3, 53), rtol=0, atol=1e-10)


def test_lanczos_goes_on_where_a_space_is_exhausted():
    """Three eigenvalues, one of them ninefold: the multiple is found, and the quadrature stays exact."""
    values = torch.tensor([4.0] * 9 + [1.0] + [0.0] * 20).double()
    starts = torch.randn(2, 30, dtype=torch.float64, generator=rng.generator(9))
    found = lanczos(lambda v: v * values, starts, 30)
    assert torch.isfinite(found.nodes).all()
    torch.testing.assert_close(
        found.nodes[:, -10:].flip(1), values[:10].expand(2, 10), rtol=0, atol=1e-9
    )
    v = F.normalize(starts, dim=1)
    for power in (1, 2, 5):
        each = (found.weights * found.nodes**power).sum(1)
        torch.testing.assert_close(each, (v * v * values**power).sum(1), rtol=1e-9, atol=1e-9)
    zero = lanczos(torch.zeros_like, starts, 4)
    assert float(zero.nodes.abs().max()) == 0.0
    torch.testing.assert_close(zero.weights.sum(1), torch.ones(2, dtype=torch.float64))
