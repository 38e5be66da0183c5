"""Kernel methods as runs: exactness seen from the stored set alone, and what breaks it."""

import numpy as np
import pytest
import torch

from ddcore.base.errors import SpecError
from ddcore.data import ensure, resolve
from ddcore.data.tensors import DeviceData
from ddcore.distil.contract import method
from ddcore.distil.methods.krr_exact import METHOD
from ddcore.distil.problem import Problem
from ddcore.distil.settings import make_spec
from ddcore.measure.spec import default_evaluation
from ddcore.recipes import krr_exact as krr_recipe
from ddcore.sets import exports
from ddcore.sets.distilled import DistilledSet
from ddcore.tasks import worker
from ddcore.training.protocols import PROTOCOLS

SHAPE = (1, 8, 8)


def exact(ipc=1, **settings):
    values = list({k: str(v) for k, v in settings.items()}.items())
    return make_spec("krr-exact", resolve("digits"), SHAPE, ipc=ipc, settings=values)


def numpy_features(made, images):
    """phi, written again from its stored weights."""
    x = images.reshape(len(images), -1).astype(np.float64)
    kind, arrays = made.kernel.kind, made.exact
    for i in range(made.kernel.depth):
        if kind == "fcnn":
            x = x @ arrays[f"phi.weight.{i}"].T
            x = np.where(x < 0, 0.1 * x, x)
        if kind == "affine":
            x = x @ arrays[f"phi.weight.{i}"].T + arrays[f"phi.bias.{i}"]
    if kind == "rff":
        a, b = arrays["phi.weight"], arrays["phi.phase"]
        x = np.sqrt(2 / len(a)) * np.cos(x @ a.T + b)
    return x


@pytest.mark.parametrize(
    ("ipc", "settings"),
    [
        (1, {}),
        (10, {}),
        (10, {"init": "real"}),
        (2, {"lambda_s": 1e-3, "root": "-"}),
        (1, {"map": "fcnn"}),
        (10, {"map": "fcnn", "layers": 2, "init": "real"}),
        (1, {"map": "rff"}),
        (10, {"map": "rff"}),
        (2, {"map": "affine", "lam": 10}),
    ],
)
def test_the_stored_set_gives_the_model_of_all_data_again(compute, ipc, settings):
    """By numpy alone: features from stored weights, least squares, compare with stored weights."""
    spec = exact(ipc, **settings)
    task = compute(spec)
    made, found = DistilledSet.from_task(task), task.result()["findings"]
    phi, labels = numpy_features(made, made.exact["images"]), made.exact["labels"]
    if ridge := made.kernel.ridge:
        phi = np.vstack([phi, np.sqrt(ridge) * np.eye(phi.shape[1])])
        labels = np.vstack([labels, np.zeros((phi.shape[1], 10))])
    weights = np.linalg.lstsq(phi, labels, rcond=None)[0].T
    error = np.linalg.norm(weights - made.exact["model"]) / np.linalg.norm(made.exact["model"])
    assert error <= 1e-8 and found["weight_error"] <= 1e-8 and found["exact"]
    assert found["agreement"] == 1.0
    assert found["distilled_accuracy"] == found["whole_accuracy"] > 0.85


@pytest.mark.parametrize("settings", [{}, {"map": "rff"}, {"map": "fcnn"}])
def test_its_evaluation_equals_that_of_all_data(compute, tmp_path, settings):
    spec = exact(1, **settings)
    made = DistilledSet.from_task(compute(spec))
    task = compute(
        default_evaluation(spec.key, spec, baselines=("random", "class_mean", "whole"), nets=3)
    )
    rows = {r["subject"]: r for r in task.result()["rows"]}
    assert rows["distilled"]["mean"] == rows["whole"]["mean"] > rows["class_mean"]["mean"]
    assert rows["distilled"]["n"] == 1 and rows["random"]["n"] == 3
    assert rows["distilled"]["arch"] == made.kernel.label()
    path = tmp_path / "set.npz"
    exports.export(made, "npz", path)
    again = exports.load(path)
    assert again.kernel == made.kernel
    real = torch.randn(50, *SHAPE, generator=torch.Generator().manual_seed(0))
    trained = made.train()
    assert torch.equal(again.train().predict(real), trained.predict(real))
    assert torch.equal(trained.module(real.double()).argmax(1), trained.predict(real)[0])


def test_affine_features_need_one_image_more_than_classes(compute):
    """Beside the origin one image per class cannot carry the model; nothing calls that exact."""
    found = compute(exact(1, map="affine", lam=10)).result()["findings"]
    assert found["weight_error"] > 1e-2 and not found["exact"] and not found["guaranteed"]


def test_what_the_copied_model_has_learned_from(compute, store):
    """The training images without those that chose lambda; with these it would be another. It is said."""
    task = compute(exact(1))
    made, found = DistilledSet.from_task(task), task.result()["findings"]
    data = ensure(worker.Context(store, task, task.spec(), "cpu"), resolve("digits"))

    def weights(*parts):
        x = np.concatenate([data.preprocess(getattr(data, f"{p}_images")) for p in parts])
        x = x.reshape(len(x), -1).astype(np.float64)
        y = np.eye(10)[np.concatenate([getattr(data, f"{p}_labels") for p in parts])]
        return np.linalg.solve(x.T @ x + found["lam"] * np.eye(x.shape[1]), x.T @ y).T

    model = made.exact["model"]
    both = (weights("train"), weights("train", "val"))
    off = [np.linalg.norm(w - model) / np.linalg.norm(model) for w in both]
    assert off[0] < 1e-5 and off[1] > 0.01
    assert "without those held out for validation" in METHOD.caveat
    assert "held out for validation are not among them" in METHOD.measured(found)
    assert "a tenth" in krr_recipe.CLAIM and "tenth that chooses" in krr_recipe.RECIPE.about


