"""Calibration against predictions whose calibration is known, other libraries and identities."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from analysis.shared.equal import reached
from analysis.shared.set_ups import usual
from analysis.suite.calibration import ANALYSIS
from analysis.suite.calibration.compute import shown
from analysis.suite.calibration.maths import (
    auroc,
    binned,
    brier,
    brier_parts,
    expected_error,
    fitted_temperature,
    gaps,
    log_softmax,
    measured,
    nll,
    scores,
    unbiased_square,
)
from analysis.suite.calibration.spec import UNKNOWN, CalibrationTask
from ddcore.base import rng
from ddcore.data import load
from ddcore.data.spec import DataSpec
from ddcore.nets.words import network
from ddcore.sets.distilled import DistilledSet
from ddcore.training.train import train

few = settings(max_examples=40, deadline=None, derandomize=True)


def drawn(seed: int, count: int, off: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Confidences, and answers that are right with that chance plus `off`."""
    draws = np.random.default_rng(seed)
    confidence = draws.uniform(0.3, 0.8, count)
    return confidence, (draws.random(count) < confidence + off).astype(float)


@pytest.mark.parametrize("off", [-0.2, -0.1, 0.1, 0.2])
def test_a_known_error_is_found(off):
    of = binned(*drawn(0, 200_000, off))
    assert expected_error(of) == pytest.approx(abs(off), abs=0.004)
    assert unbiased_square(of) == pytest.approx(off**2, abs=0.002)


def test_chance_is_taken_off():
    """Of calibrated predictions on few images the plain error is far from 0, the other is not."""
    found = [binned(*drawn(seed, 300)) for seed in range(400)]
    squares = np.array([unbiased_square(of) for of in found])
    plain = np.array([(of.share * (of.confidence - of.accuracy) ** 2).sum() for of in found])
    error = squares.std(ddof=1) / np.sqrt(len(squares))
    assert abs(squares.mean()) < 4 * error
    assert plain.mean() > 20 * error
    assert np.mean([expected_error(of) for of in found]) > 0.05


def test_bins_hold_equally_many():
    confidence, right = drawn(1, 1003)
    of = binned(confidence, right)
    assert len(of.count) == 15 and np.ptp(of.count) <= 1 and of.count.sum() == 1003
    assert (np.diff(of.confidence) > 0).all()
    assert (of.share * of.accuracy).sum() == pytest.approx(right.mean())
    assert len(binned(confidence[:4], right[:4]).count) == 4


@few
@given(st.integers(0, 2**32 - 1), st.integers(20, 400), st.floats(-0.3, 0.2))
def test_parts_of_the_brier_score_add_up(seed, count, off):
    confidence, right = drawn(seed, count, off)
    parts = brier_parts(confidence, right)
    uncertainty = right.mean() * (1 - right.mean())
    total = parts.reliability - parts.resolution + uncertainty + parts.within
    assert total == pytest.approx(((confidence - right) ** 2).mean(), abs=1e-12)
    steps = np.round(confidence, 1)  # nothing varies within bins that hold one value each
    alone = brier_parts(steps[steps == steps[0]], right[steps == steps[0]])
    assert alone.within == pytest.approx(0, abs=1e-12)


@few
@given(st.integers(0, 2**32 - 1))
def test_figures_are_those_of_another_library(seed):
    draws = np.random.default_rng(seed)
    outputs = 3 * draws.normal(size=(60, 5))
    labels = np.concatenate([np.arange(5), draws.integers(0, 5, 55)])
    p = np.exp(log_softmax(outputs))
    assert nll(outputs, labels) == pytest.approx(log_loss(labels, p))
    hit = np.eye(5)[labels]
    assert brier(p, labels) == pytest.approx(
        np.mean([((a - b) ** 2).sum() for a, b in zip(p, hit)])
    )
    known, unknown = draws.normal(0.5, 1, 40).round(1), draws.normal(0, 1, 30).round(1)
    truth = roc_auc_score([1] * 40 + [0] * 30, np.concatenate([known, unknown]))
    assert auroc(known, unknown) == pytest.approx(truth)
    theirs = torch.from_numpy(outputs)
    found = scores(outputs)
    np.testing.assert_allclose(found["energy"], torch.logsumexp(theirs, -1).numpy())
    np.testing.assert_allclose(found["max"], torch.softmax(theirs, -1).max(-1).values.numpy())


