"""A spread is printed where there are two figures or more, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from ddcore.base import spread
from ddcore.base.spread import summary
from ddcore.cli import console, runs
from ddcore.measure import ranking
from ddcore.recipes.base import Published

OLD = {"mean": 0.842, "std": 0.0, "n": 1}  # as single figures were stored once
ONE = {"mean": 0.842, "std": None, "n": 1}
TEN = {"mean": 0.846, "std": 0.012, "n": 10}


@pytest.mark.parametrize("count", [2, 3, 10])
def test_deviation_is_that_of_a_sample(count):
    values = np.random.default_rng(count).random((4, count))
    truth = np.std(values, axis=1, ddof=1)
    np.testing.assert_allclose(spread.deviations(values), truth)
    assert [spread.deviation(row) for row in values] == pytest.approx(truth.tolist())
    assert [summary(row.tolist())["std"] for row in values] == pytest.approx(truth.tolist())


def test_one_figure_has_none():
    assert spread.deviation([0.5]) is None
    assert spread.deviations(np.ones((3, 1))) is None
    assert summary([0.842]) == ONE
    assert spread.of(OLD) is spread.of(ONE) is None
    assert spread.of(TEN) == 0.012
    assert spread.figure_text(TEN) == "84.6 ± 1.2 % (n = 10)"
    for one in (OLD, ONE):
        assert spread.figure_text(one) == "84.2 % (n = 1)"


def test_equal_figures_have_a_spread_of_nothing():
    """Measured to be 0, which is not the same as not measured."""
    assert spread.figure_text(summary([0.5, 0.5])) == "50.0 ± 0.0 % (n = 2)"


@pytest.mark.parametrize("one", [OLD, ONE])
def test_the_command_line_prints_no_spread_of_one(one, capsys):
    facts = {"key": "k", "method": "m", "dataset": "d", "seconds": 1, "protocol": "p", "arch": "a"}
    facts["labels"] = "own"
    attack = {"attacked": 1, "target": 2, "flipped": one, "others": TEN, "modified": one}
    answer = {**facts, "test_accuracy": one, "baselines": {"random": TEN}, "attack": {"x": attack}}
    runs._print_run(answer)
    out = capsys.readouterr().out
    assert out.count("84.2 % (n = 1)") == 3
    assert out.count("84.6 ± 1.2 % (n = 10)") == 2
    assert console.figure(one) == ONE


def test_a_difference_with_a_single_figure_has_none():
    assert ranking.difference(TEN, ONE).std is None
    assert ranking.difference(OLD, TEN).std is None
    assert ranking.difference(TEN, TEN).std == pytest.approx(0.012 * 2**0.5)


def test_a_published_figure_has_the_spread_that_was_given():
    assert Published(79.5, "here").figure() == {"mean": 0.795, "std": None}
    assert Published(79.5, "here").text() == "79.5 %"
    assert Published(79.5, "here", std=8.1).figure()["std"] == pytest.approx(0.081)
    assert Published(79.5, "here", std=8.1).text() == "79.5 ± 8.1 %"
