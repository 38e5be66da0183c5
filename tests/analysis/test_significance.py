"""Tests against scipy's, corrections by hand, and how often chance alone is called a finding."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.shared import significance
from analysis.shared.significance import GREATER, LESS


@pytest.mark.parametrize("alternative", [LESS, GREATER])
@pytest.mark.parametrize("n", [2, 3, 20])
def test_paired_is_students(alternative, n):
    one, other = np.random.default_rng(n).normal(0.3, 1, (2, 5, 7, n))
    found = significance.paired(one - other, alternative)
    truth = stats.ttest_rel(one, other, axis=-1, alternative=alternative)
    np.testing.assert_allclose(found.p, truth.pvalue)
    np.testing.assert_allclose(found.mean / found.error, truth.statistic)
    assert (found.df == n - 1).all()


@pytest.mark.parametrize("alternative", [LESS, GREATER])
def test_combined_is_welchs_for_two_samples(alternative):
    draw = np.random.default_rng(0)
    for sizes in ((2, 2), (3, 9), (12, 5)):
        one, other = (draw.normal(0, s, n) for s, n in zip((1, 3), sizes))
        found = significance.combined(one.mean() - other.mean(), [one, other], alternative)
        truth = stats.ttest_ind(one, other, equal_var=False, alternative=alternative)
        assert found.p == pytest.approx(truth.pvalue)
        assert found.df == pytest.approx(truth.df)


def test_nothing_is_said_of_one_or_of_what_does_not_vary():
    assert np.isnan(significance.paired(np.full((4, 1), -9.0), LESS).p).all()
    assert np.isnan(significance.paired(np.full(3, 0.1) * 3, GREATER).p)
    assert np.isnan(significance.combined(5.0, [np.array([1.0]), np.arange(9.0)], GREATER).p)
    assert np.isnan(significance.combined(5.0, [np.ones(3), np.ones(4)], GREATER).p)
    assert not significance.discoveries(np.array([np.nan, np.nan])).any()
    assert significance.discoveries(np.zeros((0, 3))).shape == (0, 3)


def by_hand(p: np.ndarray, level: float) -> np.ndarray:
    """The largest k with p_(k) <= k / m * level, and all up to it."""
    order = np.argsort(p, kind="stable")
    passed = np.flatnonzero(p[order] <= level * np.arange(1, len(p) + 1) / len(p))
    found = np.zeros(len(p), bool)
    found[order[: passed[-1] + 1 if len(passed) else 0]] = True
    return found


@pytest.mark.parametrize("seed", range(20))
def test_discoveries_are_benjamini_and_hochbergs(seed):
    p = np.random.default_rng(seed).random(30) ** 4
    found = significance.discoveries(p.reshape(5, 6))
    np.testing.assert_array_equal(found.ravel(), by_hand(p, 0.05))
    with_gaps = np.full(40, np.nan)
    with_gaps[::2][:20] = p[:20]
    gaps = significance.discoveries(with_gaps)  # what cannot be tested is no test
    np.testing.assert_array_equal(gaps[::2][:20], by_hand(p[:20], 0.05))
    assert not gaps[1::2].any()


def test_chance_alone_is_rarely_called_a_finding():
    """Three networks: two standard errors would be passed in 9 %, and under 40 changes almost surely."""
    values = np.random.default_rng(0).normal(size=(4000, 40, 3))
    found = significance.paired(values, LESS)
    assert (found.p <= significance.LEVEL).mean() == pytest.approx(0.05, abs=0.005)
    assert (found.mean < -2 * found.error).mean() == pytest.approx(0.092, abs=0.005)
    texts = np.mean([significance.discoveries(p).any() for p in found.p])
    assert texts < 0.06
