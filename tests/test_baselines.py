"""Baselines against brute force, and matching against its formula."""

import itertools

import numpy as np
import pytest
import torch

from ddcore.base import rng
from ddcore.base.errors import DataError, SpecError
from ddcore.base.spread import summary
from ddcore.data import ensure, resolve
from ddcore.data.tensors import DeviceData
from ddcore.distil.contract import methods
from ddcore.distil.engines.match import class_means, mean_feature_distance
from ddcore.distil.problem import Problem
from ddcore.distil.settings import make_spec
from ddcore.kernels import machine
from ddcore.kernels.spec import KernelSpec
from ddcore.measure import baselines
from ddcore.measure.evaluate import baseline_task
from ddcore.measure.spec import BASELINES, LABELLED, BaselineTask, default_evaluation
from ddcore.nets import NetSpec
from ddcore.nets.network import Network
from ddcore.pools import bank
from ddcore.training.labels import step_major
from ddcore.training.ordered import train_ordered
from ddcore.training.protocols import PROTOCOLS, whole_protocol
from ddcore.training.train import train

DATA = resolve("digits")
NET = NetSpec(width=4, depth=2)


class Here:
    """Just enough of a context to read a dataset that has been computed."""

    def __init__(self, store):
        self.store = store

    def need(self, spec):
        return self.store.task(spec)


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_has_the_right_size_and_classes(compute, store, name, monkeypatch):
    monkeypatch.setattr(baselines, "CANDIDATES", 4)
    monkeypatch.setattr(
        baselines, "PROTOCOLS", {"quick": baselines.PROTOCOLS["quick"].replace(epochs=2)}
    )
    net = NET if name in ("herding", "kcenter", "optimised_random") else None
    task = compute(
        BaselineTask(name=name, data=DATA, ipc=2, draws=3 if "random" in name else 1, net=net)
    )
    dataset = ensure(Here(store), DATA)
    images, labels = baselines.sets(task, dataset, "cpu")
    draws = 3 if "random" in name else 1
    assert images.shape == (draws, 20, 1, 8, 8)
    assert labels.tolist() == [c for c in range(10) for _ in range(2)]
    stored = task.arrays()
    if "indices" in stored:
        assert (dataset.train_labels[stored["indices"]] == labels.numpy()).all()
        assert all(len(set(row)) == 20 for row in stored["indices"].tolist())
    if name == "random":
        assert len({tuple(r) for r in stored["indices"].tolist()}) == 3


def test_class_mean_is_the_mean(compute, store):
    task = compute(BaselineTask(name="class_mean", data=DATA, ipc=1))
    dataset = ensure(Here(store), DATA)
    images = baselines.sets(task, dataset, "cpu")[0][0].numpy()
    for c in range(10):
        members = dataset.preprocess(dataset.train_images[dataset.train_labels == c])
        np.testing.assert_allclose(images[c], members.mean(0), atol=1e-5)


def test_herding_and_kcenter_against_brute_force(monkeypatch):
    features = torch.randn(12, 3, generator=rng.generator(0))
    members = torch.arange(100, 112)
    monkeypatch.setattr(baselines, "_class_features", lambda *_: [(members, features)])
    spec = BaselineTask(name="herding", data=DATA, ipc=3, net=NET)
    herd = (baselines._herding(spec, None, None)[0] - 100).tolist()
    mean, taken = features.mean(0), []
    for _ in range(3):
        left = [i for i in range(12) if i not in taken]
        taken.append(min(left, key=lambda i: (mean - features[[*taken, i]].mean(0)).norm().item()))
    assert herd == taken
    centres = (baselines._kcenter(spec, None, None)[0] - 100).tolist()
    distance = torch.cdist(features, features)
    for k in (1, 2):
        gaps = distance[:, centres[:k]].min(1).values
        assert centres[k] == int(gaps.argmax())


SOFT = {"labels": "soft", "init": "real", "net.width": "4", "val_nets": "1", "validations": "1"}


@pytest.fixture
def quick_teacher(monkeypatch):
    """One network instead of five, trained for three epochs."""
    monkeypatch.setattr("ddcore.pools.teaching.TEACHERS", 1)
    monkeypatch.setattr(bank, "whole_protocol", lambda n: whole_protocol(n).replace(epochs=3))


def soft_run(method="bptt", **settings):
    """A tiny run with a teacher's labels."""
    small = {**methods()[method].smallest, "iterations": "1", **SOFT, **settings}
    return make_spec(method, DATA, (1, 8, 8), ipc=2, settings=list(small.items()))


def test_random_images_get_the_labels_of_the_same_teacher(compute, store, quick_teacher):
    """Those that the set's own code gives them; the images are the ones with class labels."""
    run = soft_run()
    compute(run)
    tasks = {n: compute(baseline_task(n, run, 3)) for n in ("random", LABELLED)}
    dataset = ensure(Here(store), DATA)
    plain, taught = (baselines.sets(t, dataset, "cpu") for t in tasks.values())
    assert torch.equal(plain[0], taught[0])
    assert taught[1].shape == (10, 20, 10)
    problem = Problem(run, DeviceData(dataset), "cpu", store.task)
    for images, labels in zip(*taught):
        torch.testing.assert_close(labels, problem._teacher_labels(images))
    assert (taught[1].argmax(2) == plain[1]).float().mean() > 0.7  # and far from chance


