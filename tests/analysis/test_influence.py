"""Leave-one-out against separate retraining, the estimates against dense algebra and loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr

from analysis.runs import choose
from analysis.settings import make_spec
from analysis.shared import effects, loo, loo_estimates
from analysis.shared.loo_spec import LeaveOneOut
from analysis.suite.influence import ANALYSIS
from analysis.suite.influence.compute import agreement
from analysis.suite.influence.figures import by_class
from analysis.suite.influence.spec import InfluenceTask
from analysis.suite.influence.tiles import sheet
from ddcore.base import rng
from ddcore.base.errors import Cancelled, SpecError
from ddcore.data.preprocess import Preprocess
from ddcore.data.spec import DataSpec
from ddcore.data.tensors import Part
from ddcore.nets import NetSpec
from ddcore.nets.network import Network, select
from ddcore.tasks import worker
from tests.analysis.conftest import two_sets
from tests.pages.fakes import done, spec

M, CLASSES, SHAPE = 8, 4, (1, 8, 8)
NET = NetSpec(width=4, depth=2)
STEPS = {"iterations": 25, "lr": 0.05, "momentum": 0.9}


def problem() -> tuple[Network, dict, torch.Tensor, torch.Tensor]:
    """A small network in float64 with eight images of four classes."""
    network = Network(NET, SHAPE, CLASSES)
    start = network.init([rng.generator(1, "init")], dtype=torch.float64)
    images = torch.randn(M, *SHAPE, generator=rng.generator(0, "images"), dtype=torch.float64)
    return network, start, images, torch.arange(M) // 2


def some_tests(count: int = 30, classes: int = CLASSES) -> Part:
    """Test images that need no preprocessing beyond a scale."""
    generator = np.random.default_rng(3)
    images = generator.integers(0, 256, (count, *SHAPE)).astype(np.uint8)
    scale = Preprocess(np.array([0.5], np.float32), np.array([0.3], np.float32))
    return Part(images, np.arange(count) % classes, scale, "cpu", None)


def trained() -> tuple[Network, dict, torch.Tensor, torch.Tensor]:
    """The same, trained on all images."""
    network, start, images, labels = problem()
    everything = torch.ones(1, M, dtype=torch.float64)
    nets = loo.train_weighted(network, start, images, labels, everything, **STEPS)
    return network, nets.params, images, labels


def test_batched_equals_separate_trainings_of_the_reduced_sets():
    network, start, images, labels = problem()
    weights = loo.left_in(M).double()
    few = network.with_nets(M + 1)
    nets = loo.train_weighted(few, loo.repeated(start, M + 1), images, labels, weights, **STEPS)
    x = torch.randn(20, *SHAPE, generator=rng.generator(5), dtype=torch.float64)
    for j in range(M + 1):
        keep = torch.arange(M) != j
        params = {k: w.clone().requires_grad_() for k, w in start.items()}
        optimiser = torch.optim.SGD(params.values(), STEPS["lr"], STEPS["momentum"])
        for _ in range(STEPS["iterations"]):
            optimiser.zero_grad()
            F.cross_entropy(network.logits(params, images[keep])[0], labels[keep]).backward()
            optimiser.step()
        with torch.no_grad():
            alone = network.logits(params, x)
            ours = network.logits(select(nets.params, j), x)
        assert float((alone - ours).abs().max()) < 1e-5


def test_leaving_out_nothing_twice_changes_nothing():
    network, start, images, labels = problem()
    weights = torch.ones(3, M)
    weights[1, 2] = 0
    start = {k: w.float() for k, w in start.items()}
    few, begin = network.with_nets(3), loo.repeated(start, 3)
    nets = loo.train_weighted(few, begin, images.float(), labels, weights, **STEPS)
    losses, _ = loo.losses_on(nets, some_tests())
    assert np.array_equal(losses[0], losses[2])
    assert np.abs(losses[0] - losses[1]).max() > 1e-3


def test_losses_are_those_of_torch():
    network, params, _, _ = trained()
    nets = loo.TrainedNets(network, {k: w.float() for k, w in params.items()}, {})
    part = some_tests()
    losses, right = loo.losses_on(nets, part)
    logits = network.logits(nets.params, part.batch(torch.arange(len(part))))[0]
    expected = F.cross_entropy(logits, part.labels, reduction="none").detach().numpy()
    np.testing.assert_allclose(losses[0], expected, atol=1e-6)
    assert right[0] == pytest.approx(float((logits.argmax(1) == part.labels).float().mean()))


# --- estimates ------------------------------------------------------------------------------------


def softmax_regression() -> tuple[loo_estimates.LastLayer, torch.Tensor, torch.Tensor, Part]:
    """120 images of overlapping classes, 9 features, 3 classes, weights after some training."""
    generator = rng.generator(7)
    x = torch.randn(120, 9, generator=generator, dtype=torch.float64)
    labels = (x[:, 0] + 0.9 * torch.randn(120, generator=generator)).argsort().argsort() // 40
    theta = torch.zeros(3, 10, dtype=torch.float64, requires_grad=True)
    one = torch.cat([x, torch.ones(120, 1)], 1)
    optimiser = torch.optim.LBFGS([theta], max_iter=50)

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = F.cross_entropy(one @ theta.T, labels)
        value.backward()
        return value

    optimiser.step(loss)
    weight, bias = theta.detach()[:, :9], theta.detach()[:, 9]

    def features_of(images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)[:, :9].double()

    return (
        loo_estimates.LastLayer(weight, bias, x, labels, features_of),
        one,
        labels,
        some_tests(40, 3),
    )


def dense_hessian(curvature: loo_estimates.LastLayer, one: torch.Tensor, labels: torch.Tensor):
    """By torch's own second derivatives."""

    def loss(theta: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(one @ theta.view(3, 10).T, labels)

    return torch.autograd.functional.hessian(loss, curvature.theta.flatten())


def test_conjugate_gradients_are_the_dense_inverse_on_softmax_regression():
    curvature, one, labels, part = softmax_regression()
    hessian = dense_hessian(curvature, one, labels)
    v = torch.randn(5, 30, generator=rng.generator(2), dtype=torch.float64)
    torch.testing.assert_close(curvature.product(v), v @ hessian, atol=1e-12, rtol=0)
    found = loo_estimates.estimates(curvature, part, 1e-3)
    dense = torch.linalg.solve(hessian + 1e-3 * torch.eye(30), curvature.gradients().T).T
    expected = curvature.along(dense, part).numpy() / 120
    assert found.solved.residual <= 1e-6
    assert found.solved.given_up == 0
    assert np.corrcoef(found.cg.ravel(), expected.ravel())[0, 1] > 0.9999
    assert spearmanr(found.cg.ravel(), expected.ravel()).statistic > 0.9999
    np.testing.assert_allclose(found.cg, expected, atol=1e-4 * np.abs(expected).max())


def test_the_influence_function_foresees_retraining_of_softmax_regression():
    """Where the loss is convex and trained to the end, it must: one Newton step of the reduced problem."""
    curvature, one, labels, part = softmax_regression()
    estimate = loo_estimates.estimates(curvature, part, 1e-8).cg
    hessian = dense_hessian(curvature, one, labels)
    x = torch.stack([part.batch(torch.arange(40)).flatten(1)[i, :9] for i in range(40)]).double()
    x = torch.cat([x, torch.ones(40, 1)], 1)

    def losses(theta: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(x @ theta.view(3, 10).T, part.labels, reduction="none")

    base_ = losses(curvature.theta.flatten())
    exact = []
    for j in range(0, 120, 12):
        keep = torch.arange(120) != j
        theta = curvature.theta.flatten().clone()
        for _ in range(20):  # Newton's method on the 119 images left
            theta.requires_grad_()
            gradient = torch.autograd.grad(
                F.cross_entropy(one[keep] @ theta.view(3, 10).T, labels[keep]), theta
            )[0]
            theta = (
                theta.detach()
                - torch.linalg.lstsq(hessian + 1e-8 * torch.eye(30), gradient.detach()).solution
            )
        exact.append((losses(theta) - base_).detach().numpy())
    exact = np.stack(exact)
    assert np.corrcoef(exact.ravel(), estimate[::12].ravel())[0, 1] > 0.98


def loop_gradients(network: Network, params: dict, images: torch.Tensor, labels: torch.Tensor):
    """Gradient of each image's loss, one after the other, through the library's norms."""
    found = []
    for x, y in zip(images, labels):
        leaves = {k: w.clone().requires_grad_() for k, w in params.items()}
        loss = F.cross_entropy(network.logits(leaves, x[None])[0], y[None])
        parts = torch.autograd.grad(loss, list(leaves.values()))
        found.append(torch.cat([g.flatten() for g in parts]))
    return torch.stack(found)


@pytest.fixture
def whole() -> tuple[loo_estimates.AllWeights, torch.Tensor, Part, Network, dict]:
    """Curvature of all weights of the trained network, and gradients of its images by a loop."""
    network, params, images, labels = trained()
    own = loop_gradients(network, params, images, labels)
    return (
        loo_estimates.AllWeights(network, params, images, labels),
        own,
        some_tests(),
        network,
        params,
    )


def test_gradient_dot_is_the_loop(whole):
    curvature, own, part, network, params = whole
    x = part.batch(torch.arange(len(part))).double()
    theirs = loop_gradients(network, params, x, part.labels)
    torch.testing.assert_close(curvature.gradients(), own, atol=1e-10, rtol=0)
    found = curvature.along(curvature.gradients(), part)
    torch.testing.assert_close(found, own @ theirs.T, atol=1e-9, rtol=1e-9)


def test_last_layer_gradients_are_a_part_of_all(whole):
    curvature, own, _, network, params = whole
    nets = loo.TrainedNets(network, params, {})
    last = loo_estimates.last_layer(nets, curvature.images, curvature.labels)
    count = last.gradients().shape[1] // CLASSES
    weight = last.gradients().view(M, CLASSES, count)
    flat = torch.cat([weight[:, :, :-1].flatten(1), weight[:, :, -1]], 1)
    torch.testing.assert_close(flat, own[:, -flat.shape[1] :], atol=1e-9, rtol=0)


def test_hessian_products_are_symmetric_and_right(whole):
    curvature, _, _, network, params = whole
    size = sum(w[0].numel() for w in params.values())
    v = torch.randn(2, size, generator=rng.generator(4), dtype=torch.float64)
    product = curvature.product(v)
    assert float(product[0] @ v[1]) == pytest.approx(float(product[1] @ v[0]), rel=1e-9)
    step = 1e-5

    def gradient(by: torch.Tensor) -> torch.Tensor:
        parts = by.split([w[0].numel() for w in params.values()])
        moved = {k: w + p.view_as(w) for (k, w), p in zip(params.items(), parts)}
        return loop_gradients(network, moved, curvature.images, curvature.labels).mean(0)

    numeric = (gradient(step * v[0]) - gradient(-step * v[0])) / (2 * step)
    torch.testing.assert_close(product[0], numeric, atol=1e-5, rtol=1e-5)


def test_conjugate_gradients_at_the_edges():
    """A right-hand side of 0, and a direction of negative curvature: no NaN, and it is said."""
    matrix = torch.diag(torch.tensor([2.0, 1.0, -3.0], dtype=torch.float64))
    b = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    found = loo_estimates.conjugate_gradient(lambda v: v @ matrix, b, 1.0)
    expected = torch.tensor([[0, 0, 0], [1 / 3, 1 / 2, 0], [0, 0, 0]], dtype=torch.float64)
    torch.testing.assert_close(found.x, expected)
    assert found.given_up == 1


# --- the task -------------------------------------------------------------------------------------


def test_a_stopped_task_goes_on_and_ends_the_same(store, monkeypatch):
    keys = two_sets(store)
    wanted = LeaveOneOut(
        data=DataSpec(),
        net=NetSpec(width=4, depth=2),
        run_key=keys[0],
        images=20,
        inits=2,
        iterations=5,
    )
    monkeypatch.setattr(loo, "CPU_FLOATS_AT_ONCE", 150_000)  # several groups of networks
    monkeypatch.setattr(worker, "CHECKPOINT_EVERY_S", 0)
    task = store.create(wanted)
    calls = []
    original = loo.losses_on

    def stopping(nets, part):
        calls.append(nets.network.num_nets)
        if len(calls) == 4:
            raise Cancelled("x")
        return original(nets, part)

    monkeypatch.setattr(loo, "losses_on", stopping)
    with pytest.raises(Cancelled):
        worker.run_task(store, task, wanted, "cpu")
    worker.run_task(store, task, wanted, "cpu")
    assert sum(calls) - calls[3] == 2 * 21  # nothing was trained twice but what was cut off
    arrays, weights = task.arrays(), task.arrays("weights")
    other = type(store)(store.root / "other", gallery=None)
    assert two_sets(other) == keys
    again = other.create(wanted)
    monkeypatch.setattr(loo, "losses_on", original)
    worker.run_task(other, again, wanted, "cpu")
    for name, values in arrays.items():
        np.testing.assert_array_equal(values, again.arrays()[name])
    for name, values in weights.items():
        np.testing.assert_array_equal(values, again.arrays("weights")[name])
    assert arrays["influence"].shape[:2] == (2, 20)
    assert arrays["influence"].dtype == np.float16


def test_sets_with_one_image_per_class_are_refused(store):
    key = done(store, spec()).key
    chosen = choose(store, [key])
    with pytest.raises(SpecError, match="2 or more images per class") as error:
        make_spec(ANALYSIS, chosen)
    assert error.value.field == "run_keys"
    wanted = InfluenceTask(run_keys=(key,))
    with pytest.raises(SpecError, match="the class itself would be missing"):
        worker.run_task(store, store.create(wanted), wanted, "cpu")
    assert not list(store.tasks("leave_one_out"))


def test_networks_whose_images_see_each_other_are_refused(store):
    with pytest.raises(SpecError, match="batch norm"):
        InfluenceTask(run_keys=tuple(two_sets(store)), network="resnet18-8")


def test_all_weights_can_be_estimated_from_too(store):
    from tests.analysis.conftest import computed

    small = {**ANALYSIS.smallest, "iterations": 5, "inits": 1}
    wanted = InfluenceTask(
        run_keys=tuple(two_sets(store))[:1],
        estimate="all",
        damping=30.0,
        precision="double",
        **small,
    )
    task = computed(store, wanted)
    facts = task.result()["sets"][wanted.run_keys[0]]
    assert facts["agreement"]["raw"] is None
    assert facts["estimates"]["given_up"] == 0
    assert facts["estimates"]["residual"] <= 1e-6
    assert facts["estimates"]["dot"]["spearman"] > 0.5  # five steps are nearly a gradient step


# --- what is made of it ---------------------------------------------------------------------------


def test_means_of_classes():
    values = np.arange(24.0).reshape(4, 6)
    own = np.array([0, 0, 1, 1])
    left = effects.centred(values, own)
    assert np.allclose(left[:2].sum(0), 0)
    assert np.allclose(left[2:].sum(0), 0)
    assert np.allclose(left[0] - left[1], values[0] - values[1])
    tests_ = np.array([0, 0, 0, 1, 1, 1])
    table = by_class(values, own, tests_, 2)
    assert table[0, 1] == pytest.approx(values[:2, 3:].mean())
    assert table[1, 0] == pytest.approx(values[2:, :3].mean())


def test_agreement_is_scipys_rank_correlation():
    each = np.random.default_rng(0).normal(size=(3, 4, 50)).round(1)  # with ties
    expected = [
        spearmanr(each[a, j], each[b, j]).statistic
        for a in range(3)
        for b in range(a)
        for j in range(4)
    ]
    assert agreement(each) == pytest.approx(np.mean(expected), abs=1e-9)
    assert agreement(each[:1]) is None
    assert agreement(np.zeros((2, 3, 5))) is None


def test_sheet_puts_tiles_in_rows():
    pixels = np.ones((1, 8, 8), np.float32)
    canvas, words = sheet([[(pixels, "a"), (None, "b")], [(pixels, "c")]], [1, 8, 8])
    assert canvas[..., 3].astype(bool).sum() == 2 * 64  # tiles are opaque, the rest is not
    assert [text for *_, text in words] == ["a", "b", "c"]
