"""Every network once, accuracies as trained alone, gains paired and held against random real images."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analysis.runs import Chosen, Run, choose
from analysis.shared.sources import MEAN, RANDOM, SET
from analysis.shared.stand_ins import STAND_INS, real_images
from analysis.suite.transfer import ANALYSIS
from analysis.suite.transfer.figures import gains, ladder, others, sentence
from analysis.suite.transfer.result import TransferFound, TransferResult
from analysis.suite.transfer.spec import TransferTask, networks
from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.data import load
from ddcore.data.spec import DataSpec
from ddcore.data.tensors import DeviceData
from ddcore.measure import baselines
from ddcore.measure.spec import BaselineTask
from ddcore.nets.architectures import NetSpec
from ddcore.nets.words import network
from ddcore.sets.distilled import DistilledSet
from ddcore.training.protocols import PROTOCOLS
from ddcore.training.train import train
from tests.analysis.conftest import computed
from tests.analysis.made import made_up
from tests.pages.fakes import done, images, spec


def chosen(*nets: NetSpec) -> Chosen:
    """Runs on the digits made with these networks."""
    runs = tuple(Run(f"{i:016x}", "dm", f"Set {i}", 2, 20) for i in range(len(nets)))
    own = {run.key: net for run, net in zip(runs, nets)}
    return Chosen(runs, DataSpec(), tuple("0123456789"), (1, 8, 8), own)


def plain(width: int) -> NetSpec:
    """The ConvNet for digits."""
    return network("", f"convnet-{width}", (1, 8, 8), 10)


def task(**changes: object) -> TransferTask:
    """A spec that is only looked at."""
    return TransferTask(run_keys=("0" * 16,), **changes)


def test_every_network_is_trained_once_and_those_of_the_sets_come_first():
    wanted = task(architectures=("mlp", "convnet-16"), widths=(8, 16))
    deeper = plain(16).replace(depth=3)
    found = networks(wanted, chosen(plain(16), deeper, plain(16)))
    mlp = network("", "mlp", (1, 8, 8), 10)
    assert found == [plain(16), deeper, mlp, plain(8)]


def test_the_networks_of_sets_are_known(store):
    keys = [done(store).key, done(store, spec(seed=1), net=plain(4)).key]
    known = choose(store, keys)
    expected = {keys[0]: spec().net, keys[1]: plain(4)}
    assert known.nets == expected


def test_accuracies_are_those_of_training_alone(finished, analysed):
    result = finished("transfer").result()
    wanted = finished("transfer").spec()
    dataset = load(analysed, DataSpec())
    test, recipe = DeviceData(dataset).test, PROTOCOLS["t300"].replace(epochs=5)
    every = networks(wanted, choose(analysed, wanted.run_keys))
    assert [n["width"] for n in result["networks"]] == [n.width for n in every]
    seeds = [rng.derive(0, "transfer", i) for i in range(2)]
    made = DistilledSet.from_task(analysed.find(result["sources"][1]["key"]))
    pair = torch.from_numpy(made.images), torch.from_numpy(made.labels)
    for place, net in enumerate(every):
        for i, seed in enumerate(seeds):  # one alone, not as a batch
            alone = train(net, *pair, 10, recipe, [seed]).accuracy(test)[0]
            assert result["accuracy"][1][place][i] == pytest.approx(alone, abs=0.005)
    # Random real images: a draw of its own for each network; class means: one set for all.
    for kind, draws in ((RANDOM, 2), (MEAN, 1)):
        (row,) = [i for i, s in enumerate(result["sources"]) if s["kind"] == kind]
        stored = computed(analysed, BaselineTask(name=kind, data=DataSpec(), ipc=2, draws=draws))
        drawn, labels = baselines.sets(stored, dataset, "cpu")
        for i, seed in enumerate(seeds):
            own = drawn[min(i, draws - 1)]
            alone = train(every[0], own, labels, 10, recipe, [seed]).accuracy(test)[0]
            assert result["accuracy"][row][0][i] == pytest.approx(alone, abs=0.005)
    assert len(drawn) == 1


@pytest.mark.parametrize("kind", STAND_INS)
def test_real_images_are_those_of_baselines_and_a_random_network_has_its_own(store, kind):
    nets, draws = 3, 1 if kind == MEAN else 3
    task = computed(store, BaselineTask(name=kind, data=DataSpec(), ipc=2, draws=draws))
    dataset = load(store, DataSpec())
    stored, labels = (x.numpy() for x in baselines.sets(task, dataset, "cpu"))
    images = real_images(kind, DeviceData(dataset), 2, nets, 0)
    np.testing.assert_array_equal(images, stored[0] if kind == MEAN else stored)
    assert labels.tolist() == sorted(labels)
    assert kind == MEAN or len({one.tobytes() for one in images}) == nets


def test_sets_of_two_sizes_have_baselines_of_their_own(store):
    two = {"images": images(count=20), "labels": np.arange(10).repeat(2)}
    keys = (done(store).key, done(store, spec(ipc=2), **two).key)
    fields = ANALYSIS.smallest | {"widths": ()}
    found = ANALYSIS.result(computed(store, TransferTask(run_keys=keys, **fields)))
    assert [(s.kind, s.ipc) for s in found.found.sources] == [
        *((SET, 1), (SET, 2)),
        *((RANDOM, 1), (RANDOM, 2)),
        *((MEAN, 1), (MEAN, 2)),
    ]
    beyond, accuracy = gains(found), found.found.accuracies
    (two_per_class,) = (run.key for run in found.runs if run.ipc == 2)
    for key in (two_per_class, f"{MEAN}.2"):
        apart = 100 * (accuracy[key] - accuracy[f"{RANDOM}.2"])
        np.testing.assert_allclose(beyond[key], apart)
    for ipc in (1, 2):
        np.testing.assert_allclose(beyond[f"{RANDOM}.{ipc}"], 0)


def outcome(first: list[float]) -> TransferResult:
    """A made-up result: one set made with a ConvNet of width 8, an MLP and another width beside it.

    `first` are the accuracies of the set where it was made.
    """
    nets = [
        {"name": "ConvNet-2 w8", "family": "convnet", "width": 8, "plain": True},
        {"name": "MLP", "family": "mlp", "width": 128, "plain": False},
        {"name": "ConvNet-2 w4", "family": "convnet", "width": 4, "plain": True},
    ]
    sources = [
        {"kind": SET, "key": "a", "method": "dm", "label": "Set A", "ipc": 1},
        {"kind": RANDOM, "key": "random.1", "method": "", "label": "Random", "ipc": 1},
    ]
    accuracy = [
        [first, [0.60, 0.60], [0.70, 0.72]],
        [[0.60, 0.62], [0.55, 0.55], [0.75, 0.77]],
    ]
    facts = {"home": {"a": 0}, "architectures": [0, 1], "nets": 2, "iterations": 5}
    known = {"networks": nets, "sources": sources, "accuracy": accuracy, **facts}
    return made_up(TransferFound, known)


def test_what_is_kept_elsewhere():
    result = outcome([0.799, 0.821])
    assert ladder(result) == [2, 0]
    assert others(result, "a") == ([1], [2])
    np.testing.assert_allclose(gains(result)["a"], [[19.9, 20.1], [5, 5], [-5, -5]])
    assert sentence(result).startswith(
        "Set A, made with ConvNet-2 w8, gains **+20.0 ± 0.1** points over random real images there; "
        "**25 %** of that on 1 other architecture (+5.0 ± 0.0) and **none** of that on 1 other width "
        "(−5.0 ± 0.0). Mean ± standard deviation of 2 networks"
    )
    said = sentence(outcome([0.50, 0.75]))  # -10 and +13 points
    assert "not shown to be a gain, and +5.0 ± 0.0 on 1 other architecture" in said
    assert "**25 %**" not in said and "gains" not in said.split(".")[0]


def test_bad_fields():
    for bad in ((), ("mlp", "mlp"), ("nothing",)):
        with pytest.raises(SpecError, match="architectures"):
            task(architectures=bad)
    for bad in ((8, 8), (0,)):
        with pytest.raises(SpecError, match="widths"):
            task(widths=bad)
    with pytest.raises(SpecError, match="architectures = 'lenet'"):
        networks(task(architectures=("lenet",)), chosen(plain(4)))
