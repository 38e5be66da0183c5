"""Changes are single, equal in steps, and each is what training alone gives."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

import ddcore.training.train as training
from analysis.runs import Chosen, Run, choose
from analysis.shared.set_ups import FACTORS, levels
from analysis.shared.sources import RANDOM
from analysis.shared.stand_ins import nested_rows, real_images
from analysis.suite.sensitivity import ANALYSIS
from analysis.suite.sensitivity.figures import against_random, changes, worse
from analysis.suite.sensitivity.result import SensitivityFound
from analysis.suite.sensitivity.spec import SensitivityTask
from ddcore.base import rng
from ddcore.base.errors import Cancelled, SpecError
from ddcore.data import load
from ddcore.data.spec import DataSpec
from ddcore.data.tensors import DeviceData
from ddcore.sets.distilled import DistilledSet
from ddcore.tasks import worker
from ddcore.training.protocols import PROTOCOLS
from ddcore.training.train import train
from tests.analysis.conftest import computed, two_sets
from tests.analysis.made import made_up

SMALL = ANALYSIS.smallest


def chosen(data: str = "digits", shape=(1, 8, 8), ipc: int = 2) -> Chosen:
    """One run on some data."""
    run = Run("0" * 16, "dm", "Distribution matching", ipc, 10 * ipc)
    source = "bundled" if data == "digits" else "torchvision"
    return Chosen((run,), DataSpec(name=data, source=source), tuple("0123456789"), shape)


def spec(**changes: object) -> SensitivityTask:
    """All changes unless said otherwise."""
    return SensitivityTask(run_keys=("0" * 16,), **{"grid": "all", **changes})


def differing(a: object, b: object) -> set[str]:
    """Fields in which two specs differ."""
    return {f.name for f in dataclasses.fields(a) if getattr(a, f.name) != getattr(b, f.name)}


@pytest.mark.parametrize(("data", "shape"), [("digits", (1, 8, 8)), ("cifar10", (3, 32, 32))])
def test_every_level_changes_one_factor(data, shape):
    first, *rest = levels(spec(), chosen(data, shape))
    assert first.protocol == PROTOCOLS["t300"]
    assert {level.factor for level in rest} == set(FACTORS)
    assert len({(v.factor, v.name) for v in rest}) == len(rest)
    for level in rest:
        protocol, net = differing(level.protocol, first.protocol), differing(level.net, first.net)
        parts = {"parts"} if level.parts != 1 else set()
        changed = protocol | net | parts
        if level.factor == "optimiser":
            assert changed in ({"momentum"}, {"optimiser", "lr"})  # Adam has step sizes of its own
        elif level.factor == "architecture":
            assert changed
            assert not protocol
        else:
            assert len(changed) == 1, level
    few = levels(spec(grid="few"), chosen(data, shape))
    assert {v.factor for v in few[1:]} == set(FACTORS)
    assert set(few) < {first, *rest}


def test_the_paper_has_no_mirrored_digits():
    def augmentations(data: str, shape: tuple[int, int, int]) -> set[str]:
        every = levels(spec(factors=("augmentation",)), chosen(data, shape))
        return {part for v in every for part in v.protocol.augment.split("_")}

    assert "flip" not in augmentations("digits", (1, 8, 8))
    assert "flip" not in augmentations("mnist", (1, 28, 28))
    assert "flip" in augmentations("cifar10", (3, 32, 32))


@pytest.mark.parametrize("images", [10, 20, 50, 100])
def test_batches_take_as_many_steps(images):
    for level in levels(spec(factors=("batch",)), chosen())[1:]:
        recipe = level.recipe(images)
        per_epoch = -(-images // recipe.batch)
        assert per_epoch > 1
        assert 300 <= per_epoch * recipe.epochs < 300 + per_epoch


def test_accuracies_are_those_of_training_alone(store):
    keys = tuple(two_sets(store))
    wanted = SensitivityTask(run_keys=keys, **SMALL)
    task = computed(store, wanted)
    result = task.result()
    data = DeviceData(load(store, DataSpec()))
    made = DistilledSet.from_task(store.find(result["runs"][1]["key"]))
    seeds = [rng.derive(0, "sensitivity", i) for i in range(2)]
    every = levels(wanted, choose(store, keys))
    assert [v["name"] for v in result["levels"]] == [v.name for v in every]
    for place, level in enumerate(every):
        images, labels = torch.from_numpy(made.images), torch.from_numpy(made.labels)
        nets = train(level.net, images, labels, 10, level.recipe(20), seeds)
        assert result["accuracy"][1][place] == nets.accuracy(data.test)
    assert result["sources"][-1]["label"] == "Random real images"


def test_random_real_images_are_balanced_and_differ_by_network(store):
    from ddcore.data import ensure
    from ddcore.tasks.testing import SleepyTask

    sleepy = SleepyTask()
    context = worker.Context(store, store.create(sleepy), sleepy, "cpu")
    data = DeviceData(ensure(context, DataSpec()))
    images = real_images(RANDOM, data, 3, 4, spec().seed, nested_rows)
    assert images.shape == (4, 30, 1, 8, 8)
    assert len({x.tobytes() for x in images}) == 4
    rows, more = (nested_rows(data, k, 4, spec().seed) for k in (3, 5))
    labels = data.dataset.train_labels
    assert (labels[rows] == np.arange(10).repeat(3)).all()
    assert all(set(few) < set(many) for few, many in zip(rows, more))
    with pytest.raises(SpecError, match="at most"):
        real_images(RANDOM, data, 1000, 1, spec().seed, nested_rows)


def test_a_stopped_task_goes_on_and_ends_the_same(store, monkeypatch):
    wanted = SensitivityTask(run_keys=tuple(two_sets(store)), **SMALL)
    monkeypatch.setattr(worker, "CHECKPOINT_EVERY_S", 0)
    task = store.create(wanted)
    calls, original = [], training.train

    def stopping(*arguments, **named):
        calls.append(1)
        if len(calls) == 5:
            raise Cancelled("x")
        return original(*arguments, **named)

    monkeypatch.setattr(training, "train", stopping)
    with pytest.raises(Cancelled):
        worker.run_task(store, task, wanted, "cpu")
    worker.run_task(store, task, wanted, "cpu")
    result = task.result()
    assert len(calls) == 1 + len(result["sources"]) * len(result["levels"])
    other = type(store)(store.root / "other", gallery=None)
    two_sets(other)
    assert computed(other, wanted).result()["accuracy"] == result["accuracy"]


def test_changes_are_paired_and_held_against_real_images():
    sources = [
        {"key": "a", "method": "dm", "label": "A", "ipc": 1},
        {"key": "b", "method": "dm", "label": "B", "ipc": 2},
        {"key": "random.1", "method": "", "label": "R1", "ipc": 1},
        {"key": "random.2", "method": "", "label": "R2", "ipc": 2},
    ]
    accuracy = [
        [[0.9, 0.8], [0.8, 0.6]],
        [[0.9, 0.9], [0.9, 0.8]],
        [[0.5, 0.5], [0.4, 0.5]],
        [[0.6, 0.6], [0.7, 0.7]],
    ]
    result = made_up(SensitivityFound, {"sources": sources, "accuracy": accuracy})
    assert np.allclose(changes(result)["a"][1], [-10, -20])
    beyond = {key: v[1].mean() for key, v in against_random(result).items()}
    assert beyond == pytest.approx({"a": -15 + 5, "b": -5 - 10, "random.1": 0, "random.2": 0})


def test_only_what_exceeds_chance_counts_as_worse():
    """Paired with random real images in the network of the same number."""
    random = [[0.80, 0.80, 0.80], [0.70, 0.71, 0.69], [0.80, 0.80, 0.80]]
    made = [[0.90, 0.90, 0.90], [0.701, 0.71, 0.689], [0.92, 0.85, 0.91]]
    sources = [{"key": k, "method": m, "ipc": 1} for k, m in (("a", "dm"), ("random.1", ""))]
    result = made_up(SensitivityFound, {"accuracy": [made, random], "sources": sources})
    assert {key: v.tolist() for key, v in worse(result).items()} == {"a": [False, True, False]}
    assert np.allclose(against_random(result)["a"].mean(1), [0, -10, -20 / 30], atol=1e-9)