@pytest.mark.parametrize("protocol", ["quick", "idc-digits", "native-2018", "kernel"])
def test_a_set_with_soft_labels_is_judged_beside_random_images_with_them(
    compute, protocol, quick_teacher
):
    run = soft_run("dd2018", setting="unknown") if protocol == "native-2018" else soft_run()
    compute(run)
    recipe = PROTOCOLS[protocol]
    recipe = recipe.replace(epochs=min(recipe.epochs, 40), batch=min(recipe.batch, 8))
    wanted = default_evaluation(run.key, run, protocol=recipe, nets=2)
    assert wanted.baselines == ("random", "class_mean", LABELLED)
    rows = {r["subject"]: r for r in compute(wanted).result()["rows"]}
    assert rows[LABELLED]["accuracies"] != rows["random"]["accuracies"]
    assert rows[LABELLED]["mean"] > 0.2  # chance is 0.1: images and labels belong together


def test_each_network_learns_from_the_labels_of_its_own_draw():
    """Labels by network, at once and one by one, in minibatches and step by step."""
    images = torch.randn(3, 20, 1, 8, 8, generator=rng.generator(0))
    labels = torch.rand(3, 20, 10, generator=rng.generator(1)).softmax(2)
    recipe = PROTOCOLS["quick"].replace(epochs=3, batch=8, cutmix=0.5)
    together = train(NET, images, labels, 10, recipe, [0, 1, 2], chunk=2)
    for i in range(3):
        alone = train(NET, images[i], labels[i], 10, recipe, [i])
        for name, weight in alone.params.items():
            torch.testing.assert_close(together.params[name][i], weight[0], rtol=1e-3, atol=1e-4)
    network = Network(NET, (1, 8, 8), 10, 3)
    start, lrs = network.init([rng.generator(i) for i in range(3)], "cpu"), torch.tensor([0.1, 0.2])
    ordered = train_ordered(network, start, images, labels, lrs, 2)
    for i in range(3):
        one = {k: w[i : i + 1] for k, w in start.items()}
        alone = train_ordered(network.with_nets(1), one, images[i], labels[i], lrs, 2)
        for name, weight in alone.items():
            torch.testing.assert_close(ordered[name][i], weight[0], rtol=1e-3, atol=1e-4)
    kernel = KernelSpec(ridge=1e-3)
    machines = machine.train(kernel, images, labels, 10, [0, 1, 2]).outputs(images[0])
    for i in range(3):
        alone = machine.train(kernel, images[i], labels[i], 10, [i]).outputs(images[0])
        torch.testing.assert_close(machines[i], alone[0])


def test_hard_labelled_sets_are_judged_as_before():
    run = make_spec("dm", DATA, (1, 8, 8))
    assert default_evaluation(run.key, run).baselines == ("random", "class_mean")
    with pytest.raises(
        SpecError, match="net = None is not allowed: expected a network that labels"
    ):
        BaselineTask(name=LABELLED, data=DATA, ipc=1)


def test_too_few_images_is_one_sentence(compute):
    with pytest.raises(DataError, match="ipc = 500 is more than the"):
        compute(BaselineTask(name="random", data=DATA, ipc=500))


def test_baselines_that_do_not_need_a_network_are_shared_between_networks():
    class Run:
        data, ipc, net = DATA, 1, NET

    other = type("Other", (Run,), {"net": NetSpec(width=8, depth=2)})
    assert baseline_task("random", Run, 5).key == baseline_task("random", other, 5).key
    assert baseline_task("herding", Run, 5).key != baseline_task("herding", other, 5).key


def test_mean_feature_distance_is_the_formula():
    real, syn = torch.randn(2, 12, 5), torch.randn(2, 6, 5)
    expected = 0.0
    for n, c in itertools.product(range(2), range(3)):
        gap = real[n, 4 * c : 4 * c + 4].mean(0) - syn[n, 2 * c : 2 * c + 2].mean(0)
        expected += (gap**2).sum() / 2
    means = [
        class_means(x, torch.arange(3).repeat_interleave(n), 3) for x, n in ((real, 4), (syn, 2))
    ]
    assert torch.isclose(mean_feature_distance(*means), expected)


def test_step_major_gives_each_step_all_classes():
    classes, steps, per = 3, 2, 2
    labels = torch.arange(classes).repeat_interleave(steps * per).float()
    images = labels.view(-1, 1, 1, 1)
    order = step_major(images, classes, steps).flatten().tolist()
    assert order == [0, 0, 1, 1, 2, 2] * 2
    both = step_major(torch.stack([images, images + 10]), classes, steps)
    assert both[1].flatten().tolist() == [10, 10, 11, 11, 12, 12] * 2


def test_summary():
    assert summary([0.5]) == {"mean": 0.5, "std": None, "n": 1}
    assert summary([0.4, 0.6])["std"] == pytest.approx(np.std([0.4, 0.6], ddof=1))
