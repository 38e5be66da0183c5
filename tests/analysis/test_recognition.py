"""Recognition: counts are right, and real training images are recognised as such (section m.8)."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from analysis.runs import choose
from analysis.suite.recognition import ANALYSIS
from analysis.suite.recognition.compute import confusion
from analysis.suite.recognition.figures import pictures
from analysis.suite.recognition.spec import REAL, RecognitionTask
from analysis.task import Opened, same_size
from ddcore.data import load
from ddcore.data.spec import DataSpec
from ddcore.pools.real_spec import Need
from ddcore.sets.distilled import DistilledSet
from tests.analysis.conftest import computed
from tests.pages.fakes import decoded, done, spec


def test_confusion_counts_by_hand():
    called = np.array([[[0, 1, 1], [2, 1, 0]]])  # one architecture, two networks, three images
    matrix = confusion(called, np.array([0, 1, 1]), 3)
    assert matrix.tolist() == [[[1, 0, 1], [1, 3, 0], [0, 0, 0]]]
    assert matrix.sum() == called.size


def test_a_set_of_training_images_scores_like_training(store):
    """Both as a set and as the sanity bar: near the networks' accuracy on training images."""
    decoded(store)
    data = load(store, DataSpec())
    rows = np.concatenate([np.flatnonzero(data.train_labels == c)[:10] for c in range(10)])
    task = done(
        store,
        spec(ipc=10),
        images=data.preprocess(data.train_images[rows]),
        labels=data.train_labels[rows],
        preprocess=data.preprocessing,
    )
    wanted = RecognitionTask(run_keys=(task.key,), networks=("convnet-8",), nets=3, epochs=8)
    result = computed(store, wanted).result()
    trained = np.mean(result["train"])
    assert trained > 0.95
    for key in (task.key, REAL):
        assert np.mean(result["recognised"][key]) == pytest.approx(trained, abs=0.05)
    assert np.mean(result["test"]) < trained + 0.01


def test_recognised_shares_are_those_of_the_predictions(finished):
    task = finished("recognition")
    arrays, result = task.arrays(), task.result()
    for key in (*task.spec().run_keys, REAL):
        called, labels = arrays[f"called.{key}"], arrays[f"labels.{key}"]
        np.testing.assert_allclose((called == labels).mean(-1), result["recognised"][key])
        diagonal = np.trace(arrays[f"confusion.{key}"], axis1=1, axis2=2)
        np.testing.assert_array_equal(diagonal, (called == labels).sum((1, 2)))


def test_soft_labels_count_by_the_largest(store):
    run = done(store)
    made = DistilledSet.from_task(run)
    soft = np.eye(10, dtype=np.float32)[made.labels] * 0.6 + 0.04
    other = done(store, spec(seed=7), labels=soft)
    wanted = RecognitionTask(run_keys=(run.key, other.key), networks=("mlp-8",), nets=1, epochs=1)
    result = computed(store, wanted).result()
    assert result["soft"] == [other.key]
    assert result["recognised"][run.key] == result["recognised"][other.key]


def test_pictures_are_the_images_taken_for_something_else(finished):
    task = finished("recognition")
    arrays, result = task.arrays(), ANALYSIS.result(task)
    groups = pictures(result, arrays)
    assert groups  # the fake images are noise
    key = result.runs[0].key
    called, labels = arrays[f"called.{key}"], arrays[f"labels.{key}"]
    wrong = (called.reshape(-1, len(labels)) != labels).sum(0)
    assert (
        groups[0].labels[0].startswith(f"{wrong.max()}/{len(called.reshape(-1, len(labels)))} as ")
    )


def test_the_real_sample_is_balanced_and_fixed(store):
    decoded(store)
    data = load(store, DataSpec())
    run = done(store)
    chosen = choose(store, [run.key])
    sets = {run.key: DistilledSet.from_task(run)}
    given = Opened(chosen, sets, data, {}, Need(1), 0.0, 0.0)
    rows = same_size(given, 0)
    assert data.train_labels[rows].tolist() == list(range(10))
    np.testing.assert_array_equal(rows, same_size(given, 0))
    assert same_size(given, 1).tolist() != rows.tolist()
    larger = dataclasses.replace(
        sets[run.key], images=np.zeros((30, 1, 8, 8)), labels=np.arange(30) % 10
    )
    assert len(same_size(dataclasses.replace(given, sets={"x": larger}), 0)) == 30