def test_only_a_measured_error_calls_a_set_exact():
    """Titles and descriptions promise nothing; the verdict follows the error."""
    promises = (
        METHOD.title,
        METHOD.idea,
        METHOD.explanation,
        METHOD.caveat,
        krr_recipe.RECIPE.title,
    )
    assert not any("exact" in text.lower() for text in promises)
    run = exact(1, map="affine")
    assert "exact" not in run.title().lower()


def test_a_ridge_above_the_bound_is_refused_with_the_bound(compute):
    with pytest.raises(SpecError, match=r"lambda_s = 50\.0 is not allowed: expected at most 2\.8"):
        compute(exact(1, lambda_s=50))


def test_other_networks_can_be_trained_on_a_kernel_set(compute):
    """Labels that are no distributions count as classes; squared error takes them as they are."""
    spec = exact(2, init="real")
    made = DistilledSet.from_task(compute(spec))
    assert made.soft and made.labels.min() < 0
    assert made.for_training(PROTOCOLS["quick"])[1].dtype == np.int64
    assert made.for_training(PROTOCOLS["frepo"])[1].shape == (20, 10)
    quick = PROTOCOLS["quick"].replace(epochs=5)
    rows = compute(default_evaluation(spec.key, spec, protocol=quick, nets=2)).result()["rows"]
    assert rows[0]["arch"].startswith("ConvNet")


def test_any_set_can_be_judged_by_a_kernel(compute):
    """Made for networks, it gets the default kernel at the ridge best on validation data."""
    settings = [("iterations", "3"), ("net.width", "4"), ("validations", "1")]
    spec = make_spec("dm", resolve("digits"), SHAPE, settings=settings)
    compute(spec)
    task = compute(default_evaluation(spec.key, spec, protocol=PROTOCOLS["kernel"], nets=2))
    first = task.result()["rows"][0]
    assert first["arch"] == "NTK, 1 hidden layer" and first["ridge"] > 0 and first["mean"] > 0.3


def test_pool_training_is_torchs_adam_for_each_network(digits_problem):
    """Two of three networks in turn, against one optimiser per network."""
    problem = digits_problem("frepo", pool="3", nets="2", max_age="100", net_lr="0.01")
    pool = method("frepo").build(problem)
    network = pool.some.with_nets(1)
    copies = [
        {k: w[i : i + 1].clone().requires_grad_() for k, w in pool.weights.items()}
        for i in range(3)
    ]
    optimisers = [torch.optim.Adam(list(c.values()), lr=0.01) for c in copies]
    images, labels = pool.synthetic.final()
    for iteration in range(5):
        pool.step(iteration)
        for i in pool.chosen.tolist():
            loss = (network.logits(copies[i], images) - pool.regressed(labels).float()).square()
            optimisers[i].zero_grad()
            loss.mean().backward()
            optimisers[i].step()
    for i, copy in enumerate(copies):
        for name, weight in copy.items():
            torch.testing.assert_close(pool.weights[name][i], weight[0], rtol=1e-4, atol=1e-6)


def test_networks_of_a_pool_together_equal_one_by_one(digits_problem):
    problem = digits_problem("frepo", pool="3", nets="3", real_batch="40")
    pool = method("frepo").build(problem)
    pool.chosen = torch.arange(3)
    images, _ = pool.synthetic.final()
    real, _ = pool.real(0)
    k_ss, k_ts = pool.kernels(0, images, real)
    single = pool.some.with_nets(1)
    for i in range(3):
        weights = {k: w[i : i + 1] for k, w in pool.weights.items()}
        x, y = (single.features(weights, z)[0].double() for z in (images, real))
        torch.testing.assert_close(k_ss[i], x @ x.T, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(k_ts[i], y @ x.T, rtol=1e-4, atol=1e-6)


def test_an_old_network_of_the_pool_starts_afresh(digits_problem):
    problem = digits_problem("frepo", pool="2", nets="2", max_age="3", real_batch="40")
    pool = method("frepo").build(problem)
    ages = []
    for iteration in range(6):
        pool.step(iteration)
        ages.append(pool.age.tolist())
    assert [a[0] for a in ages] == [1, 2, 3, 0, 1, 2]  # the second began at half the age
    assert [a[1] for a in ages] == [2, 3, 0, 1, 2, 3]


@pytest.fixture
def digits_problem(compute, store):
    from ddcore.data import dataset_task, load

    def make(method, **settings):
        small = {"net.width": "8", "net.depth": "1", **settings}
        spec = make_spec(method, resolve("digits"), SHAPE, settings=list(small.items()))
        compute(dataset_task(spec.data))
        dataset = load(store, spec.data)
        return Problem(spec, DeviceData(dataset), "cpu")

    return make
