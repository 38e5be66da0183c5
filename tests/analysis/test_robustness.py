"""Attacks against closed forms and differences, and networks compared at equal accuracy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.runs import Chosen, Run
from analysis.shared.set_ups import usual
from analysis.suite.robustness import ANALYSIS
from analysis.suite.robustness.attacks import attacked, gradient, outputs
from analysis.suite.robustness.figures import headline, sentence, table
from analysis.suite.robustness.maths import gaps
from analysis.suite.robustness.result import RobustnessFound
from analysis.suite.robustness.spec import RobustnessTask, cost
from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.data import load
from ddcore.data.preprocess import Preprocess
from ddcore.data.spec import DataSpec
from ddcore.nets.words import network
from ddcore.pools.real_spec import Counts
from ddcore.sets.distilled import DistilledSet
from ddcore.training.train import train
from tests.analysis.made import made_up

few = settings(max_examples=25, deadline=None, derandomize=True)
SHAPE = (1, 4, 4)
SIZE = 16


def linear(seed: int, classes: int, nets: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights (nets, K, pixels) and offsets (nets, 1, K) of linear models, in double precision."""
    g = torch.Generator().manual_seed(seed)
    w = torch.randn(nets, classes, SIZE, generator=g, dtype=torch.float64)
    return w, torch.randn(nets, 1, classes, generator=g, dtype=torch.float64)


def images(seed: int, count: int = 40, low: float = 0.3, high: float = 0.7) -> torch.Tensor:
    """Pixels so far from black and white that a bound of 0.3 never meets them."""
    g = torch.Generator().manual_seed(seed + 1)
    return low + (high - low) * torch.rand(count, *SHAPE, generator=g, dtype=torch.float64)


def of_linear(w: torch.Tensor, b: torch.Tensor):
    return lambda pixels: pixels.flatten(2) @ w.mT + b


@few
@given(st.integers(0, 10_000), st.floats(0.001, 0.3))
def test_two_classes_of_a_linear_model_meet_the_closed_form(seed, bound):
    """The worst change costs the margin bound * |w_i - w_j|_1, and one step already finds it."""
    w, b = linear(seed, 2)
    x = images(seed)
    labels = torch.randint(0, 2, (len(x),), generator=torch.Generator().manual_seed(seed))
    said = of_linear(w, b)(x.expand(2, *x.shape))
    own = labels.expand(2, -1)[..., None]
    margin = (said.gather(-1, own) - said.gather(-1, 1 - own))[..., 0]
    worst = margin - bound * (w[:, 0] - w[:, 1]).abs().sum(-1, keepdim=True)
    for steps in (1, 7):
        right, moved = attacked(of_linear(w, b), x, labels, 2, bound, steps)
        torch.testing.assert_close(right, worst > 0)
        after = of_linear(w, b)(moved)
        found = (after.gather(-1, own) - after.gather(-1, 1 - own))[..., 0]
        torch.testing.assert_close(found, worst)


def test_no_attack_on_many_classes_beats_the_closed_form_and_many_steps_come_near():
    w, b = linear(3, 5)
    x, bound = images(3, 400), 0.04
    said = of_linear(w, b)(x.expand(2, *x.shape))
    labels = said[0].argmax(-1)
    i = torch.arange(len(x))
    margins = said[:, i, labels][..., None] - said  # (nets, B, K)
    cost_ = bound * (w[:, labels][:, :, None] - w[:, None]).abs().sum(-1)
    margins[:, i, labels], cost_[:, i, labels] = torch.inf, 0
    certain = (margins - cost_ > 0).all(-1)
    one, many = (attacked(of_linear(w, b), x, labels, 2, bound, n)[0] for n in (1, 40))
    assert not (certain & ~many).any() and not (certain & ~one).any()
    shares = [r[0].double().mean().item() for r in (certain, many, one)]
    assert shares[0] <= shares[1] <= shares[2] and shares[1] - shares[0] < 0.02
    assert 0.1 < shares[0] < 0.9


