"""Coresets by score: each score against numpy, each choice against sorting, all by what they are made for."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.data import ensure, resolve
from ddcore.measure import baselines, coresets
from ddcore.measure.regimes import TEACHER_NETS, teacher_pool
from ddcore.measure.spec import CORESETS, BaselineTask
from ddcore.nets import NetSpec
from ddcore.pools.networks import load
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


@pytest.fixture
def short(monkeypatch):
    """Whole trainings of four epochs; the early ones are of one."""

    def four(n):
        return whole_protocol(n).replace(epochs=4)

    monkeypatch.setattr(coresets, "whole_protocol", four)
    monkeypatch.setattr("ddcore.pools.real_spec.whole_protocol", four)


def outputs():
    """Outputs (3, 40, 5) as (torch, numpy float64), and labels."""
    logits = 6 * torch.randn(3, 40, 5, generator=rng.generator(0))
    labels = torch.arange(40) % 5
    return logits, logits.double().numpy(), labels


def test_cross_entropies_are_those_of_scipy():
    logits, z, labels = outputs()
    expected = -log_softmax(z, axis=2)[:, np.arange(40), labels.numpy()].mean(0)
    np.testing.assert_allclose(coresets.cross_entropies(logits, labels), expected, rtol=1e-10)


def test_sure_images_are_still_told_apart():
    """In float32 probabilities both would be one and both scores zero."""
    logits = torch.tensor([[[40.0, 0.0], [50.0, 0.0]]])
    scores = coresets.cross_entropies(logits, torch.tensor([0, 0]))
    assert 0 < scores[1] < scores[0]


def test_error_norms_are_their_formula():
    logits, z, labels = outputs()
    gap = softmax(z, axis=2) - np.eye(5)[labels.numpy()]
    expected = np.sqrt((gap**2).sum(2)).mean(0)
    np.testing.assert_allclose(coresets.error_norms(logits, labels), expected, rtol=1e-10)


def test_forgetting_is_counted_one_look_after_the_other():
    correct = torch.rand(9, 4, 30, generator=rng.generator(1)) < 0.5
    correct[:, 2, 7] = False  # never learned by one network
    correct[:, :, 8] = True  # and never forgotten by any
    expected = np.zeros(30)
    for b in range(30):
        for n in range(4):
            looks = correct[:, n, b].tolist()
            lost = sum(before and not after for before, after in itertools.pairwise(looks))
            expected[b] += (9 if not any(looks) else lost) / 4
    np.testing.assert_allclose(coresets.forgetting(correct).numpy(), expected)
    assert expected[8] == 0


@pytest.mark.parametrize("name", CORESETS)
def test_what_is_kept_of_a_class(name):
    scores = torch.rand(50, generator=rng.generator(2))
    members = torch.arange(10, 31)
    kept = coresets.chosen(scores, members, 3, name, rng.generator(0)).tolist()
    by_score = sorted(members.tolist(), key=lambda i: scores[i].item())
    wanted = {"easiest": by_score[:3], "medium": by_score[9:12]}.get(name, by_score[-3:])
    assert kept == wanted


def test_ties_are_broken_by_chance_and_the_same_each_time():
    scores, members = torch.zeros(50), torch.arange(50)

    def kept(seed):
        return coresets.chosen(scores, members, 5, "forgetting", rng.generator(seed)).tolist()

    assert kept(0) == kept(0) != kept(1)
    assert kept(0) != list(range(45, 50))


def test_every_coreset_is_what_its_score_says(compute, store, short):
    """The stored rows against scores computed here, from the pools or from a training of its own."""
    tasks = {n: compute(BaselineTask(name=n, data=DATA, ipc=2, net=NET)) for n in CORESETS}
    data = coresets.DeviceData(ensure(Here(store), DATA))
    labels = data.train.labels
    stored = {n: t.arrays()["indices"] for n, t in tasks.items()}
    for rows in stored.values():
        assert rows.shape == (1, 20) and len(set(rows[0].tolist())) == 20
        assert labels[rows[0]].tolist() == [c for c in range(10) for _ in range(2)]
    assert baselines.sets(tasks["easiest"], data.dataset, "cpu")[0].shape == (1, 20, 1, 8, 8)

    everything = data.batch(torch.arange(len(data.train)))
    nets = load(store.task(teacher_pool(DATA, NET)))
    with torch.no_grad():
        said = nets.network.logits(nets.params, everything, nets.stats, training=False)
    loss = -said.double().log_softmax(2)[:, torch.arange(len(labels)), labels].mean(0)
    for c in range(10):
        own, place = loss[labels == c].sort().values, slice(2 * c, 2 * c + 2)
        found = {n: loss[stored[n][0][place]] for n in ("easiest", "medium", "hardest")}
        middle = (len(own) - 2) // 2
        assert torch.allclose(found["easiest"], own[:2], rtol=1e-3, atol=1e-6)
        assert torch.allclose(found["medium"], own[middle : middle + 2], rtol=1e-3, atol=1e-6)
        assert torch.allclose(found["hardest"], own[-2:], rtol=1e-3, atol=1e-6)

    early = load(store.task(teacher_pool(DATA, NET, 1)))
    with torch.no_grad():
        said = early.network.logits(early.params, everything, early.stats, training=False)
    norms = (said.softmax(2) - torch.eye(10)[labels]).norm(dim=2).mean(0)
    for c in range(10):
        own = norms[labels == c].sort().values[-2:]
        assert torch.allclose(norms[stored["el2n"][0][2 * c : 2 * c + 2]], own, atol=1e-5)
    counts = _forgotten_one_by_one(data, everything)
    for c in range(10):
        own = sorted(counts[labels.numpy() == c])[-2:]
        assert sorted(counts[stored["forgetting"][0][2 * c : 2 * c + 2]]) == pytest.approx(own)


def _forgotten_one_by_one(data, everything) -> np.ndarray:
    """Forgetting of each training image, networks trained alone and looked at in plain numpy."""
    counts = np.zeros(len(data.train))
    truth = data.train.labels.numpy()
    for i in range(TEACHER_NETS):
        looks = []
        seed = rng.derive(0, "forgetting", i)
        train(
            NET,
            everything,
            data.train.labels,
            10,
            whole_protocol(len(data.train)).replace(epochs=4),
            [seed],
            on_epoch=lambda e, n, looks=looks: looks.append(n.predict(data.train)[0].numpy()),
        )
        right = np.stack(looks[1:]) == truth
        lost = (right[:-1] & ~right[1:]).sum(0)
        counts += np.where(right.any(0), lost, len(right)) / TEACHER_NETS
    return counts


def test_the_easiest_are_learned_better_than_the_hardest(compute, store, short):
    """What the choice is for: a network trained on one digit each of the hardest knows less."""
    names = ("easiest", "hardest")
    tasks = [compute(BaselineTask(name=n, data=DATA, ipc=1, net=NET)) for n in names]
    data, accuracies = coresets.DeviceData(ensure(Here(store), DATA)), {}
    for name, task in zip(names, tasks):
        images, labels = baselines.sets(task, data.dataset, "cpu")
        nets = train(NET, images[0], labels, 10, PROTOCOLS["quick"], range(3))
        accuracies[name] = np.mean(nets.accuracy(data.test))
    assert accuracies["easiest"] > accuracies["hardest"] + 0.1


def test_a_coreset_without_a_network_is_one_sentence(compute):
    with pytest.raises(SpecError, match="net = None"):
        compute(BaselineTask(name="easiest", data=DATA, ipc=1))


def test_centroids_are_the_means_of_what_is_nearest_to_them(compute, store):
    """k-means by its own condition, in numpy: Lloyd's step moves nothing."""
    task = compute(BaselineTask(name="kmeans", data=DATA, ipc=3))
    dataset = ensure(Here(store), DATA)
    centroids = baselines.sets(task, dataset, "cpu")[0][0].numpy().reshape(10, 3, -1)
    for c in range(10):
        members = dataset.preprocess(dataset.train_images[dataset.train_labels == c])
        members = members.reshape(len(members), -1).astype(np.float64)
        distance = ((members[:, None] - centroids[c][None]) ** 2).sum(2)
        nearest = distance.argmin(1)
        for k in range(3):
            np.testing.assert_allclose(members[nearest == k].mean(0), centroids[c][k], atol=0.02)
