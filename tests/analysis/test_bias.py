"""Bias against classifiers whose accuracies with right and wrong colours are known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from analysis.runs import Chosen, Run
from analysis.shared.set_ups import usual
from analysis.suite.bias import ANALYSIS
from analysis.suite.bias.compute import places
from analysis.suite.bias.figures import headline, sentence, table
from analysis.suite.bias.maths import as_in_training, by_agreement, gaps, reliance
from analysis.suite.bias.result import BiasFound
from analysis.suite.bias.spec import BiasTask, cost, lacking
from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.data import load
from ddcore.data.registry import get
from ddcore.data.spec import DataSpec
from ddcore.nets.words import network
from ddcore.pools.real_spec import Counts
from ddcore.sets.distilled import DistilledSet
from ddcore.training.train import train
from tests.analysis.conftest import two_sets
from tests.analysis.made import made_up

COLOURED = DataSpec(name="coloured_digits")
CUE = get("coloured_digits").cue


@pytest.fixture(scope="module")
def data(finished, analysed):
    finished("bias")  # has read the coloured digits
    return load(analysed, COLOURED)


def nearest_shape(data) -> np.ndarray:
    """Classes (B,) of test images by the nearest grey training image: knows nothing of colours."""
    train_, test = (
        images.max(1).reshape(len(images), -1).astype(np.float64)
        for images in (data.train_images, data.test_images)
    )
    apart = (test**2).sum(1)[:, None] - 2 * test @ train_.T + (train_**2).sum(1)
    return data.train_labels[apart.argmin(1)]


def test_classifiers_of_colour_and_of_shape_get_what_they_must(data):
    labels, cues = data.test_labels, places(data, CUE)
    shape, colour = nearest_shape(data), CUE.of(data.test_images)
    half = np.where(
        np.arange(len(labels)) // 10 % 2, shape, colour
    )  # every other digit by its colour
    found = by_agreement(np.stack([shape, colour, half]), labels, cues)
    grey = (shape.reshape(-1, 10)[:, 0] == labels.reshape(-1, 10)[:, 0]).astype(float)
    assert 0.9 < grey.mean() < 1
    of_half = [(500 - grey[1::2].size + grey[1::2].sum()) / 500, grey[1::2].sum() / 500]
    np.testing.assert_allclose(found.agreeing, [grey.mean(), 1, of_half[0]])
    np.testing.assert_allclose(found.contradicting, [grey.mean(), 0, of_half[1]])


def test_accuracy_as_in_training_is_that_of_training_images(data):
    """A classifier by colour is as often right in training as stated there, and loses all of it."""
    found = made({"DM": (np.ones((2, 3)), np.zeros((2, 3)))}, nets=3).found
    right = (CUE.of(data.train_images) == data.train_labels).mean()
    assert as_in_training(found)["DM"][0, 0] == pytest.approx(CUE.correlation)
    assert right == pytest.approx(CUE.correlation, abs=3 * np.sqrt(0.09 / len(data.train_labels)))
    assert (reliance(found)["DM"] == 100).all()


def test_colours_of_classes_that_were_left_out_agree_with_none(data, analysed):
    some = load(analysed, COLOURED.replace(classes=(3, 7)))
    found, colours = places(some, CUE), CUE.of(some.test_images)
    np.testing.assert_array_equal(found == 0, colours == 3)
    np.testing.assert_array_equal(found == 1, colours == 7)
    assert set(found) == {-1, 0, 1} and (found == some.test_labels).mean() == pytest.approx(0.1)


def test_the_result_is_what_training_alone_gives(finished, analysed, data):
    task = finished("bias")
    spec, found = task.spec_as(BiasTask), ANALYSIS.result(task).found
    key, protocol = spec.run_keys[1], usual(spec.iterations)
    own = DistilledSet.from_task(analysed.find(key))
    x, y = (torch.from_numpy(a) for a in own.for_training(protocol))
    seeds = [rng.derive(spec.seed, "bias", i) for i in range(spec.nets)]
    nets = train(network("network", spec.network, data.shape, 10), x, y, 10, protocol, seeds)
    right = nets.predict(data.preprocess(data.test_images)).numpy() == data.test_labels
    agree = CUE.of(data.test_images) == data.test_labels
    for ours, rows in ((found.agreeings, agree), (found.contradictings, ~agree)):
        np.testing.assert_allclose(ours[key][-1], right[:, rows].mean(1), atol=1e-12)
    assert (found.agree, found.contradict) == (500, 4500)
    assert found.looks[0] == 0 and found.looks[-1] == spec.iterations
    assert (found.cue, found.correlation) == ("colour", 0.9)


# --- at equal accuracy ----------------------------------------------------------------------------


def made(values: dict[str, tuple[np.ndarray, np.ndarray]], nets: int = 4):
    """A result with these accuracies with right and wrong colours (looks, nets) by source."""
    kinds = {"DM": ("set", "dm"), "random": ("random", "")}
    sources = [
        {"kind": kinds[n][0], "key": n, "method": kinds[n][1], "label": n, "ipc": 10}
        for n in values
    ]
    looks = len(next(iter(values.values()))[0])
    stored = {
        "sources": sources,
        "looks": list(range(looks)),
        "agreeing": [a.tolist() for a, _ in values.values()],
        "contradicting": [c.tolist() for _, c in values.values()],
        "cue": "colour",
        "correlation": 0.9,
        "iterations": looks - 1,
        "agree": 500,
        "contradict": 4500,
        "nets": nets,
    }
    return made_up(BiasFound, stored)


def mixture(share: float, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Networks that learn up to 1: of what they know, this share by colour and the rest by shape."""
    known = np.linspace(0.1, 1, 4)[:, None] + noise * 0
    return known, known * (1 - share - noise)


