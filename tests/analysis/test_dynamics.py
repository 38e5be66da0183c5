"""Dynamics: curves are those of runs stopped early; plateaus by brute force; measures by scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss

from analysis.suite.dynamics import compute
from analysis.suite.dynamics.compute import JudgedImages, _test_rows, facts, measure, plateau
from analysis.suite.dynamics.compute import follow as dynamics_follow
from analysis.suite.dynamics.spec import LEAST_LENGTH, MEASURES, TEST, DynamicsTask
from ddcore.base import rng
from ddcore.base.errors import Cancelled, SpecError
from ddcore.data import load
from ddcore.data.spec import DataSpec
from ddcore.data.tensors import DeviceData
from ddcore.nets import NetSpec
from ddcore.pools.real import train_real
from ddcore.sets.distilled import DistilledSet
from tests.analysis.conftest import computed, two_sets
from tests.pages.fakes import decoded

NET = NetSpec(width=4, depth=2)
SMALL = {"network": "convnet-4", "nets": 2, "iterations": 8, "every": 2, "test_images": 60}


def curves(task):
    return {k: v for k, v in task.arrays().items() if k != "steps"}


def test_measures_are_those_of_scikit_learn():
    draw = torch.Generator().manual_seed(0)
    outputs = 2 * torch.randn(3, 12, 4, generator=draw)
    labels = torch.arange(12) % 4
    judged = JudgedImages(torch.zeros(12, 1, 2, 2), labels, [8, 4])
    found = measure([outputs[:, :5], outputs[:, 5:]], judged)
    assert found.shape == (3, len(MEASURES), 2)
    for i, one in enumerate(outputs.double().softmax(2).numpy()):
        for s, part in enumerate((slice(0, 8), slice(8, 12))):
            probability, y = one[part], labels[part].numpy()
            expected = [
                accuracy_score(y, probability.argmax(1)),
                log_loss(y, probability, labels=range(4)),
                probability[np.arange(len(y)), y].mean(),
            ]
            np.testing.assert_allclose(found[i, :, s], expected, rtol=1e-5)


def test_at_t_equals_a_run_stopped_at_t(store):
    """Section m.4, of every measure and every set."""
    keys = tuple(two_sets(store))
    whole = computed(store, DynamicsTask(run_keys=keys, **SMALL))
    steps = whole.arrays()["steps"]
    assert steps.tolist() == [0, 2, 4, 6, 8]
    for place, t in enumerate(steps):
        if t in (2, 6):
            stopped = computed(
                store, DynamicsTask(run_keys=keys, **{**SMALL, "iterations": int(t)})
            )
            for name, values in curves(stopped).items():
                np.testing.assert_array_equal(values[:, -1], curves(whole)[name][:, place])


def test_same_weights_same_numbers(store):
    """Section m.4: the weights that training ends with, judged the way recognition and evaluations do."""
    keys = tuple(two_sets(store))
    task = computed(store, DynamicsTask(run_keys=keys, **{**SMALL, "test_images": 0}))
    data = DeviceData(load(store, DataSpec()))
    for i in range(2):
        seed = rng.derive(0, "dynamics", i)
        nets = train_real(NET, data.train, 10, [seed], iterations=8, batch=64, lr=0.01)
        for key in keys:
            made = DistilledSet.from_task(store.find(key))
            hits = nets.predict(made.images)[0].numpy() == made.hard_labels
            assert curves(task)[f"accuracy.{key}"][i, -1] == pytest.approx(hits.mean())
        assert curves(task)[f"accuracy.{TEST}"][i, -1] == pytest.approx(nets.accuracy(data.test)[0])
        assert curves(task)[f"loss.{TEST}"][i, -1] == pytest.approx(nets.losses(data.test)[0], 1e-5)


def test_at_once_equals_one_by_one(store):
    decoded(store)
    keys = tuple(two_sets(store))
    data = DeviceData(load(store, DataSpec()))
    spec = DynamicsTask(run_keys=keys, **SMALL)
    made = DistilledSet.from_task(store.find(keys[0]))
    images, labels = torch.from_numpy(made.images), torch.from_numpy(made.labels)
    judged = JudgedImages(images, labels, [len(images)])
    seeds = [4, 1, 7]
    together = dynamics_follow(NET, data.train, 10, seeds, judged, spec)
    assert together.shape == (3, 5, len(MEASURES), 1)
    for i, seed in enumerate(seeds):
        alone = dynamics_follow(NET, data.train, 10, [seed], judged, spec)
        np.testing.assert_allclose(alone[0], together[i], rtol=1e-5, atol=1e-5)


def test_a_set_is_judged_alike_in_any_company(store):
    """Which runs are compared changes no curve, and neither does the number of networks."""
    keys = tuple(two_sets(store))
    both = curves(computed(store, DynamicsTask(run_keys=keys, **SMALL)))
    one = curves(computed(store, DynamicsTask(run_keys=keys[1:], **{**SMALL, "nets": 1})))
    for name, values in one.items():
        np.testing.assert_allclose(values, both[name][:1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("tolerance", [0.0, 0.01, 0.1])
def test_plateau_by_brute_force(tolerance):
    draw = np.random.default_rng(0)
    steps = np.arange(0, 300, 5)
    seen = set()
    for height in (0.0, 0.05, 0.5):
        for pace in (10, 60, 300):
            rise = np.minimum(steps / pace, 1)
            curve = rise + height * draw.random(len(steps))
            expected = None
            for t in range(len(steps)):
                rises = any(c > max(curve[: t + 1]) + tolerance + 1e-9 for c in curve[t + 1 :])
                if not rises:
                    expected = int(steps[t])
                    break
            if steps[-1] - expected < LEAST_LENGTH * steps[-1]:
                expected = None
            assert plateau(steps, curve, tolerance) == expected
            seen.add(expected is None)
    assert seen == {True, False}


def test_plateau_of_simple_curves():
    steps = np.arange(10)
    assert plateau(steps, np.minimum(steps, 4) / 4, 0.01) == 4
    assert plateau(steps, np.minimum(steps, 4) / 4, 0.25) == 3
    assert plateau(steps, steps / 9, 0.01) is None  # rises to the end
    assert plateau(steps, np.full(10, 0.3), 0.01) == 0
    dip = np.array([0, 1, 0.2, 1, 0.5, 1, 1, 1, 1, 1.0])
    assert plateau(steps, dip, 0.01) == 1  # coming back is not rising


def test_facts_tell_a_ceiling_from_a_plateau():
    steps = np.arange(0, 200, 10)
    easy = np.stack([np.minimum(steps / 40, 1), np.minimum(steps / 80, 1)])
    hard = np.minimum(easy, 0.6)
    arrays = {f"accuracy.{k}": v for k, v in (("easy", easy), ("hard", hard), (TEST, 0.9 * easy))}
    arrays |= {f"loss.{k}": 1 - arrays[f"accuracy.{k}"] for k in ("easy", "hard", TEST)}
    easy, hard = (facts(steps, arrays, k, 100) for k in ("easy", "hard"))
    assert (easy.plateau, easy.ceiling, easy.full) == (80, True, 80)
    assert (hard.plateau, hard.ceiling, hard.full) == (50, False, None)
    assert hard.test_gain == pytest.approx(0.9 * (1 - (1 + 0.625) / 2))
    assert easy.test_gain == pytest.approx(0)
    assert easy.tolerance == 0.01
    assert facts(steps, arrays, "easy", 10).tolerance == 0.1
    assert easy.moment == 100
    assert easy.lowest_loss_at == 80


def test_a_stopped_task_goes_on_where_it_was(store, monkeypatch):
    wanted = DynamicsTask(run_keys=tuple(two_sets(store)), **{**SMALL, "nets": 3})
    monkeypatch.setattr("ddcore.training.chunks.CPU_IMAGES_AT_ONCE", 64)  # one network at a time
    whole = curves(computed(store, wanted))
    store.delete(store.task(wanted))
    monkeypatch.setattr("ddcore.tasks.worker.CHECKPOINT_EVERY_S", 0.0)
    real, calls = dynamics_follow, []

    def follow(*args, **kwargs):
        if len(calls) == 2:
            raise Cancelled("enough")
        calls.append(args[3])
        return real(*args, **kwargs)

    monkeypatch.setattr(compute, "follow", follow)
    with pytest.raises(Cancelled):
        computed(store, wanted)
    calls.clear()
    again = curves(computed(store, wanted))
    assert len(calls) == 1
    for name, values in whole.items():
        np.testing.assert_array_equal(values, again[name])


def test_test_images_are_a_fixed_part(finished):
    rows = _test_rows(500, 60, 0)
    assert len(set(rows.tolist())) == 60
    np.testing.assert_array_equal(rows, _test_rows(500, 60, 0))
    assert _test_rows(500, 0, 0).tolist() == list(range(500))
    task = finished("dynamics")
    assert task.result()["sets"][TEST]["images"] == task.spec().test_images


def test_refuses_by_field():
    for field, value in (("network", "x"), ("every", 301), ("batch", 0), ("nets", 0), ("lr", 0)):
        with pytest.raises(SpecError) as error:
            DynamicsTask(run_keys=("0" * 16,), **{field: value})
        assert error.value.field == field
