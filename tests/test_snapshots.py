"""Which snapshots are shipped, and what 8 bits per value keep of them."""

from __future__ import annotations

import numpy as np
import pytest

from ddcore.base.errors import Damaged
from ddcore.distil.runner import snapshot_steps
from ddcore.tasks.files import write_arrays
from ddcore.tasks.snapshots import LEVELS, chosen, packed, unpacked
from ddcore.tasks.store import Task
from ddcore.tasks.task import snapshot_name


def test_packed_images_are_off_by_half_a_level_of_their_own_range():
    pixels = np.random.default_rng(0).normal(0.5, 0.5, (3, 2, 5, 4)).astype(np.float32)
    pixels[1] *= 20
    pixels[2] = 0.3  # no range at all
    pixels[0, 0] = 0.0
    found = packed(pixels)
    assert found["codes"].dtype == np.uint8
    again = unpacked(found)["pixels"]
    ranges = np.ptp(pixels, axis=(1, 2, 3))
    assert (np.abs(again - pixels).max((1, 2, 3)) <= ranges / LEVELS * 0.5001).all()
    assert np.array_equal(again[2], pixels[2])
    assert (again[0, 0] == 0).all(), "an empty background stays within 0..1"
    for same in (np.zeros((1, 1, 2, 2)), -np.ones((1, 1, 2, 2))):
        assert np.array_equal(unpacked(packed(same))["pixels"], same)


def test_snapshots_that_were_not_packed_stay_as_they_are():
    pixels = np.zeros((1, 1, 2, 2), np.float16)
    assert unpacked({"pixels": pixels})["pixels"] is pixels


def test_what_does_not_fit_is_damaged(tmp_path):
    arrays = packed(np.ones((2, 1, 2, 2), np.float32)) | {"first": np.zeros(3)}
    write_arrays(tmp_path / snapshot_name(1), arrays)
    with pytest.raises(Damaged, match="holds no images"):
        Task(tmp_path).snapshot(1)


@pytest.mark.parametrize("iterations", [1, 2, 60, 240, 4000])
def test_snapshots_are_chosen_evenly(iterations):
    every = sorted(snapshot_steps(iterations))
    found = chosen(every, 12)
    assert found[0] == 0 and found[-1] == iterations and len(found) == min(12, len(set(found)))
    later = chosen(every, 12, without_start=True)
    assert later[-1] == iterations and later[0] >= iterations / 12 and len(later) <= 12
    assert set(found) | set(later) <= set(every)
    if iterations == 4000:
        assert len(found) == len(later) == 12
        assert max(np.diff(later)) < 2 * iterations / 12


def test_of_a_run_that_has_but_its_start_nothing_is_chosen():
    assert chosen([0], 12, without_start=True) == [] and chosen([], 12) == []