def test_the_more_a_network_goes_by_colour_the_more_it_loses():
    """By hand: of accuracy a with share s by colour, s / (1 - 0.1 s) is lost."""
    draws = np.random.default_rng(0).normal(0, 0.01, (2, 4))
    result = made({"DM": mixture(0.6, draws[0]), "random": mixture(0.2, draws[1])})
    (pair,) = gaps(result)
    ends = [1 - 0.1 * (s + d) for s, d in zip((0.6, 0.2), draws)]  # accuracy as in training
    level = np.minimum(*ends)
    lost = [100 * level * (s + d) / end for s, d, end in zip((0.6, 0.2), draws, ends)]
    np.testing.assert_allclose(pair.accuracy, level)
    np.testing.assert_allclose(pair.difference, lost[0] - lost[1])
    assert pair.verdict == 1 and "(more)" in sentence(result)
    assert f"**{pair.difference.mean():+.1f} points**" in headline(result)
    assert "told apart: 1 of 1" in headline(result)
    back = made({"DM": mixture(0.2, draws[0]), "random": mixture(0.6, draws[1])})
    assert gaps(back)[0].verdict == -1 and "(less)" in sentence(back)
    assert len(table(result, {})) == 2 * 4 * 4


def test_one_network_claims_nothing():
    one = np.zeros(1)
    result = made({"DM": mixture(0.6, one), "random": mixture(0.2, one)}, nets=1)
    assert gaps(result)[0].verdict == 0
    assert "nothing is said of chance" in sentence(result)


# --- what is refused ------------------------------------------------------------------------------


def test_data_without_colours_are_refused_in_one_sentence(store):
    from analysis.runs import choose
    from analysis.settings import make_spec

    with pytest.raises(
        SpecError, match=r"expected sets made from Coloured digits, in colour: .*\.$"
    ):
        make_spec(ANALYSIS, choose(store, two_sets(store)))
    own = DataSpec(name="folder", source="folder", path="/here", fingerprint="0" * 64)
    grey = dataclasses.replace(COLOURED, grey=True)
    assert lacking(own) == lacking(grey) == lacking(DataSpec())
    assert lacking(COLOURED) == lacking(COLOURED.replace(preprocess="zca")) == ""


def test_the_cost_counts_training_and_tests():
    run = Run("0" * 16, "dm", "Distribution matching", 10, 100)
    chosen = Chosen((run,), COLOURED, tuple("0123456789"), (3, 8, 8))
    spec = BiasTask(run_keys=(run.key,), network="convnet-8")
    macs = cost(spec, chosen, Counts(1000, 5000)).macs
    assert cost(spec.replace(more=0), chosen, Counts(1000, 5000)).macs < macs
    assert cost(spec.replace(looks=20), chosen, Counts(1000, 5000)).macs > macs
