"""Continual learning: nothing of later classes reaches a step, figures equal their definitions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from analysis.uses.continual import compute as computing
from analysis.uses.continual import maths
from analysis.uses.continual.result import Learned, read
from analysis.uses.continual.spec import ContinualTask
from ddcore.base.errors import Cancelled, SpecError
from ddcore.data import decode
from ddcore.data.dataset import load
from ddcore.data.spec import DataSpec, dataset_task
from ddcore.distil.contract import methods
from ddcore.distil.settings import make_spec
from ddcore.measure.spec import BaselineTask
from ddcore.nets.architectures import NetSpec
from ddcore.recipes import recipe
from ddcore.sets.distilled import DistilledSet
from ddcore.tasks import worker
from ddcore.tasks.store import Store
from ddcore.training.protocols import PROTOCOLS

SCALE = DataSpec(preprocess="scale")
SHORT = PROTOCOLS["quick"].replace(epochs=3)
NET = NetSpec(width=4, depth=1)
SMALL = {"orders": (0, 1), "nets": 2, "net": NET, "protocol": SHORT, "ipc": 2}
MLP = NetSpec(arch="mlp", width=100, depth=1)


def run(store, spec, device="cpu"):
    task = store.create(spec)
    worker.run_task(store, task, spec, device)
    assert task.is_done()
    return task


def tiny(name, **changes):
    """A distillation of seconds, for networks in any order."""
    settings = {"iterations": "2", "validations": "1", "val_nets": "1"} | methods()[name].smallest
    made = make_spec(name, SCALE, (1, 8, 8), ipc=2, settings=list(settings.items()))
    return made.replace(**changes)


def trainable():
    """A run of each method whose sets train networks in any order."""
    usual = {name: make_spec(name, SCALE, (1, 8, 8), ipc=2).protocol for name in methods()}
    return [tiny(n) for n, p in usual.items() if not p.ordered and not p.closed_form]


# --- what a step may know ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_worlds(tmp_path_factory):
    """Two stores whose digits are the same in classes 3 and 7 and have nothing else in common."""
    truth = decode.read

    def other(task, progress):
        raw = truth(task, progress)
        noise = np.random.default_rng(0)
        changed = {}
        for part in ("train", "test"):
            images, labels = (getattr(raw, f"{part}_{what}") for what in ("images", "labels"))
            images = images.copy()
            rows = ~np.isin(labels, (3, 7))
            images[rows] = noise.integers(0, 256, images[rows].shape, dtype=np.uint8)
            changed[f"{part}_images"] = images
        return dataclasses.replace(raw, **changed)

    stores = [Store(tmp_path_factory.mktemp(n) / "cache", gallery=None) for n in ("a", "b")]
    for store, reading in zip(stores, (truth, other)):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(decode, "read", reading)
            run(store, dataset_task(SCALE))
    return stores


def test_the_two_worlds_differ(two_worlds):
    whole = [load(store, SCALE).train_images for store in two_worlds]
    assert (whole[0] != whole[1]).mean() > 0.5


@pytest.mark.parametrize("preprocess", ["scale", "normalise"])
def test_data_of_some_classes_hold_nothing_of_others(two_worlds, preprocess):
    spec = DataSpec(preprocess=preprocess, classes=(7, 3))
    a, b = (load(store, spec) for store in two_worlds)
    assert spec.classes == (3, 7) and a.class_names == ("3", "7") and a.num_classes == 2
    for part in ("train", "val", "test"):
        for what in ("images", "labels"):
            one, other = (getattr(each, f"{part}_{what}") for each in (a, b))
            assert len(one) and np.array_equal(one, other)
    assert np.array_equal(a.mean, b.mean) and np.array_equal(a.std, b.std)
    whole = load(two_worlds[0], SCALE)
    wanted = whole.val_images[np.isin(whole.val_labels, (3, 7))]
    assert np.array_equal(a.val_images, wanted), "parts agree with those of the whole dataset"
    if preprocess == "normalise":
        both = np.concatenate([a.train_images, a.val_images]) / 255
        assert a.mean == pytest.approx(both.mean(), abs=1e-6)
        assert a.std == pytest.approx(both.std(), abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("made", trainable(), ids=lambda s: s.method)
def test_nothing_of_other_classes_reaches_a_distilled_step(two_worlds, made):
    """Images, statistics, experts, teachers, banks and validation images: the sets are equal bit by bit."""
    spec = ContinualTask(source="distilled", distill=made, ipc=2)
    maker = spec.maker((3, 7), 10)
    a, b = (DistilledSet.from_task(run(store, maker)) for store in two_worlds)
    assert len(a.images) >= 4 and np.array_equal(a.images, b.images)
    assert np.array_equal(a.labels, b.labels) and a.metrics == b.metrics
    whole = made.replace(seed=1)  # the same test sees what does leak: all classes at once differ
    if made.method == "dm":
        a, b = (DistilledSet.from_task(run(store, whole)) for store in two_worlds)
        assert not np.array_equal(a.images, b.images)


@pytest.mark.parametrize("source", ["random", "class_mean", "kmeans", "herding", "kcenter"])
def test_nothing_of_other_classes_reaches_a_chosen_step(two_worlds, source):
    maker = ContinualTask(source=source, net=NET, ipc=2).maker((3, 7), 10)
    a, b = (run(store, maker).arrays() for store in two_worlds)
    assert a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


# --- steps are tasks --------------------------------------------------------------------------------


def test_steps_are_shared_between_orders():
    apart = ContinualTask(source="kmeans")
    assert len(list(apart.makers(10))) == 10 and all(
        len(m.data.classes) == 1 for m in apart.makers(10)
    )
    together = ContinualTask(source="herding")
    groups = {g for order in together.groups(10) for g in order}
    assert {m.data.classes for m in together.makers(10)} == groups
    for orders in together.groups(10):
        assert sorted(c for group in orders for c in group) == list(range(10))
    assert together.groups(10)[1] != together.groups(10)[0]
    expected = np.random.RandomState(0).permutation(10)[:2]
    assert together.groups(10)[0][0] == tuple(sorted(expected))


def test_orders_have_memories_of_their_own_where_asked(two_worlds):
    shared = ContinualTask(source="kmeans", **SMALL)
    apart = shared.replace(repeated=True)
    assert len(list(shared.makers(10))) == 10 and len(list(apart.makers(10))) == 20
    assert apart.maker((3,), 10, 0) == shared.maker((3,), 10, 1) != apart.maker((3,), 10, 1)
    made = ContinualTask(source="distilled", distill=tiny("dm", seed=7), repeated=True)
    assert [made.maker((3,), 10, order).seed for order in range(3)] == [7, 8, 9]
    assert not ContinualTask(source="random", repeated=True).repeated
    one, other = (read(run(two_worlds[0], spec)) for spec in (shared, apart))
    assert np.array_equal(one.correct[0], other.correct[0])
    assert (one.correct[1] != other.correct[1]).any() and len(other.makers) == 20


def test_one_step_is_the_ordinary_set():
    made = tiny("dm")
    (maker,) = ContinualTask(source="distilled", distill=made, steps=1, ipc=2).makers(10)
    assert maker == made and maker.key == made.key
    (maker,) = ContinualTask(source="kmeans", steps=1).makers(10)
    assert maker == BaselineTask(name="kmeans", data=SCALE, ipc=5)


def test_a_class_distilled_alone_is_that_of_the_whole_set(two_worlds):
    """Class 0 draws first: matched apart, without augmentation, it is what it is among all ten."""
    made = tiny("dm", validations=0)
    assert methods()["dm"].class_wise(made)
    assert not methods()["dm"].class_wise(made.replace(net=made.net.replace(norm="batch")))
    whole = DistilledSet.from_task(run(two_worlds[0], made)).images
    alone = made.replace(data=SCALE.replace(classes=(0,)))
    only = DistilledSet.from_task(run(two_worlds[0], alone)).images
    assert np.abs(only - whole[:2]).max() < 1e-4


def test_one_computation_has_one_key():
    floor = ContinualTask(strategy="finetune")
    other = ContinualTask(strategy="finetune", source="kmeans", ipc=20, distill=tiny("dm"))
    assert floor == other and floor.key == other.key
    again = ContinualTask.from_dict(
        ContinualTask(source="distilled", distill=tiny("dm"), ipc=3).to_dict()
    )
    assert again.distill.ipc == 3 and again.distill.data == SCALE


def test_all_classes_leave_the_keys_of_data_as_they_were():
    assert "classes" not in DataSpec().to_dict()
    assert DataSpec(classes=(1,)).to_dict()["classes"] == [1]
    assert DataSpec.from_dict(DataSpec(classes=(1, 0)).to_dict()).classes == (0, 1)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"data": DataSpec()}, "data.preprocess = 'normalise' is not allowed: expected scale"),
        ({"data": SCALE.replace(classes=(1, 2))}, "data.classes = (1, 2) is not allowed"),
        ({"steps": 11}, "steps = 11 is not allowed: expected a number from 1 to 10"),
        ({"orders": (1, 1)}, "orders = (1, 1) is not allowed: expected different seeds"),
        ({"source": "distilled"}, "distill = None is not allowed: expected a run"),
        ({"source": "nothing"}, "source = 'nothing' is not allowed: expected one of random"),
        ({"protocol": PROTOCOLS["kernel"]}, "is not allowed: expected a protocol that trains"),
    ],
)
def test_what_is_not_allowed_is_one_sentence(fields, words):
    with pytest.raises(SpecError) as refused:
        ContinualTask(**fields)
    assert words in str(refused.value) and str(refused.value).count(". ") == 0


@pytest.mark.parametrize("classes", [(1, 1), (10,)])
def test_classes_that_are_not_there_are_refused(classes):
    with pytest.raises(SpecError, match="classes"):
        DataSpec(classes=classes)
    with pytest.raises(SpecError, match="preprocess"):
        DataSpec(classes=(1,), preprocess="zca")


def test_sets_for_one_order_are_refused():
    made = make_spec("dd2018", SCALE, (1, 8, 8), ipc=1)
    with pytest.raises(SpecError, match=r"distill\.method = 'dd2018' is not allowed"):
        ContinualTask(source="distilled", distill=made)


# --- learning ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def learned(two_worlds):
    """Every strategy once, small."""
    store = two_worlds[0]
    wanted = {
        "scratch": ContinualTask(source="class_mean", **SMALL),
        "random": ContinualTask(source="random", **SMALL),
        "replay": ContinualTask(source="random", strategy="replay", **SMALL),
        "finetune": ContinualTask(strategy="finetune", **SMALL),
        "joint": ContinualTask(strategy="joint", **SMALL),
        "one": ContinualTask(source="class_mean", steps=1, **SMALL),
        "soft": ContinualTask(source="distilled", distill=tiny("rat-bptt"), **SMALL),
    }
    return {name: read(run(store, spec)) for name, spec in wanted.items()}


def test_counts_add_up(learned, two_worlds):
    tested = np.bincount(load(two_worlds[0], SCALE).test_labels)
    for each in learned.values():
        steps = each.spec.steps
        assert each.correct.shape == (2, 2, steps, steps)
        future = np.triu(np.ones((steps, steps), bool), 1)
        assert (each.correct[..., future] == -1).all() and (each.correct[..., ~future] >= 0).all()
        for order, groups in enumerate(each.groups):
            assert each.counts[order].tolist() == [tested[g].sum() for g in groups]
        assert (each.correct <= each.counts[:, None, None, :]).all()


def test_memory_takes_what_is_stored(learned):
    """8x8 pixels: four bytes a value where images are new, one where they are real, one for a class."""
    step = np.arange(1, 6)
    assert learned["scratch"].memory_bytes.tolist() == 2 * [(step * 4 * (4 * 64 + 1)).tolist()]
    assert learned["random"].memory_bytes.tolist() == 2 * [(step * 4 * (64 + 1)).tolist()]
    assert not learned["joint"].memory_bytes.any()
    assert learned["soft"].memory_bytes[0, 0] == 4 * (4 * 64 + 4 * 2)  # soft labels of a pair
    assert learned["scratch"].pixels.shape == (20, 1, 8, 8) and not len(learned["random"].pixels)
    order = learned["scratch"].groups[0]
    assert list(dict.fromkeys(learned["scratch"].classes.tolist())) == [c for g in order for c in g]


def test_networks_go_on_or_begin_afresh(learned, two_worlds):
    """What fine-tuning does after a step is training on that step's images from where it was."""
    from ddcore.base import rng
    from ddcore.data.tensors import DeviceData
    from ddcore.training.train import train

    spec = learned["finetune"].spec
    data = DeviceData(load(two_worlds[0], SCALE))
    nets = None
    groups = spec.groups(10)[1]
    for step, group in enumerate(groups[:2]):
        rows = torch.cat([data.class_indices[c] for c in group])
        seeds = [rng.derive(0, "continual", spec.orders[1], step, i) for i in range(2)]
        labels = data.train.labels[rows]
        nets = train(NET, data.batch(rows), labels, 10, SHORT, seeds, start=nets)
    seen = sorted(c for group in groups[:2] for c in group)
    rows = np.isin(data.test.labels, groups[0])
    logits = torch.cat(nets.logits_in_batches(data.test), 1)[:, :, seen]
    called = torch.tensor(seen)[logits.argmax(2)][:, rows]
    right = (called == data.test.labels[rows]).sum(1)
    assert learned["finetune"].correct[1, :, 1, 0].tolist() == right.tolist()
    assert (learned["replay"].correct != learned["finetune"].correct).any()


