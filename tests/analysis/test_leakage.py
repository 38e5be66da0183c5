"""Attacks and memorised labels: known laws, other libraries, and what was planted is found."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import roc_auc_score, roc_curve

from analysis.runs import choose
from analysis.shared.attacks import auc, caught, curve, needed
from analysis.suite.leakage.compute import _class_means, _pool
from analysis.suite.leakage.figures import interval
from analysis.suite.leakage.maths import (
    OFFLINE,
    ONLINE,
    PLAIN,
    by_chance,
    confidence,
    each_in_turn,
    false_labels,
    halves,
    recovered,
    scores,
    success,
)
from analysis.suite.leakage.result import MemorisedFacts
from analysis.suite.leakage.spec import LeakageTask
from ddcore.base.errors import SpecError
from ddcore.data import load
from ddcore.data.spec import DataSpec


def drawn(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_area_and_curve_are_scikit_learns_with_ties():
    members, others = drawn(0).integers(1, 12, 40) / 4, drawn(1).integers(0, 9, 70) / 4
    truth, values = np.r_[np.ones(40), np.zeros(70)], np.r_[members, others]
    assert auc(members, others) == pytest.approx(roc_auc_score(truth, values), abs=1e-12)
    false, right, _ = roc_curve(truth, values, drop_intermediate=False)
    for rate in (1 / 70, 0.05, 0.1, 0.3, 0.77, 1.0):
        best = right[false <= rate + 1e-12].max()
        assert caught(members, others, rate) == pytest.approx(best), rate
    np.testing.assert_allclose(curve(members, others, np.array([0.001, 0.3]))[0], 0)


def test_so_many_images_are_needed_for_a_rate():
    assert (needed(0.01), needed(0.001), needed(0.001, 10)) == (100, 1000, 10_000)
    assert caught(np.ones(5), np.zeros(999), 0.001) is None
    assert caught(np.ones(5), np.zeros(1000), 0.001) == 1.0


def test_guessing_finds_as_many_members_as_it_accuses_others():
    values = drawn(0).normal(size=(2, 200_000))
    assert auc(*values) == pytest.approx(0.5, abs=0.005)
    for rate in (0.01, 0.001):
        assert caught(*values, rate) == pytest.approx(rate, rel=0.25)


def test_confidence_is_the_log_odds_of_the_right_class():
    logits, labels = drawn(0).normal(size=(3, 5, 7)), drawn(1).integers(0, 7, 5)
    p = torch.from_numpy(logits).softmax(-1).numpy()[:, np.arange(5), labels]
    np.testing.assert_allclose(confidence(logits, labels), np.log(p / (1 - p)), rtol=1e-10)
    assert np.isfinite(confidence(np.array([[1e4, 0.0]]), np.array([0]))).all()


def normal_world(seed: int, effect: float, count: int = 40_000):
    """Confidences of normal law whose mean differs by image, and is larger by `effect` for members."""
    g = drawn(seed)
    mean = 3 * g.normal(size=count)
    inside = np.arange(64)[:, None] % 2 == g.integers(2, size=count)
    shadows = mean + effect * inside + g.normal(size=(64, count))
    member = np.arange(count) < count // 2
    target = mean + effect * member + g.normal(size=count)
    return scores(target[None], shadows, inside, ~inside), member


def test_scores_of_normal_confidences_do_what_theory_says():
    """Two normal laws apart by d: the area is Phi(d / sqrt 2), found at a rate a: Phi(d - z(1 - a)).

    Means from 32 shadows add their own error, by a factor sqrt(1 + 1/32) of the spread.
    """
    found, member = normal_world(0, effect=1.5)
    d = 1.5 / np.sqrt(1 + 1 / 32)
    for name in (OFFLINE, ONLINE):
        inside, outside = found[name][member], found[name][~member]
        assert auc(inside, outside) == pytest.approx(stats.norm.cdf(d / np.sqrt(2)), abs=0.02)
    inside, outside = found[OFFLINE][member], found[OFFLINE][~member]
    wanted = stats.norm.sf(stats.norm.isf(0.01) - d)
    assert caught(inside, outside, 0.01) == pytest.approx(wanted, abs=0.03)
    plain = auc(found[PLAIN][member], found[PLAIN][~member])
    spread = np.sqrt(2 * (1 + 9))  # of images, which this attack knows nothing of
    assert plain == pytest.approx(stats.norm.cdf(1.5 / spread), abs=0.01)


def test_the_likelihood_ratio_is_scipys():
    g = drawn(3)
    inside = halves(np.repeat([0, 1], 20), 40, g)
    shadows, target = g.normal(size=(80, 40)) + 0.7 * inside, g.normal(size=(2, 40))
    told = scores(target, shadows, inside, ~inside)[ONLINE]
    for i in (0, 17):
        law = [
            stats.norm(v.mean(), v.std(ddof=1))
            for v in (shadows[inside[:, i], i], shadows[~inside[:, i], i])
        ]
        ratio = np.mean([law[0].logpdf(t) - law[1].logpdf(t) for t in target[:, i]])
        assert told[i] == pytest.approx(ratio, rel=1e-9)


def test_every_shadow_has_half_of_each_class_and_its_partner_the_rest():
    labels = np.repeat(np.arange(5), [4, 8, 2, 6, 10])
    found = halves(labels, 3, drawn(0))
    assert found.shape == (6, 30) and (found[0::2] ^ found[1::2]).all()
    for half in found:
        np.testing.assert_array_equal(np.bincount(labels[half]), [2, 4, 1, 3, 5])


def test_in_turn_finds_what_was_planted_and_nothing_else():
    labels = np.repeat(np.arange(4), 100)
    inside = halves(labels, 8, drawn(0))
    noise = drawn(1).normal(size=inside.shape) + 2 * drawn(2).normal(size=400)
    nothing = each_in_turn(noise, inside, ~inside)[OFFLINE]
    assert auc(nothing[inside], nothing[~inside]) == pytest.approx(0.5, abs=0.02)
    assert caught(nothing[inside], nothing[~inside], 0.01) == pytest.approx(0.01, abs=0.006)
    known = each_in_turn(noise + 2 * inside, inside, ~inside)[OFFLINE]
    d = 2 / np.sqrt(1 + 1 / 7)
    assert auc(known[inside], known[~inside]) == pytest.approx(
        stats.norm.cdf(d / np.sqrt(2)), abs=0.02
    )


def test_intervals_cover():
    """Area and share found of a known law lie within 95 % intervals about as often as they say."""
    d, held = 1.0, np.zeros(2)
    truth = stats.norm.cdf(d / np.sqrt(2)), stats.norm.sf(stats.norm.isf(0.05) - d)
    member = np.arange(400) < 200
    for seed in range(60):
        values = drawn(seed).normal(size=400) + d * member
        found = success(values[None], member[None], ~member[None], (0.05,), 200, drawn(seed + 99))
        for i, (_, low, high) in enumerate((found.auc, found.caught[0])):
            held[i] += low <= truth[i] <= high
    assert (held >= 51).all(), held


def test_false_labels_are_never_true_and_uniform():
    true = drawn(0).integers(0, 10, 20_000)
    false = false_labels(true, 10, drawn(1))
    assert (false != true).all()
    shares = np.bincount((false - true) % 10, minlength=10) / len(true)
    np.testing.assert_allclose(shares[1:], 1 / 9, atol=0.01)


def test_a_teacher_that_memorised_gives_every_false_label_away_and_an_innocent_one_none():
    true = drawn(0).integers(0, 10, 3000)
    false = false_labels(true, 10, drawn(1))
    clean = drawn(2).normal(size=(3000, 10))
    told = clean + 0.01 * np.eye(10)[false] + 5 * np.eye(10)[true]
    assert recovered(told, clean, true, false).all()
    innocent = recovered(drawn(3).normal(size=clean.shape), clean, true, false)
    assert innocent.mean() == pytest.approx(1 / 9, abs=0.02)
    assert by_chance(int(innocent.sum()), 3000, 10) > 0.01
    assert by_chance(3, 3, 10) == pytest.approx((1 / 9) ** 3)
    shares = [0.2, 0.4, 0.3]
    found = interval(MemorisedFacts("x", shares, 9, 30, 0.0))
    wanted = stats.t.interval(0.95, 2, np.mean(shares), stats.sem(shares))
    np.testing.assert_allclose(found, (0.3, *wanted), atol=1e-12)


def test_the_pool_is_what_it_says(finished, analysed):
    task = finished("leakage")
    spec, data = task.spec_as(LeakageTask), load(analysed, DataSpec())
    pool = _pool(spec, data, "cpu")
    n = len(pool.rows)
    mine = torch.from_numpy(data.preprocess(data.train_images[pool.rows]))
    assert torch.equal(pool.images[:n], mine) and len(pool.labels) == 2 * n
    np.testing.assert_array_equal(np.bincount(pool.labels[:n]), np.bincount(pool.labels[n:]))
    for half, places, wrong in zip(pool.inside, pool.planted, pool.false):
        assert half.sum() == n and half[places].all() and (wrong != pool.labels[places]).all()
    assert not (pool.member & ~pool.inside).any()
    assert (pool.inside & ~pool.member).sum() == pool.planted.size
    result = task.result()
    facts = {(x["key"], x["kind"]): x for x in result["leaks"]}
    assert facts["teachers", "teacher"]["members"] == spec.shadows * (n - spec.planted)
    run = choose(analysed, spec.run_keys).runs[0]
    assert facts[run.key, "images"]["others"] == n
    with pytest.raises(SpecError, match="shadows"):
        spec.replace(shadows=7)


def test_means_of_parts_are_means_of_their_class():
    images = torch.arange(12.0).reshape(12, 1, 1, 1)
    labels = np.repeat([0, 1], [8, 4])
    found = _class_means(images, labels, 2, 2, drawn(0)).flatten()
    assert found[:2].mean() == pytest.approx(3.5) and found[2:].mean() == pytest.approx(9.5)
    many = _class_means(images, labels, 2, 8, drawn(0)).flatten()
    assert set(many[8:].tolist()) == {8.0, 9.0, 10.0, 11.0}
