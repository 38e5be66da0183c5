"""The membership test on sets whose answer is known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from analysis.suite.privacy.compute import _near, membership
from analysis.suite.privacy.spec import SAME
from ddcore.base import rng


def test_interval_covers_guessing_where_nothing_is_given_away():
    """Of 40 tests on equal losses about 38 intervals should hold 0.5."""
    held = 0
    for seed in range(40):
        generator = rng.numpy_generator(seed, "fake losses")
        inside, outside = generator.normal(size=(2, 200)), generator.normal(size=(2, 200))
        found = membership(inside, outside, seed)
        held += found.low <= 0.5 <= found.high
    assert held >= 34
    shifted = membership(inside - 1, outside, 0)
    assert shifted.low > 0.6 and shifted.mean == pytest.approx(np.mean(shifted.auc))


def test_a_set_of_training_images_is_found_out(finished):
    """Copies have distance 0; noise has none; few real images give themselves away."""
    task = finished("privacy")
    result = task.result()
    assert result["sets"][SAME]["membership"]["mean"] > 0.6
    for run in result["runs"]:
        assert result["sets"][run["key"]]["copies"] == 0

    class Data:
        train_images = (np.arange(5 * 64).reshape(5, 1, 8, 8) % 251).astype(np.uint8)

    @dataclasses.dataclass
    class Made:
        values: np.ndarray

        def pixels(self) -> np.ndarray:
            return self.values

    arrays, rows = {}, {}
    copied = Made(Data.train_images[[3, 1]].astype(np.float32) / 255)
    facts = _near(copied, Data, np.array([1.0, 2.0]), "x", arrays, rows)
    assert facts.copies == 2 and facts.nearer_than_held_out == 1.0
    part, nearest = rows["nearest.x"]
    assert part == "train" and sorted(nearest.tolist()) == [1, 3]
