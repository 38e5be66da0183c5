"""Cohen's kappa by scikit-learn, from stored predictions and networks retrained by plain torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import cohen_kappa_score

from analysis.suite.agreement.compute import Answers, compare
from analysis.suite.agreement.spec import PAIR, AgreementTask
from tests.truth import convnet, files, streams


def measures(one, other, labels):
    """What is stored of a pair of answers (N,), by scikit-learn and plain counting."""
    both = (one != labels) & (other != labels)
    shared = (one == other)[both].mean() if both.any() else np.nan
    return {
        "agreement": (one == other).mean(),
        "kappa": cohen_kappa_score(one, other),
        "shared": shared,
        "both_wrong": both.sum(),
    }


@pytest.mark.parametrize("seed", range(20))
def test_measures_of_random_answers(seed):
    draw = np.random.default_rng(seed)
    classes, count = draw.integers(2, 11), 200
    labels = draw.integers(classes, size=count)

    def answers(skill):
        guess = draw.integers(classes, size=count)
        return np.where(draw.random(count) < skill, labels, guess)

    one, others = answers(0.8), np.stack([answers(s) for s in (0.1, 0.5, 0.9)])
    found = compare(Answers.of(one, labels, classes), Answers.of(others, labels, classes), labels)
    for i, other in enumerate(others):
        for name, value in measures(one, other, labels).items():
            assert found[name][i] == pytest.approx(value, abs=1e-12, nan_ok=True)


def own_answers(folder, key, real):
    """Of networks trained by plain torch on a set under T300, from the stated streams: (nets, N)."""
    asked = files.spec(folder)
    (run,) = (f for f in files.shipped("distill") if f.name == key)
    made = files.arrays(run, "set")
    images = torch.from_numpy(made["images"].copy())
    labels = torch.from_numpy(made["labels"].copy())
    tests = torch.from_numpy(real.test.images).float()
    width = int(asked["network"].removeprefix("convnet-"))
    found = []
    for i in range(asked["nets"]):
        stream = streams.of_torch(streams.derived(asked["seed"], "agreement", key, i), "init")
        net = convnet.drawn(convnet.ConvNet(width, 2), stream)
        found.append(convnet.answers(convnet.train(net, images, labels, convnet.T300), tests))
    return np.stack(found)


def check(folder, pools, key, own, labels):
    """All stored pairs of a set, and each pool's mean kappa; answers may differ on one test image."""
    stored, told = files.arrays(folder), files.result(folder)["sets"][key]
    one = 1 / len(labels)
    assert (own == labels).mean(1) == pytest.approx(told["accuracy"], abs=one + 1e-6)
    for pool, answers in pools.items():
        pairs = stored[f"pairs.{pool}.{key}"]
        assert len(pairs)
        by_net = {}
        for row in pairs:
            values = dict(zip(PAIR, row))
            net = int(values["net"])
            other = answers(int(values["other"]), int(values["at"]))
            mine = measures(own[net], other, labels)
            assert values["other_accuracy"] == pytest.approx((other == labels).mean(), abs=1e-9)
            assert values["agreement"] == pytest.approx(mine["agreement"], abs=one + 1e-9)
            assert values["kappa"] == pytest.approx(mine["kappa"], abs=1.2 * one)
            assert abs(values["both_wrong"] - mine["both_wrong"]) <= 1
            by_net.setdefault(net, []).append(mine["kappa"])
        mean = np.mean([np.mean(kappas) for kappas in by_net.values()])
        assert told[pool]["kappa"] == pytest.approx(mean, abs=1.2 * one)


def answers_of_pools(subset, early):
    """Stored predictions of both pools, as functions of a network's number and its iteration."""
    steps, many, single = early["steps"].tolist(), early["predicted"], subset["predicted"]
    return {
        "early": lambda other, at: many[other, steps.index(at)].astype(int),
        "subset": lambda other, at: single[other].astype(int),
    }


def test_agreement_computed_now(here, real):
    """A small analysis of a shipped set: its pools' stored predictions, and everything else anew."""
    key = files.shipped("distill", method="dm", data__name="digits", ipc=1)[0].name
    asked = AgreementTask(
        run_keys=(key,),
        network="convnet-8",
        nets=3,
        early=3,
        iterations=60,
        every=2,
        sizes=(1, 2, 3),
        draws=2,
        epochs=100,
        gap=0.1,
    )
    task = here.need(asked)
    pools = [files.arrays(here.store.find(k).folder) for k in task.result()["pools"]]
    own = own_answers(task.folder, key, real)
    check(task.folder, answers_of_pools(*pools), key, own, real.test.labels)
