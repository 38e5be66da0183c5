"""Curvature: curves against single measurements, facts by brute force, checkpoints, density."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analysis.shared import hessian
from analysis.suite.curvature import ANALYSIS
from analysis.suite.curvature.maths import courses, density, moment_of, smooth
from analysis.suite.curvature.spec import REAL, VIEWS, CurvatureTask
from ddcore.base import rng
from ddcore.base.errors import Cancelled, DDError, SpecError
from ddcore.data import load
from ddcore.data.spec import DataSpec
from ddcore.data.tensors import DeviceData
from ddcore.nets import NetSpec
from ddcore.nets.network import Network
from ddcore.pools.real import train_real
from ddcore.sets.distilled import DistilledSet
from tests.analysis.conftest import computed, two_sets

NET = NetSpec(width=4, depth=2)
SMALL = {
    "network": "convnet-4",
    "nets": 2,
    "iterations": 6,
    "every": 2,
    "real_images": 30,
    "probes": 3,
    "spectra": 2,
    "top": 2,
    "starts": 2,
    "steps": 20,
}


def test_same_weights_same_numbers(store):
    """The middle of the run, measured by itself on the weights that training has then."""
    keys = tuple(two_sets(store))
    task = computed(store, CurvatureTask(run_keys=keys, **SMALL))
    arrays, data = task.arrays(), DeviceData(load(store, DataSpec()))
    assert arrays["steps"].tolist() == [0, 2, 4, 6]
    assert arrays["spectra"].tolist() == [0, 6]
    for i in range(2):
        seed = rng.derive(0, "curvature", i)
        nets = train_real(NET, data.train, 10, [seed], iterations=4, batch=64, lr=0.01)
        network = Network(NET, data.shape, 10, fused_norm=False)
        for key in keys:
            made = DistilledSet.from_task(store.find(key))
            source = hessian.Images(
                torch.from_numpy(made.images), torch.from_numpy(made.hard_labels)
            )
            loss = hessian.MeanLoss(network, nets.params, source, {})
            expected = hessian.trace(loss, 3, seed=0)
            found = arrays[f"samples.{key}"][i, 2]
            np.testing.assert_allclose(found, expected.samples.numpy(), rtol=1e-4, atol=1e-4)
            fisher = arrays[f"fisher.{key}"][i, 2]
            assert fisher == pytest.approx(hessian.fisher_trace(loss), rel=1e-4)
        last = train_real(NET, data.train, 10, [seed], iterations=6, batch=64, lr=0.01)
        loss = hessian.MeanLoss(network, last.params, source, {})
        top = hessian.spectrum(loss, 2, 20, seed=0).top(2)[0].numpy()
        assert np.isfinite(top[0])
        np.testing.assert_allclose(arrays[f"top.{key}"][i, 1], top, rtol=1e-4)


def test_all_real_images_or_a_balanced_sample(store):
    keys = tuple(two_sets(store))[:1]
    few = {**SMALL, "nets": 1, "iterations": 2, "spectra": 1}
    sample = computed(store, CurvatureTask(run_keys=keys, **few)).result()
    assert sample["sets"][REAL]["images"] == 30
    assert not sample["all_real"]
    task = computed(store, CurvatureTask(run_keys=keys, **{**few, "real_images": 0}))
    data = DeviceData(load(store, DataSpec()))
    assert task.result()["sets"][REAL]["images"] == len(data.train)
    network = Network(NET, data.shape, 10, fused_norm=False)
    seed = rng.derive(0, "curvature", 0)
    nets = train_real(NET, data.train, 10, [seed], iterations=2, batch=64, lr=0.01)
    loss = hessian.MeanLoss(network, nets.params, data.train, {})
    expected = hessian.trace(loss, 3, seed=0).samples.numpy()
    np.testing.assert_allclose(task.arrays()[f"samples.{REAL}"][0, 1], expected, rtol=1e-4)


def test_batch_norms_use_their_running_statistics(store):
    """Only then is the loss a mean over images, and chunks add up."""
    few = {**SMALL, "network": "resnet18-4", "nets": 1, "iterations": 2, "spectra": 1}
    task = computed(store, CurvatureTask(run_keys=tuple(two_sets(store))[:1], **few))
    assert task.result()["asymmetry"] < 1e-3


def test_a_set_is_measured_alike_in_any_company(store):
    keys = tuple(two_sets(store))
    both = computed(store, CurvatureTask(run_keys=keys, **SMALL)).arrays()
    one = computed(store, CurvatureTask(run_keys=keys[1:], **{**SMALL, "nets": 1})).arrays()
    for name, values in one.items():
        if name not in ("steps", "spectra"):
            np.testing.assert_array_equal(values, both[name][:1])


def test_a_stopped_task_goes_on_where_it_was(store, monkeypatch):
    wanted = CurvatureTask(run_keys=tuple(two_sets(store)), **SMALL)
    whole = computed(store, wanted).arrays()
    store.delete(store.task(wanted))
    monkeypatch.setattr("ddcore.tasks.worker.CHECKPOINT_EVERY_S", 0.0)
    real, calls = hessian.trace, []

    def trace(*args):
        if (
            len(calls) == 8
        ):  # within the third of four moments of the first network: three sets each
            raise Cancelled("enough")
        calls.append(args)
        return real(*args)

    monkeypatch.setattr(hessian, "trace", trace)
    with pytest.raises(Cancelled):
        computed(store, wanted)
    monkeypatch.setattr(hessian, "trace", lambda *a: (calls.append(a), real(*a))[1])
    calls.clear()
    task = computed(store, wanted)
    assert len(calls) == 3 * (2 * 4 - 2)
    for name, values in whole.items():
        np.testing.assert_array_equal(values, task.arrays()[name])
    status = task.status()
    assert status["step"] == status["total"]


def test_what_is_not_symmetric_or_not_finite_is_refused(store, monkeypatch):
    wanted = CurvatureTask(run_keys=tuple(two_sets(store)), **SMALL)
    samples = torch.ones(3, dtype=torch.float64)
    monkeypatch.setattr(hessian, "trace", lambda *a: hessian.Trace(samples, 0.3))
    with pytest.raises(DDError, match="not symmetric"):
        computed(store, wanted)
    monkeypatch.setattr(hessian, "trace", lambda *a: hessian.Trace(samples * np.nan, 0.0))
    with pytest.raises(DDError, match="smaller step size"):
        computed(store, wanted)


# --- curves -----------------------------------------------------------------------------------------


def test_smoothing_is_the_published_one_and_knows_its_grid():
    values = np.random.default_rng(0).random(50)
    found, s = smooth(values, 1), values[0]
    for x, f in zip(values[1:], found[1:]):
        s = 0.9 * s + 0.1 * x
        assert f == pytest.approx(s)
    # A step measured every 10 iterations ends where one measured every iteration does.
    step = np.where(np.arange(101) > 0, 1.0, 0.0)
    coarse, fine = smooth(step[::10], 10), smooth(step, 1)
    np.testing.assert_allclose(coarse, fine[::10])
    many = np.random.default_rng(1).random((20, 4))
    mean = smooth(many.mean(1), 5)
    np.testing.assert_allclose(smooth(many, 5).mean(1), mean)


def arrays_of(steps: np.ndarray, own: np.ndarray, real: np.ndarray, noise: float = 0.0) -> dict:
    """Two sets with five probes, the noise of which they share."""
    probes = noise * np.random.default_rng(2).normal(size=(len(steps), 5))
    probes -= probes.mean(1, keepdims=True)
    samples = {"a": own[:, None] + probes, REAL: real[:, None] + probes}
    own_noise = 0.01 * np.array([-2, -1, 0, 1, 2])
    samples["a"] = samples["a"] + own_noise
    return {"steps": steps, **{f"samples.{k}": v[None] for k, v in samples.items()}}


def test_peak_and_crossing():
    steps = np.arange(0, 110, 10)
    own = np.array([0, 2, 5, 8, 9, 7, 4, 2, 1, 1, 1.0])
    real = np.array([0, 1, 2, 3, 4, 5, 5, 5, 4, 4, 4.0])
    for noise in (0.0, 3.0):  # common to both, so it changes nothing but the error of the peak
        found = courses(arrays_of(steps, own, real, noise), 10)["a"]["raw"]
        assert (found.peak_at, found.below) == (40, 60)
        assert found.peak == pytest.approx(9)
        assert found.peak_to_real == pytest.approx(9 / 5)
        assert found.last_to_real == pytest.approx(1 / 4)
    assert found.error > 0.3
    smoothed = courses(arrays_of(steps, own, real), 10)["a"]["smooth"]
    assert smoothed.peak_at == 40
    assert smoothed.below == 70  # later
    values = smooth(own, 10)
    assert smoothed.peak == pytest.approx(values.max())


def test_no_crossing_where_there_is_none():
    steps = np.arange(5)
    own, real = np.array([-3.0, 1, 5, 5, 5]), np.array([0.0, 2, 3, 4, 5])
    found = courses(arrays_of(steps, own, real), 1)["a"]["raw"]
    assert found.below is None  # below at the start does not count; neither does being equal
    assert courses(arrays_of(steps, own, real), 1)[REAL]["raw"].below is None
    barely = np.array([0, 1, 5, 3.999, 5])  # by less than two standard errors (.007 each)
    assert courses(arrays_of(steps, barely, real), 1)["a"]["raw"].below is None
    flat = courses(arrays_of(steps, own, -real), 1)["a"]["raw"]
    assert flat.last_to_real is None
    assert flat.peak_to_real is None


def test_density_is_a_mixture_of_gaussians():
    nodes = np.array([[[0.0, 2.0], [0.5, 3.0]]])
    weights = np.array([[[0.9, 0.1], [0.75, 0.25]]])
    grid = np.linspace(-3, 6, 20_001)
    found = density(nodes, weights, grid, 0.2)
    dx = grid[1] - grid[0]
    assert found.sum() * dx == pytest.approx(1, abs=1e-6)
    mean = (0.2 + 0.375 + 0.75) / 2
    assert (found * grid).sum() * dx == pytest.approx(mean, abs=1e-6)
    assert (found * grid**2).sum() * dx == pytest.approx((0.4 + 0.1875 + 2.25) / 2 + 0.04, abs=1e-5)
    arrays = {"nodes.a": nodes[:, None], "weights.a": weights[:, None]}
    assert moment_of(arrays, "a", 0, 0) == pytest.approx(1)
    assert moment_of(arrays, "a", 0, 1) == pytest.approx(mean)


def test_result_says_what_the_arrays_hold(finished):
    task = finished("curvature")
    result, arrays = task.result(), task.arrays()
    assert 0 < result["asymmetry"] < 1e-3
    for key, facts in result["sets"].items():
        samples = arrays[f"samples.{key}"].mean(0)
        assert facts["raw"]["peak"] == pytest.approx(samples.mean(1).max())
        assert set(VIEWS) < set(facts)
        np.testing.assert_allclose(arrays[f"weights.{key}"].sum(-1), 1)
        top = arrays[f"top.{key}"]
        known = np.isfinite(top)
        assert (np.diff(top)[known[..., 1:]] <= 0).all()
        assert (known[..., :-1] >= known[..., 1:]).all()  # none after one that has not converged
        assert (arrays[f"fisher.{key}"] >= 0).all()
    rows = ANALYSIS.table(ANALYSIS.result(task), arrays)
    assert len(rows) == 3 * result["nets"] * len(arrays["steps"])
    assert sum("eigenvalue_1" in row for row in rows) == 3 * result["nets"] * 2


def test_moments_and_spectra():
    spec = CurvatureTask(run_keys=("0" * 16,))
    assert spec.moments()[spec.spectrum_places()].tolist() == [0, 100, 200, 300]
    spec = spec.replace(every=7, spectra=1)
    assert spec.moments()[spec.spectrum_places()].tolist() == [294]
    assert spec.replace(spectra=43).spectrum_places().tolist() == list(range(43))


def test_refuses_by_field():
    wrong = {
        "network": "x",
        "every": 301,
        "probes": 1,
        "spectra": 32,
        "steps": 1,
        "top": 41,
        "lr": 0,
    }
    for field, value in wrong.items():
        with pytest.raises(SpecError) as error:
            CurvatureTask(run_keys=("0" * 16,), **{field: value})
        assert error.value.field == field