@pytest.mark.parametrize("warm", [0.2, 1.0, 3.0])
def test_the_temperature_is_the_best_of_a_fine_grid(warm):
    """Labels drawn from known probabilities, outputs multiplied: the fit finds the factor again."""
    draws = np.random.default_rng(2)
    outputs = 2 * draws.normal(size=(4000, 6))
    p = np.exp(log_softmax(outputs))
    labels = (p.cumsum(1) < draws.random((4000, 1))).sum(1)
    found = fitted_temperature(warm * outputs, labels)
    grid = np.exp(np.linspace(-4, 4, 4001))
    best = grid[np.argmin([nll(warm * outputs, labels, t) for t in grid])]
    assert found == pytest.approx(best, rel=0.003)
    assert found == pytest.approx(warm, rel=0.1)


def test_a_temperature_changes_no_answer_but_the_confidence():
    draws = np.random.default_rng(3)
    outputs, labels = 4 * draws.normal(size=(500, 4)), draws.integers(0, 4, 500)
    cold, hot = (measured(outputs, labels, t) for t in (1.0, 1e4))
    right = (outputs.argmax(1) == labels).mean()
    assert cold["over"] > 0.3 and hot["over"] == pytest.approx(0.25 - right, abs=0.01)
    assert hot["nll"] == pytest.approx(np.log(4), abs=0.01)


def test_unknown_images_are_made_of_the_same_pixels(finished, analysed):
    finished("calibration")  # has read the digits
    data = load(analysed, DataSpec())
    rows = np.arange(50)
    found = shown(data, CalibrationTask(run_keys=("0" * 16,)), rows)
    assert set(found) == {"test", *UNKNOWN}
    pixels = {k: (255 * data.pixels(v)).round().astype(int) for k, v in found.items()}
    np.testing.assert_array_equal(pixels["test"], data.test_images[rows])
    np.testing.assert_array_equal(pixels["inverted"] + pixels["test"], 255)
    flat = {k: v.reshape(50, -1) for k, v in pixels.items()}
    np.testing.assert_array_equal(np.sort(flat["shuffled"]), np.sort(flat["test"]))
    assert (flat["shuffled"] != flat["test"]).any(1).all()
    assert abs(flat["noise"].mean() - 127.5) < 5
    again = shown(data, CalibrationTask(run_keys=("0" * 16,)), rows)
    np.testing.assert_array_equal(again["noise"], found["noise"])


def test_the_result_is_what_training_alone_gives(finished, analysed):
    task = finished("calibration")
    spec, result = task.spec_as(CalibrationTask), ANALYSIS.result(task)
    found, key, data = result.found, spec.run_keys[0], load(analysed, DataSpec())
    protocol = usual(spec.iterations)
    x, y = DistilledSet.from_task(analysed.find(key)).for_training(protocol)
    seeds = [rng.derive(spec.seed, "calibration", i) for i in range(spec.nets)]
    net = network("network", spec.network, data.shape, 10)
    nets = train(net, torch.from_numpy(x), torch.from_numpy(y), 10, protocol, seeds)
    drawn_ = torch.randperm(
        len(data.test_labels), generator=rng.generator(0, "calibration", "test")
    )
    rows = drawn_[: spec.images].numpy()
    logits = torch.cat(nets.logits_in_batches(data.preprocess(data.test_images[rows])), 1)
    labels = torch.from_numpy(data.test_labels[rows])
    loss = torch.stack([torch.nn.functional.cross_entropy(z, labels) for z in logits])
    np.testing.assert_allclose(found.along("nll", False)[key][-1], loss, rtol=1e-3)
    place = [s.key for s in found.sources].index(key)
    warm = torch.tensor(found.temperature[place])[:, None, None]
    cooled = torch.stack([torch.nn.functional.cross_entropy(z, labels) for z in logits / warm])
    np.testing.assert_allclose(found.along("nll", True)[key][-1], cooled, rtol=1e-3)
    assert len(gaps(result, "ece", False)) == 2 * 3


def test_values_at_equal_accuracy_lie_on_the_line_between_looks():
    accuracy, values = np.array([0.1, 0.5, 0.4, 0.9]), np.array([0.0, 1.0, 5.0, 3.0])
    for level in np.linspace(0.1, 0.5, 5):
        assert reached(accuracy, values, level) == pytest.approx((level - 0.1) / 0.4)
    assert reached(accuracy, values, 0.65) == pytest.approx(4.0)
    assert reached(accuracy, values, 0.05) == 0.0
