"""Three regimes of labels: what is trained is what training alone gives, and parts add up."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.runs import Chosen, Run, choose
from analysis.suite.labels import ANALYSIS
from analysis.suite.labels.figures import figures, headline, sentence, shown, table
from analysis.suite.labels.maths import edited, gains, parts, softened, spreads
from analysis.suite.labels.result import LabelsFound
from analysis.suite.labels.spec import EDITS, ONLINE, ORDER, SOFT, LabelsTask, changes, cost, pools
from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.data import load
from ddcore.data.spec import DataSpec
from ddcore.data.tensors import DeviceData
from ddcore.nets.words import network
from ddcore.pools.networks import load as load_nets
from ddcore.pools.real_spec import Counts
from ddcore.sets.distilled import DistilledSet
from ddcore.training.teacher import Teacher
from ddcore.training.train import train
from tests.analysis.made import made_up

few = settings(max_examples=40, deadline=None, derandomize=True)


@pytest.fixture(scope="module")
def alone(finished, analysed):
    """The smallest result, and its parts computed again without the analysis."""
    task = finished("labels")
    spec, result = task.spec_as(LabelsTask), ANALYSIS.result(task)
    data = DeviceData(load(analysed, DataSpec()), "cpu")
    key = spec.run_keys[0]
    made = DistilledSet.from_task(analysed.find(key))
    images, classes = torch.from_numpy(made.images), torch.from_numpy(made.hard_labels)
    nets = load_nets(analysed.task(pools(spec, choose(analysed, spec.run_keys))["teacher"]))
    net = network("network", spec.network, data.shape, 10)
    seeds = [rng.derive(spec.seed, "labels", i) for i in range(spec.nets)]

    def accuracy(labels: torch.Tensor, kind: str, temperature: float | None = None, **more):
        recipe = spec.recipe(kind, temperature)
        return train(net, images, labels, 10, recipe, seeds, **more).accuracy(data.test)

    return result, task, key, classes, Teacher(nets, spec.temperature), accuracy, images


def test_a_regime_is_training_with_these_labels(alone):
    result, _, key, classes, teacher, accuracy, images = alone
    found = result.found.accuracies[key]
    assert accuracy(classes, "hard") == pytest.approx(found[0], abs=0.003)
    assert accuracy(teacher.labels(images), "soft") == pytest.approx(found[1], abs=0.003)
    taught = accuracy(classes, "online", teach=teacher.teach)
    assert taught == pytest.approx(found[2], abs=0.003)
    place = result.found.close.index(key)
    at = result.found.temperatures.index(20.0)
    hot = accuracy(Teacher(teacher.nets, 20.0).labels(images), "soft", 20.0)
    assert hot == pytest.approx(result.found.by_temperature[place][at], abs=0.003)
    kept = edited(teacher.labels(images).numpy(), "top1").astype(np.float32)
    by_edit = dict(zip(result.found.edits, result.found.by_edit[place]))
    assert accuracy(torch.from_numpy(kept), "soft") == pytest.approx(by_edit["top1"], abs=0.003)
    assert by_edit["as_is"] == found[1].tolist()


def test_what_is_looked_at_is_what_the_teacher_says(alone):
    result, task, key, classes, teacher, _, images = alone
    stored = task.arrays()[f"logits.{key}"]
    assert stored.shape[:2] == (5, 10) and set(result.found.close) == {
        name.removeprefix("logits.") for name in task.arrays()
    }
    rows = (classes == 3).nonzero().flatten()
    own = teacher.labels(images)[rows].numpy()
    np.testing.assert_allclose(softened(stored, teacher.temperature)[3], own, rtol=1e-4, atol=1e-6)


def test_every_size_has_its_random_images(alone):
    result, task, *_ = alone
    by_size = {}
    for source in result.found.sources:
        by_size.setdefault(source.ipc, set()).add(source.selection)
    assert by_size == {1: {"random", "class_mean", "hardest"}, 2: {"", *by_size[1]}}
    rows = [r for r in table(result, task.arrays()) if r["set"] == "random.2"]
    assert {r["gain_over_random"] for r in rows} == {""}
    assert len([r for r in rows if r["edit"] == "as_is"]) == 2 * (3 + 4)
    assert len(rows) == 2 * (3 + 4 + len(EDITS) - 1)


# --- the maths ------------------------------------------------------------------------------------


@few
@given(st.integers(0, 2**32 - 1), st.sampled_from(list(EDITS)))
def test_changed_labels_are_labels(seed, edit):
    labels = np.random.default_rng(seed).dirichlet(np.full(7, 0.3), size=(2, 5))
    before = labels.copy()
    found = edited(labels, edit)
    np.testing.assert_array_equal(labels, before)
    np.testing.assert_allclose(found.sum(-1), 1)
    sorted_, own = np.sort(labels, -1), np.sort(found, -1)
    if edit in ("as_is", "no_images"):
        np.testing.assert_allclose(found, labels)
    elif edit.startswith("swap"):
        np.testing.assert_allclose(own, sorted_)
        at = labels.argsort(-1)[..., -1 if edit == "swap_first" else -2]
        np.testing.assert_allclose(
            np.take_along_axis(found, at[..., None], -1)[..., 0], sorted_[..., 0]
        )
    elif edit == "no_column":
        assert (found[..., -1] == 0).all()
        np.testing.assert_allclose(
            found[..., :-1] * (1 - labels[..., -1:]), labels[..., :-1], atol=1e-12
        )
    else:
        kept = 1 if edit == "top1" else 3
        assert ((found > 0).sum(-1) <= kept).all()
        np.testing.assert_array_equal(found.argmax(-1), labels.argmax(-1))


def test_a_label_that_held_nothing_else_is_shared_by_the_others():
    np.testing.assert_allclose(edited(np.eye(4), "no_column")[3], [1 / 3, 1 / 3, 1 / 3, 0])


def made(accuracy: dict[str, np.ndarray], size: int = 10):
    """A result of these accuracies (regimes, nets): "random.IPC", and a set for any other name."""
    sources = []
    for name in accuracy:
        selection, _, ipc = name.partition(".")
        real = selection == "random"
        sources.append(
            {
                "key": name,
                "method": "" if real else "dm",
                "label": f"Random images, {ipc} per class" if real else name,
                "ipc": int(ipc or size),
                "selection": selection if real else "",
            }
        )
    nets = next(iter(accuracy.values())).shape[1]
    stored = {
        "sources": sources,
        "accuracy": [v.tolist() for v in accuracy.values()],
        "close": list(accuracy),
        "size": size,
        "temperatures": [1.0, 4.0],
        "by_temperature": [[v[1].tolist()] * 2 for v in accuracy.values()],
        "edits": list(EDITS),
        "by_edit": [[v[1].tolist()] * len(EDITS) for v in accuracy.values()],
        "teacher": 0.97,
        "temperature": 4.0,
        "network": "MLP",
        "nets": nets,
    }
    return made_up(LabelsFound, stored)


def test_images_and_labels_share_what_they_give():
    """By hand: images alone give 10 points, labels alone 20, both together 24."""
    random = np.array([[0.5], [0.7], [0.7]])
    own = np.array([[0.6], [0.74], [0.74]])
    result = made({"DM": own, "random.10": random})
    found = parts(result, "DM", SOFT)
    assert (found.total, found.images, found.labels) == pytest.approx((24, 7, 17))
    assert found.share == pytest.approx(7 / 24)
    worse = made({"DM": random - 0.1, "random.10": random})
    assert parts(worse, "DM", ONLINE).share is None
    assert spreads(result, 10) == pytest.approx([10, 4, 4])


@few
@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_sentences_say_what_the_numbers_say(seed, nets):
    draws = np.random.default_rng(seed)
    names = ["DM", "MTT", "random.10"]
    values = {n: draws.uniform(0.4, 0.9, (3, 1)) + draws.normal(0, 0.02, (3, nets)) for n in names}
    result = made(values)
    above = {n: 100 * (values[n] - values["random.10"]) for n in names[:2]}
    for name, points in gains(result).items():
        np.testing.assert_allclose(points, above[name])
    text, short = sentence(result), headline(result)
    assert len(short.split()) <= 20
    for name in names[:2]:
        told = f"{above[name].mean(1)[0]:+.1f}"
        assert f"{name} **{'0.0' if float(told) == 0 else told}**" in text
    if nets == 1:
        assert "(shown)" not in text and not any(v.any() for v in shown(result).values())
        return
    p = np.array(
        [
            [stats.ttest_1samp(row, 0, alternative="greater").pvalue for row in above[n]]
            for n in above
        ]
    )
    expected = stats.false_discovery_control(p.ravel()).reshape(p.shape) <= 0.05
    np.testing.assert_array_equal(np.stack(list(shown(result).values())), expected)
    assert text.count("(shown)") == expected.sum()


def test_one_network_has_no_bars():
    result = made({"DM": np.full((3, 1), 0.6), "random.10": np.full((3, 1), 0.5)})
    drawn = figures(result, {}, {"of": "DM", "temperature": "4", "edit": "as_is"})
    assert all(t.error_y.array is None for t in drawn[0].figure.data)
    assert "standard deviation" not in drawn[0].caption
    assert table(result, {})


# --- the spec -------------------------------------------------------------------------------------


def test_only_labels_and_their_loss_differ_between_regimes():
    spec = LabelsTask(run_keys=("0" * 16,), mixing="cutmix")
    hard, soft, online = (spec.recipe(kind) for kind in ORDER)
    assert soft == online and hard.cutmix == 1 and not hard.mixup
    assert soft.replace(name=hard.name, loss="ce", temperature=1.0) == hard
    assert (soft.loss, soft.temperature) == ("kl", 4.0)
    assert len(list(changes(spec))) == 5 + len(EDITS) - 1
    assert spec.replace(temperature=3.0).temperatures == (1.0, 2.0, 3.0, 4.0, 8.0, 20.0)
    with pytest.raises(SpecError, match="sizes"):
        spec.replace(sizes=(1, 1))


def test_the_cost_counts_what_is_trained():
    run = Run("0" * 16, "dm", "Distribution matching", 10, 100)
    chosen = Chosen((run,), DataSpec(), tuple("0123456789"), (1, 8, 8))
    spec = LabelsTask(run_keys=(run.key,), network="convnet-8")
    counts = Counts(1000, 500)
    less = cost(spec.replace(sizes=(1,)), chosen, counts).macs
    assert cost(spec, chosen, counts).macs > 1.5 * less
    assert cost(spec.replace(sizes=(1, 200)), chosen, counts).macs == pytest.approx(less), (
        "more than there is"
    )
