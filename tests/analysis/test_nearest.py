"""Nearest real images: equal to comparing every pair, in any block size, and honest about copies."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from analysis.single import nearest
from analysis.single.nearest import NearestTask
from ddcore.base import paths
from ddcore.base.errors import SpecError
from ddcore.data import load
from ddcore.data.spec import DataSpec
from tests.pages.fakes import done, spec


def by_loop(queries: np.ndarray, train: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Every pair compared, one by one."""
    indices, distances = [], []
    for query in queries:
        apart = []
        for image in train:
            apart.append(float(np.linalg.norm(image.ravel() / 255 - query)))
        order = np.argsort(apart, kind="stable")[:k]
        indices.append(order)
        distances.append([apart[i] for i in order])
    return np.array(indices), np.array(distances)


@pytest.mark.parametrize("block", [64, 1 << 10, 1 << 22])
@pytest.mark.parametrize("k", [1, 5])
def test_equals_a_plain_loop(monkeypatch, block, k):
    generator = np.random.default_rng(0)
    train = generator.integers(0, 256, (83, 3, 4, 4), dtype=np.uint8)
    queries = generator.normal(0.5, 0.6, (17, 48))
    monkeypatch.setattr(nearest, "CHUNK_FLOATS", block)
    indices, distances = nearest.nearest(queries, train, k)
    expected = by_loop(queries, train, k)
    np.testing.assert_array_equal(indices, expected[0])
    np.testing.assert_allclose(distances, expected[1], rtol=1e-12)


def test_a_copy_has_distance_zero_and_ties_go_by_index(monkeypatch):
    monkeypatch.setattr(nearest, "CHUNK_FLOATS", 100)
    train = np.random.default_rng(1).integers(0, 256, (40, 1, 5, 5), dtype=np.uint8)
    train[[7, 31]] = train[20]
    queries = train[[20]].reshape(1, -1) / 255
    indices, distances = nearest.nearest(queries, train, 4)
    assert indices[0, :3].tolist() == [7, 20, 31]
    assert distances[0, :3].tolist() == [0, 0, 0]
    assert np.isinf(nearest.psnr(distances, 25)[0, :3]).all()


def test_small_differences_of_bright_images_survive_rounding():
    """The product form alone would lose them: its terms are 10^8 times as large."""
    train = np.full((30, 1, 8, 8), 255, np.uint8)
    train[:, 0, 0, 0] = np.arange(225, 255)
    queries = np.ones((1, 64)) * (1 + 1e-9)
    indices, _ = nearest.nearest(queries, train, 3)
    assert indices[0].tolist() == [29, 28, 27]


def test_fewer_training_images_than_asked_for():
    train = np.zeros((2, 1, 2, 2), np.uint8)
    indices, distances = nearest.nearest(np.ones((3, 4)), train, 5)
    assert indices.shape == distances.shape == (3, 2)
    np.testing.assert_allclose(distances, 2.0)


def test_psnr_is_that_of_the_mean_squared_error():
    a, b = np.random.default_rng(2).random((2, 3, 8, 8))
    mse = float(np.mean((a - b) ** 2))
    found = nearest.psnr(np.array([np.linalg.norm((a - b).ravel())]), a.size)
    np.testing.assert_allclose(found, 10 * np.log10(1 / mse))


def test_task_on_digits(store, compute):
    run = done(store)
    task = compute(NearestTask(run_key=run.key))
    data, arrays, facts = load(store, DataSpec()), task.arrays(), task.result()
    assert facts["train_images"] == 1167
    assert facts["held_out_images"] == len(data.val_images) == len(arrays["held_out"])
    assert arrays["indices"].shape == (10, 5)
    one = nearest.of_image(arrays, 3)
    np.testing.assert_array_equal(one.images, data.train_images[one.indices])
    np.testing.assert_array_equal(one.classes, data.train_labels[one.indices])
    np.testing.assert_array_equal(one.agrees, one.classes == 3)
    assert (np.diff(one.distances) >= 0).all()
    farther = np.mean(arrays["held_out"] > one.distances[0])
    assert one.held_out_farther == farther
    # The fake images are noise: farther away than any real image, and no copies.
    assert facts["share_nearer"] == 0
    assert facts["copies"] == 0
    assert facts["median_distance"] > facts["median_held_out"] > 0


def test_real_images_count_as_copies():
    apart = np.array([[0.0], [0.01], [2.0]])
    held = np.array([[1.0], [1.0], [1.5]])
    same, theirs = np.ones((3, 1), bool), np.array([1, 0, 1], bool)
    facts = nearest.summary(apart, held, same, theirs, pixels=64, train_images=9)
    assert facts["copies"] == 2
    assert facts["share_nearer"] == pytest.approx(2 / 3)
    assert facts["class_agreement_held_out"] == pytest.approx(2 / 3)


def test_spec_is_stable_and_checked(store):
    task = NearestTask(run_key=spec().key)
    assert task.SLOT == "light"
    assert store.create(task).spec() == task
    with pytest.raises(SpecError, match="k = 0"):
        NearestTask(run_key="x", k=0)


def test_a_large_validation_part_is_sampled_the_same_way_each_time():
    first, again = (nearest.held_out_sample(5000, 1000) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert len(np.unique(first)) == 1000
    assert nearest.held_out_sample(130, 1000).tolist() == list(range(130))


def test_needs_no_torch():
    code = "import sys, analysis.single.nearest; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=paths.PROJECT).returncode == 0