def test_stopping_anywhere_changes_nothing(two_worlds, monkeypatch):
    store = two_worlds[0]
    for strategy in ("replay", "scratch"):
        spec = ContinualTask(source="random", strategy=strategy, seed=3, **SMALL)
        whole = read(run(store, spec)).correct
        store.delete(store.task(spec))
        seen = []
        truth = computing._Course.learn

        def stopping(course, order, step, truth=truth, seen=seen):
            seen.append(course.done)
            if len(seen) in (4, 8):
                raise Cancelled("stopped")
            truth(course, order, step)

        with monkeypatch.context() as patched:
            patched.setattr(computing._Course, "learn", stopping)
            patched.setattr(worker, "CHECKPOINT_EVERY_S", 0.0)
            for _ in range(2):
                with pytest.raises(Cancelled):
                    run(store, spec)
            again = read(run(store, spec)).correct
        assert np.array_equal(again, whole)
        assert seen == [0, 1, 2, 3, 3, 4, 5, 6, 6, 7, 8, 9]


def test_replay_is_balanced_where_asked(two_worlds):
    spec = ContinualTask(source="random", strategy="replay", **SMALL)

    class Here:
        device, store = "cpu", two_worlds[0]

        def __init__(self, spec):
            self.spec = spec

        def need(self, spec):
            return run(self.store, spec)

    from ddcore.data.tensors import DeviceData

    data = DeviceData(load(two_worlds[0], SCALE))
    for balanced in (True, False):
        course = computing._Course(Here(spec.replace(balanced=balanced)), data)
        _, labels = course.lesson(0, 2)
        count = np.bincount(labels, minlength=10)
        old = [c for group in course.groups[0][:2] for c in group]
        new = list(course.groups[0][2])
        if balanced:
            assert count[old].mean() == pytest.approx(count[new].mean(), rel=0.02)
        else:
            assert set(count[old]) == {2}
        assert count[old + new].sum() == len(labels)


