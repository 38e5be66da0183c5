"""Mixing: nested subsets, sizes, weights of the loss, and an extreme case (section m.2)."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

import ddcore.training.train as training
from analysis.suite.mixing.compute import MixingSource, halved, mixture, proper_targets, real_rows
from analysis.suite.mixing.figures import sentence
from analysis.suite.mixing.result import MixingFound
from analysis.suite.mixing.spec import MixingTask, _iterations
from ddcore.base.errors import Cancelled, SpecError
from ddcore.data import load
from ddcore.data.spec import DataSpec
from ddcore.sets.distilled import DistilledSet
from ddcore.tasks import worker
from ddcore.training.losses import cross_entropy
from tests.analysis.conftest import computed
from tests.analysis.made import made_up
from tests.pages.fakes import decoded, done, spec

SMALL = {"network": "convnet-4", "nets": 2, "iterations": 10}


@pytest.fixture
def digits(store):
    """The digits."""
    decoded(store)
    return load(store, DataSpec())


def task(**fields):
    """A task about no run in particular."""
    return MixingTask(run_keys=("0" * 16,), **{**SMALL, **fields})


def real_set(store, digits, per_class: int, **changes):
    """A "distilled" set that is real training images."""
    labels = digits.train_labels
    rows = np.concatenate([np.flatnonzero(labels == c)[:per_class] for c in range(10)])
    return done(
        store,
        spec(ipc=per_class, **changes),
        images=digits.preprocess(digits.train_images[rows]),
        labels=labels[rows],
        preprocess=digits.preprocessing,
    )


def test_real_images_are_nested_balanced_and_no_part_of_the_random_set(digits):
    few = real_rows(digits, task(added=(0, 1, 3)), 4)
    many = real_rows(digits, task(added=(0, 1, 3, 9)), 2)
    assert few["added"].shape == (2, 10, 3)
    assert few["instead"].shape == (2, 10, 4)
    np.testing.assert_array_equal(many["added"][:, :, :3], few["added"])
    np.testing.assert_array_equal(few["instead"][:, :, :2], many["instead"])
    for rows in (*few.values(), *many.values()):
        assert (digits.train_labels[rows] == np.arange(10)[:, None]).all()
    for net in range(2):
        both = np.concatenate([few["added"][net].ravel(), few["instead"][net].ravel()])
        assert len(set(both.tolist())) == 10 * (3 + 4)
    assert (few["added"][0] != few["added"][1]).any()


def test_sizes_are_exact_and_targets_belong_to_the_images(digits):
    rows = real_rows(digits, task(added=(0, 3)), 2)["added"]
    images = np.zeros((20, 1, 8, 8), np.float32)
    source = MixingSource("x", "dm", "X", 2, images, np.full((20, 10), 0.1, np.float32))
    x, y = mixture(source, digits, rows)
    assert x.shape == (2, 10 * (2 + 3), 1, 8, 8)
    assert y.shape == (50, 10)
    assert not x[:, :20].any()
    assert (y[:20] == np.float32(0.1)).all()
    for net in range(2):
        np.testing.assert_array_equal(
            x[net, 20:], digits.preprocess(digits.train_images[rows[net].ravel()])
        )
        np.testing.assert_array_equal(y[20:].argmax(1), digits.train_labels[rows[net].ravel()])
    alone, same = mixture(source, digits, rows[:, :, :0])
    assert alone is source.images
    assert same is source.targets


def test_halves_weigh_both_parts_alike():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 7, 3, generator=generator)
    targets = torch.randn(7, 3, generator=generator).softmax(1)
    halves = torch.from_numpy(halved(targets.numpy(), 2))
    own, added = (
        cross_entropy(logits[:, :2], targets[:2]),
        cross_entropy(logits[:, 2:], targets[2:]),
    )
    torch.testing.assert_close(cross_entropy(logits, halves), (own + added) / 2)
    np.testing.assert_array_equal(halved(targets.numpy(), 7), targets.numpy())


def test_scaled_steps_see_each_image_as_often():
    scaled = task(steps="scaled", iterations=30)
    assert _iterations(scaled, 10, 10) == 30
    assert _iterations(scaled, 10, 40) == 120
    assert _iterations(task(iterations=30), 10, 40) == 30


def test_random_images_gain_and_a_real_set_scores_like_them(store, digits):
    """A set made of real images is no better and no worse than random ones, and its curve rises."""
    key = real_set(store, digits, 2).key
    wanted = MixingTask(
        run_keys=(key,), added=(0, 2, 20), nets=3, network="convnet-8", iterations=60
    )
    result = computed(store, wanted).result()
    accuracy = np.array(result["accuracy"])
    assert accuracy.shape == (2, 3, 3)
    assert result["sizes"] == [[20, 40, 220]] * 2
    as_set, random = accuracy.mean(2)
    assert random[0] < random[1] < random[2]
    assert as_set[0] < as_set[2]
    assert as_set == pytest.approx(random, abs=0.15)


def test_networks_start_alike_for_every_set(store, digits):
    """The same images as two sets give the same curves, to the last digit; so do one-hot soft labels."""
    one = real_set(store, digits, 1)
    made = DistilledSet.from_task(one)
    soft = np.eye(10, dtype=np.float32)[made.labels]
    other = real_set(store, digits, 1, seed=7)
    third = done(
        store, spec(seed=8), images=made.images, labels=soft, preprocess=digits.preprocessing
    )
    wanted = MixingTask(run_keys=(one.key, other.key, third.key), added=(0, 2), **SMALL)
    result = computed(store, wanted).result()
    first, second, as_soft, _ = result["accuracy"]
    assert first == second == as_soft
    assert result["soft"] == [third.key]


def test_labels_that_are_no_distributions_count_by_the_largest(store):
    made = DistilledSet.from_task(done(store))
    raw = dataclasses.replace(made, labels=np.eye(10, dtype=np.float32)[made.labels] - 0.1)
    np.testing.assert_array_equal(proper_targets(raw), np.eye(10)[made.labels])
    soft = np.full((10, 10), 0.1, np.float32)
    np.testing.assert_array_equal(proper_targets(dataclasses.replace(made, labels=soft)), soft)


def test_a_random_set_for_every_size(store):
    keys = (
        done(store).key,
        done(store, spec(ipc=2), images=np.zeros((20, 1, 8, 8)), labels=np.arange(20) % 10).key,
    )
    result = computed(store, MixingTask(run_keys=keys, added=(0, 1), **SMALL)).result()
    assert [s["key"] for s in result["sources"]][2:] == ["random.1", "random.2"]
    assert sorted(map(tuple, result["sizes"])) == [(10, 20), (10, 20), (20, 30), (20, 30)]


def test_a_stopped_task_goes_on_where_it_was(store, monkeypatch):
    key = done(store).key
    wanted = MixingTask(run_keys=(key,), added=(0, 1, 2), **SMALL)
    whole = computed(store, wanted).arrays()["accuracy"]
    store.delete(store.task(wanted))
    monkeypatch.setattr(worker, "CHECKPOINT_EVERY_S", 0)
    calls = []
    stopped, train = store.create(wanted), training.train

    def twice(*args, **kwargs):
        calls.append(1)
        if len(calls) == 3:
            raise Cancelled("Stopped.")
        return train(*args, **kwargs)

    monkeypatch.setattr(training, "train", twice)
    with pytest.raises(Cancelled):
        worker.run_task(store, stopped, wanted, "cpu")
    assert len(calls) == 3
    again = computed(store, wanted).arrays()["accuracy"]
    assert len(calls) == 3 + 6 - 2  # two of the six mixtures were kept
    np.testing.assert_array_equal(again, whole)


def test_sentence_names_what_the_first_images_bring():
    sources = [
        {"key": "a", "method": "dm", "label": "DM", "ipc": 2},
        {"key": "random.2", "method": "", "label": "Random real images", "ipc": 2},
    ]
    accuracy = [[[0.8, 0.8], [0.79, 0.79], [0.9, 0.9]], [[0.6, 0.7], [0.7, 0.8], [0.9, 0.9]]]
    result = {"sources": sources, "accuracy": accuracy, "added": [0, 2, 5]}
    text = sentence(made_up(MixingFound, result))
    assert "The first 2 real images per class change" in text
    assert "DM **−1.0** ± 0.0" in text
    assert "random real images **+10.0** ± 0.0" in text


def test_bad_fields():
    for added in ((0,), (1, 2), (0, 2, 1), (0, 0, 1), (-1, 0)):
        with pytest.raises(SpecError, match="added"):
            task(added=added)
    with pytest.raises(SpecError, match="weighting"):
        task(weighting="x")
    with pytest.raises(SpecError, match="steps"):
        task(steps="x")
    with pytest.raises(SpecError, match="network"):
        task(network="x")


def test_more_real_images_than_there_are(store, digits):
    smallest = int(np.bincount(digits.train_labels).min())
    with pytest.raises(SpecError, match=f"the smallest class has {smallest} images"):
        computed(store, MixingTask(run_keys=(done(store).key,), added=(0, 500), **SMALL))
    assert real_rows(digits, task(added=(0, smallest - 1)), 1)
