"""Baselines against brute force, and matching against its formula."""

import itertools

import numpy as np
import pytest
import torch

from ddcore import baselines, rng
from ddcore.data import ensure, resolve
from ddcore.engines.match import class_means, mean_feature_distance
from ddcore.errors import DataError
from ddcore.evaluation import baseline_task, step_major, summary
from ddcore.evaluation_spec import BASELINES, BaselineTask
from ddcore.nets import NetSpec

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
    assert summary([0.5]) == {"mean": 0.5, "std": 0.0, "n": 1}
    assert summary([0.4, 0.6])["std"] == pytest.approx(np.std([0.4, 0.6], ddof=1))
