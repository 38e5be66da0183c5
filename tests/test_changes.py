"""Sets used otherwise: what changes, what does not, and that the figures are those of the evaluation."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ddcore.data.preprocess import Preprocess
from ddcore.data.spec import DataSpec
from ddcore.distil.settings import make_spec
from ddcore.measure import changes
from ddcore.measure.changes import ChangesTask
from ddcore.measure.spec import AccuracyTask
from ddcore.nets.architectures import NetSpec
from ddcore.sets.distilled import DistilledSet
from ddcore.tasks.store import Store
from ddcore.tasks.worker import Context, run_task
from ddcore.training.protocols import PROTOCOLS

SHAPE = (1, 8, 8)
LRS = np.array([0.4, 0.1, 0.2, 0.3], np.float32)


def made(**fields: object) -> DistilledSet:
    """Two steps of ten images, used in two passes."""
    values = {
        "images": np.random.default_rng(0).normal(size=(20, *SHAPE)).astype(np.float32),
        "labels": np.tile(np.arange(10), 2),
        "class_names": tuple("0123456789"),
        "preprocess": Preprocess(np.array([0.3], np.float32), np.array([0.4], np.float32)),
        "net": NetSpec(width=8, depth=2),
        "protocol": PROTOCOLS["native-2018"],
        "method": "dd2018",
        "run_key": "",
        "data": DataSpec().to_dict(),
        "steps": 2,
        "lrs": LRS,
    }
    return DistilledSet(**{**values, **fields})


def soft() -> np.ndarray:
    """Soft labels that favour the true class a little."""
    return np.tile(np.eye(10, dtype=np.float32) * 0.5 + 0.05, (2, 1))


# --- which changes, and what they are ---------------------------------------------------------------


def test_only_what_a_set_has_can_be_changed():
    everything = (*changes.CHANGES,)
    assert set(changes.changes_of(made(labels=soft()))) == set(everything)
    assert changes.HARD_LABELS not in changes.changes_of(made())
    plain = made(protocol=PROTOCOLS["quick"])
    assert changes.changes_of(plain) == ()
    own = made(protocol=PROTOCOLS["mtt"], lrs=LRS[:2])
    assert changes.changes_of(own) == (changes.AS_MADE, "half", "double")
    once = made(steps=1, lrs=LRS[:1])
    assert changes.SHUFFLED not in changes.changes_of(once)


@pytest.mark.parametrize(
    ("change", "lrs"),
    [
        (changes.AS_MADE, LRS),
        ("mean", np.full(4, 0.25)),
        ("half", LRS / 2),
        ("double", LRS * 2),
    ],
)
def test_step_sizes_change_and_nothing_else(change, lrs):
    other = changes.changed(made(), change)
    np.testing.assert_allclose(other.lrs, lrs, rtol=1e-6)
    np.testing.assert_array_equal(other.images, made().images)
    np.testing.assert_array_equal(other.labels, made().labels)


def test_hard_labels_are_the_most_likely_classes():
    other = changes.changed(made(labels=soft()), changes.HARD_LABELS)
    assert not other.soft
    np.testing.assert_array_equal(other.labels, np.tile(np.arange(10), 2))


def test_uses_keep_their_images_and_step_sizes_in_another_order():
    order = np.array([3, 0, 2, 1])
    first, second = made().images[:10], made().images[10:]
    other = changes.in_order(made(), order)
    assert other.steps == 4
    np.testing.assert_array_equal(other.lrs, LRS[order])
    for use, images in enumerate((second, first, first, second)):  # uses 0 and 2 are of step 0
        np.testing.assert_array_equal(other.images[use * 10 : use * 10 + 10], images)


# --- the task ---------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path) -> Store:
    """An empty store."""
    return Store(tmp_path / "cache", None)


def kept(store: Store, distilled: DistilledSet):
    """A run folder that holds a set."""
    run = make_spec("dd2018", DataSpec(), SHAPE, ipc=2)
    task = store.create(run)
    context = Context(store, task, run, "cpu")
    meta = dataclasses.replace(distilled, run_key=run.key).write(context)
    context.save_result({"set": meta, "shape": list(SHAPE)})
    task.finish()
    return task


def figures(store: Store, distilled: DistilledSet, nets: int = 3) -> dict:
    """Rows of the task by change."""
    task = kept(store, distilled)
    spec = ChangesTask(run_key=task.key, nets=nets)
    found = store.create(spec)
    run_task(store, found, spec, "cpu")
    return {row["change"]: row for row in found.result()["rows"]}


def test_as_made_repeats_the_evaluation_and_the_rest_differs(store):
    rows = figures(store, made())
    assert list(rows) == list(changes.changes_of(made()))
    key = next(store.tasks("distill")).key
    spec = AccuracyTask(
        subject=key, data=DataSpec(), net=made().net, protocol=made().protocol, nets=3
    )
    task = store.create(spec)
    run_task(store, task, spec, "cpu")
    assert rows[changes.AS_MADE]["accuracies"] == task.result()["accuracies"]
    for name in (changes.SHUFFLED, "mean", "half", "double"):
        assert rows[name]["accuracies"] != rows[changes.AS_MADE]["accuracies"]
        assert len(rows[name]["accuracies"]) == 3


def test_a_known_initialisation_gives_one_figure_but_an_order_for_each_network(store):
    from ddcore.base import rng
    from ddcore.nets.network import Network

    network = Network(made().net, SHAPE, 10, 1)
    weights = network.init([rng.generator(0, "known")], "cpu")
    known = made(init_weights={k: w.numpy() for k, w in weights.items()})
    rows = figures(store, known)
    assert rows[changes.AS_MADE]["n"] == rows["mean"]["n"] == 1
    assert rows[changes.SHUFFLED]["n"] == 3