@pytest.fixture(scope="module")
def trained(finished, analysed):
    """Two networks on a set, and the digits."""
    task = finished("robustness")  # has read the digits
    data = load(analysed, DataSpec())
    made = DistilledSet.from_task(analysed.find(task.spec().run_keys[0]))
    net = network("network", "convnet-4", data.shape, 10)
    protocol = usual(20)
    x, y = (torch.from_numpy(a) for a in made.for_training(protocol))
    return train(net, x, y, 10, protocol, [1, 2]), data


def test_one_step_is_the_fast_gradient_sign(trained):
    nets, data = trained
    x = torch.from_numpy(data.test_images[:20] / np.float32(255))
    labels = torch.from_numpy(data.test_labels[:20])
    of = outputs(nets, data.preprocessing)
    right, moved = attacked(of, x, labels, 2, 0.1, 1)
    slope, said = gradient(of, x.expand(2, *x.shape), labels)
    by_hand = (x + 0.1 * slope.sign()).clamp(0, 1)
    torch.testing.assert_close(moved, by_hand, rtol=0, atol=1e-6)
    both = (said.argmax(-1) == labels) & (of(by_hand).argmax(-1) == labels)
    assert torch.equal(right, both)


def test_derivatives_are_those_of_differences(trained):
    """Of the loss behind the normalisation, in double precision, for each network by itself."""
    nets, data = trained
    wide = type(nets)(nets.network, {k: v.double() for k, v in nets.params.items()}, nets.stats)
    of = outputs(wide, Preprocess(data.mean.astype(float), data.std.astype(float)))
    x = torch.from_numpy(data.test_images[:3] / 255.0).clamp(0.05, 0.95)
    labels = torch.from_numpy(data.test_labels[:3])
    given_ = x.expand(2, *x.shape).clone()
    slope, _ = gradient(of, given_, labels)

    def loss(pixels: torch.Tensor) -> torch.Tensor:
        logs = torch.log_softmax(of(pixels), -1)
        return -logs[:, torch.arange(3), labels]

    g, h = torch.Generator().manual_seed(0), 1e-6
    for _ in range(5):
        way = torch.randn(x.shape, generator=g, dtype=torch.float64)
        difference = (loss(given_ + h * way) - loss(given_ - h * way)) / (2 * h)
        torch.testing.assert_close((slope * way).sum((2, 3, 4)), difference, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("steps", [1, 2, 9])
@pytest.mark.parametrize("bound", [0.01, 0.4])
def test_changes_are_bounded_and_pixels_are_valid(trained, bound, steps):
    nets, data = trained
    x = torch.from_numpy(data.test_images[:30] / np.float32(255))
    labels = torch.from_numpy(data.test_labels[:30])
    right, moved = attacked(outputs(nets, data.preprocessing), x, labels, 2, bound, steps)
    assert (moved - x).abs().max() <= bound + 1e-6
    assert moved.min() >= 0 and moved.max() <= 1
    assert (moved - x).abs().max() > 0.9 * bound
    clean = nets.predict(data.preprocess(data.test_images[:30])) == labels
    assert not (right & ~clean).any(), "what is wrong anyway is not right under attack"


def test_the_result_is_what_training_and_attacking_alone_give(finished, analysed):
    task = finished("robustness")
    spec, found = task.spec_as(RobustnessTask), ANALYSIS.result(task).found
    data, key = load(analysed, DataSpec()), spec.run_keys[1]
    protocol = usual(spec.iterations)
    made = DistilledSet.from_task(analysed.find(key))
    x, y = (torch.from_numpy(a) for a in made.for_training(protocol))
    seeds = [rng.derive(spec.seed, "robustness", i) for i in range(spec.nets)]
    net = network("network", spec.network, data.shape, 10)
    nets = train(net, x, y, 10, protocol, seeds)
    order = torch.randperm(len(data.test_labels), generator=rng.generator(spec.seed, "attacked"))
    rows = order[: spec.images].numpy()
    pixels = torch.from_numpy(data.test_images[rows] / np.float32(255))
    labels = torch.from_numpy(data.test_labels[rows])
    of = outputs(nets, data.preprocessing)
    for name, steps in (("fgsm", 1), ("pgd", spec.steps)):
        for b, bound in enumerate(spec.bounds):
            right = attacked(of, pixels, labels, 2, bound, steps)[0].double().mean(1)
            assert found.by_bound(name)[key][b] == pytest.approx(right.numpy(), abs=0.06)
    at = spec.bounds.index(spec.followed)
    np.testing.assert_array_equal(found.robusts[key][-1], found.by_bound("pgd")[key][at])
    assert (found.robusts[key] <= found.accuracies[key]).all()
    assert found.looks[0] == 0 and found.looks[-1] == spec.iterations
    change = task.arrays()[f"change.{key}"]
    assert np.abs(change).max() <= spec.followed + 1e-3


# --- at equal accuracy ----------------------------------------------------------------------------


def made(robust: dict[str, np.ndarray], nets: int = 4):
    """A result whose accuracies rise from .1 to .8 (random images: to .6) in four looks."""
    kinds = {"DM": "set", "random": "random"}
    sources = [
        {
            "kind": kinds[n],
            "key": n,
            "method": "dm" if n == "DM" else "",
            "label": n,
            "ipc": 10,
        }
        for n in robust
    ]
    ends = {"DM": 0.8, "random": 0.6}
    accuracy = [np.repeat(np.linspace(0.1, ends[n], 4)[:, None], nets, 1) for n in robust]
    stored = {
        "sources": sources,
        "looks": [0, 1, 2, 3],
        "accuracy": [a.tolist() for a in accuracy],
        "robust": [r.tolist() for r in robust.values()],
        "bounds": [0.1],
        "followed": 0.1,
        "fgsm": [r[-1:].tolist() for r in robust.values()],
        "pgd": [r[-1:].tolist() for r in robust.values()],
        "iterations": 3,
        "steps": 5,
        "images": 100,
        "nets": nets,
    }
    return made_up(RobustnessFound, stored)


def test_networks_are_compared_where_both_are_equally_accurate():
    """By hand: .6 lies 5/7 of the way; robust there is on the line between the looks."""
    draws = np.random.default_rng(0).normal(0, 0.005, (2, 4))
    line = np.linspace(0.1, 0.8, 4)[:, None]  # as robust as accurate
    result = made({"DM": line + draws[:1], "random": np.linspace(0.1, 0.4, 4)[:, None] + draws[1:]})
    (pair,) = gaps(result)
    np.testing.assert_allclose(pair.accuracy, 0.6)
    np.testing.assert_allclose(pair.difference, 100 * (0.6 + draws[0] - 0.4 - draws[1]))
    assert pair.verdict == 1 and "more robust" in sentence(result)
    assert "**+19.8 points**" in headline(result) and "told apart: 1 of 1" in headline(result)
    back = made({"DM": line - 0.5 + draws[:1], "random": line[[0, 1, 2, 3]] + draws[1:]})
    assert gaps(back)[0].verdict == -1 and "less robust" in sentence(back)
    assert len(table(result, {})) == 2 * 4 * (4 + 2)


def test_one_network_claims_nothing():
    line = np.linspace(0.1, 0.8, 4)[:, None]
    result = made({"DM": line, "random": line / 2}, nets=1)
    assert gaps(result)[0].verdict == 0
    assert "nothing is said of chance" in sentence(result)


# --- the spec -------------------------------------------------------------------------------------


def test_bounds_are_different_and_the_middle_one_is_followed():
    spec = RobustnessTask(run_keys=("0" * 16,), bounds=(0.3, 0.1, 0.2))
    assert spec.followed == 0.2
    with pytest.raises(SpecError, match="bounds"):
        spec.replace(bounds=(0.1, 0.1))


def test_the_cost_counts_training_and_attacks():
    run = Run("0" * 16, "dm", "Distribution matching", 10, 100)
    chosen = Chosen((run,), DataSpec(), tuple("0123456789"), (1, 8, 8))
    spec = RobustnessTask(run_keys=(run.key,), network="convnet-8")
    macs = cost(spec, chosen, Counts(1000, 500)).macs
    assert cost(spec.replace(more=0), chosen, Counts(1000, 500)).macs < macs
    assert cost(spec.replace(steps=20), chosen, Counts(1000, 500)).macs > 1.2 * macs