def test_the_recipe_is_the_published_setting_and_can_be_rehearsed(store):
    steps = [step.spec for step in recipe("cifar100-continual").steps()]
    assert {(s.steps, s.ipc) for s in steps if s.source != "none"} == {(5, 20), (10, 20)}
    assert len(steps) == 12 and len({s.key for s in steps}) == 12
    assert all(len(s.orders) == 5 and s.nets == 3 for s in steps)
    made = {m.key for s in steps if s.distill for m in s.makers(100)}
    assert len(made) == 100, "a class is distilled once for all orders and both numbers of steps"
    rehearsed = [step.spec for step in recipe("cifar100-continual").steps(rehearsal=True)]
    assert {s.data.name for s in rehearsed} == {"digits"}
    for spec in [s for s in rehearsed if s.steps == 2 and s.source in ("distilled", "herding")]:
        assert read(run(store, spec)).correct.max() > 0
    assert all(step.estimate(store).seconds > 0 for step in recipe("cifar100-continual").steps())


# --- figures ----------------------------------------------------------------------------------------


def test_accuracy_and_matrix_equal_their_definitions(learned):
    for each in learned.values():
        r, a = maths.matrix(each), maths.accuracy(each)
        for order in range(2):
            for net in range(2):
                for t in range(each.spec.steps):
                    right = sum(each.correct[order, net, t, i] for i in range(t + 1))
                    all_ = sum(each.counts[order, i] for i in range(t + 1))
                    assert a[order, net, t] == right / all_
                    one = each.correct[order, net, t, 0] / each.counts[order, 0]
                    assert r[order, net, t, 0] == one


