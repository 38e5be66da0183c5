"""Laws of the gap against scipy and known laws, intervals by simulation, and what is trained on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from analysis.runs import Chosen, Run, choose
from analysis.suite.scaling import ANALYSIS
from analysis.suite.scaling.compute import _part
from analysis.suite.scaling.figures import exponents, headline, sentence, steeper
from analysis.suite.scaling.maths import constants, exponent, fitted, free, over_networks, worst
from analysis.suite.scaling.result import ScalingFound
from analysis.suite.scaling.spec import PARTS, RUNS, ScalingTask, grown
from ddcore.data.spec import DataSpec
from ddcore.sets.distilled import DistilledSet
from tests.analysis.made import made_up

SIZES = np.array([1, 2, 3, 5, 10])


def noisy(seed: int, b: float, nets: int, noise: float = 0.3) -> np.ndarray:
    """Gaps (sizes, nets) of the law 2 + 20 k^-b."""
    g = np.random.default_rng(seed)
    return (2 + 20 * SIZES**-b)[:, None] + noise * g.normal(size=(len(SIZES), nets))


def test_a_law_without_noise_is_found():
    for b in (0.3, 0.5, 1.0, 2.0):
        law = free(SIZES, 2 + 20 * SIZES**-b)
        assert (law.floor, law.c, law.b) == pytest.approx((2, 20, b), rel=1e-3)
        np.testing.assert_allclose(law.at(SIZES), 2 + 20 * SIZES**-b, rtol=1e-4)
    half = fitted(SIZES, 2 + 20 / np.sqrt(SIZES))
    assert (half.floor, half.c, half.rest) == pytest.approx((2, 20, 0), abs=1e-9)
    assert free(SIZES, 3 - 0.1 * np.log(SIZES)).at_an_end  # falls without a floor


def test_fits_are_scipys():
    gaps = noisy(0, 0.8, 1)[:, 0]
    line = stats.linregress(SIZES**-0.5, gaps)
    law = fitted(SIZES, gaps)
    assert (law.c, law.floor) == pytest.approx((line.slope, line.intercept))
    wanted, _ = optimize.curve_fit(
        lambda k, floor, c, b: floor + c * k**-b, SIZES.astype(float), gaps, p0=(1, 10, 0.5)
    )
    own = free(SIZES, gaps)
    assert (own.floor, own.c, own.b) == pytest.approx(tuple(wanted), rel=1e-3)
    assert own.rest <= law.rest


def test_the_mean_of_fits_is_the_fit_of_the_mean_and_its_interval_is_scipys():
    gaps = noisy(1, 0.5, 6)
    floor, c = constants(SIZES, gaps)
    law = fitted(SIZES, gaps.mean(1))
    assert (floor.value, c.value) == pytest.approx((law.floor, law.c))
    wanted = stats.t.interval(0.95, 5, floor.each.mean(), stats.sem(floor.each))
    assert floor.interval == pytest.approx(wanted)
    assert over_networks(np.array([1.0])).interval is None
    assert exponent(SIZES, gaps[:, :1]).interval is None


def test_intervals_of_floor_and_exponent_cover():
    """Of 100 intervals that are to hold the truth 95 times."""
    floors = powers = 0
    for seed in range(100):
        gaps = noisy(seed, 0.5, 5)
        low, high = constants(SIZES, gaps)[0].interval
        floors += low <= 2 <= high
        known = exponent(SIZES, gaps)
        powers += known.interval[0] <= 0.5 <= known.interval[1]
    assert floors >= 88
    assert powers >= 88


def test_the_interval_of_the_worst_covers_though_it_was_chosen():
    """Equal set-ups are the hardest case: the smallest mean is then too small for sure."""
    for means in (np.full(8, 0.7), np.linspace(0.6, 0.9, 8)):
        held = below = 0
        for seed in range(300):
            g = np.random.default_rng(seed)
            found = worst(means[:, None] + 0.02 * g.normal(size=(8, 5)))
            held += found.interval[0] <= means.min() <= found.interval[1]
            below += found.value < means.min()
        assert held >= 285 - 11
    assert below > 0
    assert worst(np.array([[0.5], [0.4]])).interval is None


def chosen(*runs: tuple[str, int]) -> Chosen:
    made = tuple(
        Run(f"{i:016x}", method, f"{method}, {ipc} per class", ipc, 10 * ipc)
        for i, (method, ipc) in enumerate(runs)
    )
    return Chosen(made, DataSpec(), tuple("0123456789"), (1, 8, 8))


def test_runs_of_one_method_and_different_sizes_are_one_family():
    spec = ScalingTask(run_keys=("0" * 16,), sizes=(1, 2, 5, 10, 20))
    family, alone = grown(chosen(("dm", 10), ("dm", 1), ("bptt", 10)))
    assert family.sizes(spec) == (1, 10) and not family.alone and "per class" not in family.label
    assert alone.sizes(spec) == (1, 2, 5, 10) and alone.alone
    twins = grown(chosen(("dm", 10), ("dm", 10), ("dm", 1)))
    assert [g.alone for g in twins] == [True] * 3
    foreign = grown(chosen(("theirs", 10), ("theirs", 1)))
    assert [g.alone for g in foreign] == [True, True]


def test_parts_are_nested_images_of_their_class(finished, analysed):
    task = finished("scaling")
    spec = task.spec_as(ScalingTask)
    made = DistilledSet.from_task(analysed.find(spec.run_keys[0]))
    part = _part(made, np.asarray(made.hard_labels), 1, spec.run_keys[0], spec)
    assert part.images.shape[:2] == (spec.nets, 10)
    np.testing.assert_array_equal(part.labels["ce"], np.arange(10))
    for images in part.images:
        for c, image in enumerate(images):
            own = made.images[np.asarray(made.hard_labels) == c]
            assert any(np.array_equal(image, one) for one in own)
    result = ANALYSIS.result(task)
    for run in choose(analysed, spec.run_keys).runs:
        source = next(s for s in result.found.sources if s.key == run.key)
        assert source.how == PARTS and source.sizes == (1, 2)
    assert result.found.accuracies["random"].shape == (2, 4, spec.nets)


def made(laws: dict[str, float], nets: int = 6):
    """A result whose sources follow laws with these exponents; "random" is real."""
    whole = [0.98] * nets
    sources, accuracy = [], []
    for place, (key, b) in enumerate(laws.items()):
        real = key == "random"
        facts = {"key": key, "method": "" if real else "dm", "label": key, "ipc": 10}
        sources.append(facts | {"how": key if real else RUNS, "sizes": SIZES.tolist()})
        accuracy.append([(0.98 - noisy(place, b, nets, 0.05) / 100).tolist()])
    stored = {"sources": sources, "set_ups": ["as it is"], "accuracy": accuracy, "whole": whole}
    return made_up(ScalingFound, stored | {"network": "x", "iterations": 1, "nets": nets})


def test_texts_say_which_exponents_differ():
    result = made({"fast": 1.5, "same": 0.5, "random": 0.5})
    found = exponents(result)
    assert found["fast"].value == pytest.approx(1.5, abs=0.1)
    assert steeper(result) == {"fast": True, "same": False}
    text = sentence(result)
    assert text.count("(shown to differ)") == 1 and "same floor" in text
    assert len(headline(result).split()) <= 20 and headline(result).endswith(
        "exponent **0.5 to 1.5** (2 of 2 known)."
    )
    one = made({"fast": 1.5, "random": 0.5}, nets=1)
    assert steeper(one) == {} and "nothing is said of chance" in sentence(one)
