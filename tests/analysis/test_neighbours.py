"""Nearest training images as brute force finds them, in both spaces; real images are their own nearest."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analysis.runs import choose
from analysis.single.nearest import held_out_sample
from analysis.suite.neighbours import ANALYSIS
from analysis.suite.neighbours.compute import summary
from analysis.suite.neighbours.figures import pictures
from analysis.suite.neighbours.spec import FEATURES, HELD_OUT, PIXELS, NeighboursTask, pools
from analysis.task import load_arrays
from ddcore.data import load
from ddcore.data.spec import DataSpec
from ddcore.nets.network import select
from ddcore.pools.networks import load as load_pool
from ddcore.sets.distilled import DistilledSet
from tests.analysis.conftest import computed
from tests.pages.fakes import done, images, spec

SMALL = ANALYSIS.smallest


def by_force(queries: np.ndarray, train: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and distances of the k nearest, from all differences in float64."""
    apart = np.linalg.norm(queries[:, None] - train[None], axis=2)
    rows = np.argsort(apart, axis=1, kind="stable")[:, :k]
    return rows, np.take_along_axis(apart, rows, 1)


def features(analysed, task, which: int, x: np.ndarray) -> np.ndarray:
    """Penultimate features in one network of the pool, in float64."""
    (pool,) = pools(task.spec(), choose(analysed, task.spec().run_keys)).values()
    nets = load_pool(analysed.task(pool))
    params = {k: w.double() for k, w in select(nets.params, which).items()}
    one = nets.network.with_nets(1)
    with torch.no_grad():
        return one.features(params, torch.from_numpy(x).double(), {}, training=False)[0].numpy()


def test_equal_to_brute_force_in_both_spaces(finished, analysed):
    task = finished("neighbours")
    arrays, result, data = task.arrays(), task.result(), load(analysed, DataSpec())
    train = data.preprocess(data.train_images)
    held = data.preprocess(data.val_images[held_out_sample(len(data.val_images), 40)])
    for run in result["runs"]:
        made = DistilledSet.from_task(analysed.find(run["key"]))
        pixels = made.pixels().reshape(20, -1).astype(np.float64)
        real = data.train_images.reshape(len(data.train_images), -1) / 255
        rows, apart = by_force(pixels, real, 2)
        np.testing.assert_array_equal(arrays[f"{PIXELS}.rows.{run['key']}"], rows)
        np.testing.assert_allclose(arrays[f"{PIXELS}.distances.{run['key']}"], apart)
        own = data.train_labels[rows[:, 0]] == made.hard_labels
        assert result["sets"][run["key"]][PIXELS]["own_class"] == [own.mean()]
        for which in range(2):
            theirs = features(analysed, task, which, train)
            rows, apart = by_force(features(analysed, task, which, made.images), theirs, 2)
            yard = by_force(features(analysed, task, which, held), theirs, 1)[1]
            stored = arrays[f"{FEATURES}.relative.{run['key']}"][which]
            np.testing.assert_allclose(stored, apart[:, 0] / np.median(yard), rtol=1e-3)
            if which == 0:
                np.testing.assert_array_equal(
                    arrays[f"{FEATURES}.rows.{run['key']}"][:, 0], rows[:, 0]
                )
                np.testing.assert_allclose(
                    arrays[f"{FEATURES}.distances.{run['key']}"], apart, rtol=1e-3
                )


def test_held_out_images_are_the_unit(finished):
    task = finished("neighbours")
    arrays, result = task.arrays(), task.result()
    assert result["held_out_images"] == 40
    for space, count in ((PIXELS, 1), (FEATURES, 2)):
        relative = arrays[f"{space}.relative.{HELD_OUT}"]
        assert relative.shape == (count, 40)
        np.testing.assert_allclose(np.median(relative, 1), 1)
        assert result["sets"][HELD_OUT][space]["median"] == pytest.approx([1] * count)


def test_real_training_images_are_their_own_nearest(finished, analysed, store):
    """Whatever the network: distance 0 in both spaces, and their own class."""
    finished("neighbours")  # has read the dataset
    digits = load(analysed, DataSpec())
    rows = np.concatenate([np.flatnonzero(digits.train_labels == c)[:2] for c in range(10)])
    key = done(
        store,
        spec(ipc=2),
        images=digits.preprocess(digits.train_images[rows]),
        labels=digits.train_labels[rows],
        preprocess=digits.preprocessing,
    ).key
    task = computed(store, NeighboursTask(run_keys=(key,), **SMALL))
    arrays, facts = task.arrays(), task.result()["sets"][key]
    np.testing.assert_array_equal(arrays[f"{PIXELS}.rows.{key}"][:, 0], rows)
    np.testing.assert_array_equal(arrays[f"{FEATURES}.rows.{key}"][:, 0], rows)
    for space in (PIXELS, FEATURES):
        assert np.abs(arrays[f"{space}.relative.{key}"]).max() < 1e-4
        assert set(facts[space]["own_class"]) == {1.0}
        assert set(facts[space]["nearer"]) == {1.0}


def test_pictures_show_the_rows_and_need_the_data(finished, analysed):
    task = finished("neighbours")
    result, arrays = ANALYSIS.result(task), load_arrays(analysed, task)
    data = load(analysed, DataSpec())
    shown = pictures(result, arrays)
    assert len(shown) == 4  # two of each set
    for i, run in enumerate(result.runs):
        relative = arrays[f"{PIXELS}.relative.{run.key}"][0]
        for at, row in enumerate((relative.argmin(), relative.argmax())):
            pixels = shown[2 * i + at].pixels.reshape(2, 1 + 2, 1, 8, 8)  # spaces, it and 2 nearest
            made = DistilledSet.from_task(analysed.find(run.key)).pixels()[row]
            for place, space in enumerate((PIXELS, FEATURES)):
                rows = arrays[f"{space}.rows.{run.key}"][row]
                real = data.train_images[rows].astype(np.float32) / 255
                np.testing.assert_array_equal(pixels[place, 1:], real)
                np.testing.assert_array_equal(pixels[place, 0], made)
    stored = {k: v for k, v in arrays.items() if ".real." not in k}
    assert pictures(result, stored) == []


def test_summary_counts_by_network():
    relative = np.array([[0.5, 2.0, 0.9], [1.5, 1.2, 3.0]])
    agrees = np.zeros((2, 3, 2), bool)
    agrees[0, :2, 0] = agrees[1, 2] = True
    facts = summary(relative, agrees)
    assert facts.median == [0.9, 1.5]
    assert facts.nearer == pytest.approx([2 / 3, 0])
    assert facts.own_class == pytest.approx([2 / 3, 1 / 3])
    assert facts.own_class_all == pytest.approx([1 / 3, 1 / 3])


def test_noise_is_farther_than_real_images(store):
    key = done(store, images=images()).key
    facts = computed(store, NeighboursTask(run_keys=(key,), **SMALL)).result()["sets"][key]
    assert facts[PIXELS]["nearer"] == [0.0]
    assert facts[PIXELS]["median"][0] > 1.5