def test_forgetting_and_transfer_equal_their_definitions():
    draws = np.random.default_rng(1)
    for steps in (2, 3, 6):
        r = draws.random((4, 3, steps, steps))
        for t in range(steps):
            r[..., t, t + 1 :] = np.nan
        forgot, transfer = maths.forgetting(r), maths.backward_transfer(r)
        for place in np.ndindex(4, 3):
            own = r[place]
            last = steps - 1
            drops = [max(own[t, i] for t in range(i, last)) - own[last, i] for i in range(last)]
            moved = [own[last, i] - own[i, i] for i in range(last)]
            assert forgot[place] == pytest.approx(np.mean(drops))
            assert transfer[place] == pytest.approx(np.mean(moved))
    assert np.isnan(maths.forgetting(r[..., :1, :1])).all()


def test_differences_and_intervals_equal_scipy(learned):
    from scipy import stats

    one, other = learned["scratch"], learned["random"]
    found = maths.paired(one, other)
    a, b = (maths.accuracy(each)[..., -1].mean(1) for each in (one, other))
    truth = stats.ttest_rel(a, b)
    low, high = truth.confidence_interval(0.95)
    assert (found.difference, found.p) == pytest.approx(((a - b).mean(), truth.pvalue))
    assert (found.low, found.high) == pytest.approx((low, high))
    cost = maths.unseen_cost(one, learned["one"])
    b = maths.accuracy(learned["one"])[..., -1].mean(1)
    truth = stats.ttest_ind(a, b, equal_var=False)
    assert (cost.difference, cost.p) == pytest.approx((a.mean() - b.mean(), truth.pvalue))
    values = np.random.default_rng(0).random((7, 2))
    low, high = stats.t.interval(0.95, 6, values.mean(0), stats.sem(values, axis=0, ddof=1))
    assert maths.half_width(values) == pytest.approx((high - low) / 2)


def test_the_floor_is_below_and_the_ceiling_above(two_worlds):
    """Plain truths that need no figure of others: what is forgotten, and what is not."""
    common = {"orders": (0, 1), "nets": 1, "net": MLP}
    found = {}
    for name, fields in {
        "floor": {"strategy": "finetune"},
        "kmeans": {"source": "kmeans", "ipc": 5},
        "ceiling": {"strategy": "joint"},
    }.items():
        each = read(run(two_worlds[0], ContinualTask(**fields, **common)))
        found[name] = maths.accuracy(each).mean((0, 1))
        if name == "floor":
            assert maths.forgetting(maths.matrix(each)).mean() > 0.9
    assert found["floor"][-1] < 0.25  # the last two classes alone
    assert 0.85 < found["kmeans"][-1] < found["ceiling"][-1] and found["ceiling"][-1] > 0.95


def test_the_table_is_plain(learned):
    import json

    rows = [maths.facts(each) for each in learned.values()]
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    assert isinstance(learned["soft"], Learned) and learned["soft"].distil_seconds > 0
    assert rows[-2]["forgetting"] is None and rows[0]["accuracy"]["n"] == 2
