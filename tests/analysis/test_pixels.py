"""Pixel density: exact extremes, the usual density, and a round trip that adds nothing (section m.6)."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import gaussian_kde

from analysis.results import from_dict
from analysis.suite.pixels import ANALYSIS
from analysis.suite.pixels.figures import one_image, sentence
from analysis.suite.pixels.maths import density, extremes
from analysis.suite.pixels.result import PixelsFound
from analysis.suite.pixels.spec import REAL, PixelsTask
from analysis.task import load_arrays
from ddcore.data import load
from ddcore.data.spec import DataSpec
from tests.pages.fakes import decoded


def test_taking_the_normalisation_back_is_exact(store):
    decoded(store)
    data = load(store, DataSpec())
    real = data.test_images.astype(np.float32) / 255
    back = data.pixels(data.preprocess(data.test_images))
    np.testing.assert_allclose(back, real, atol=1e-6)
    assert extremes(back).outside == 0
    assert extremes(back).max == pytest.approx(1, abs=1e-6)


def test_extremes_are_counted_not_smoothed():
    facts = extremes(np.array([[-0.5, 0.0, 0.5, 1.0], [1.5, 2.0, 0.25, 0.75]]))
    assert (facts.min, facts.max) == (-0.5, 2.0)
    assert (facts.below, facts.above, facts.outside) == (1 / 8, 2 / 8, 3 / 8)


@pytest.mark.parametrize("count", [40, 3000])
def test_density_is_that_of_scipy(count):
    values = np.random.default_rng(0).normal(0.4, 0.3, count)
    grid = np.linspace(-1, 2, 300)
    np.testing.assert_allclose(
        density(values, grid), gaussian_kde(values)(grid), atol=2e-4, rtol=5e-3
    )


def test_density_integrates_to_one_even_for_one_value():
    grid = np.linspace(-1, 2, 20001)
    for values in (np.full(64, 0.5), np.array([0.5]), np.array([0.0, 1.0] * 20)):
        assert np.trapezoid(density(values, grid), grid) == pytest.approx(1, abs=1e-3)


def test_one_image_is_that_of_its_class(finished, analysed):
    task = finished("pixels")
    arrays = load_arrays(analysed, task)
    key = task.spec().run_keys[0]
    image = one_image(arrays, key, 3, 99)
    own = arrays[f"pixels.{key}"][arrays[f"labels.{key}"] == 3]
    np.testing.assert_array_equal(image, own[-1])  # the last one where there are fewer
    real = one_image(arrays, REAL, 3, 0)
    assert 0 <= real.min() <= real.max() <= 1
    assert (arrays["real_labels"] == 3).sum() == 2


def test_whole_sets_are_the_pooled_pixels(finished):
    task = finished("pixels")
    arrays, result = task.arrays(), task.result()
    for key in task.spec().run_keys:
        values = arrays[f"pixels.{key}"]
        facts = result["sets"][key][0]
        assert facts["min"] == pytest.approx(float(values.min()))
        assert facts["outside"] == np.mean((values < -1e-6) | (values > 1 + 1e-6))
    assert result["sets"][REAL][0]["outside"] == 0


def test_sets_of_eight_bits_are_named(store, compute):
    from tests.test_importers import bring_in, npz

    x = np.random.default_rng(0).integers(0, 256, (10, 1, 8, 8), np.uint8)
    given = {"bytes": x, "levels": x / np.float32(255), "floats": x / np.float32(254.3)}
    tasks = {
        name: bring_in(store, compute, [npz(images=a, labels=np.arange(10))], [f"{name}.npz"])
        for name, a in given.items()
    }
    keys = tuple(t.key for t in tasks.values())
    found = compute(PixelsTask(run_keys=keys, real_images=2))
    result = ANALYSIS.result(found)
    assert set(result.found.eight_bit) == {tasks["bytes"].key, tasks["levels"].key}
    told = sentence(result)
    assert "from 8-bit pixels, which cannot show values outside 0..1" in told
    stored = found.result()
    del stored["eight_bit"]  # results that were stored before
    assert "8-bit" not in sentence(from_dict(PixelsFound, stored))
