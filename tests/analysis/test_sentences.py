"""Sentences say what the numbers say, whatever these are: made-up results, held against scipy and by hand."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.shared.sources import RANDOM, SET
from analysis.suite.agreement.compute import lead as agreement_lead
from analysis.suite.agreement.compute import summaries
from analysis.suite.agreement.figures import sentence as agreement_sentence
from analysis.suite.agreement.result import AgreementFound
from analysis.suite.agreement.spec import EARLY, PAIR, SUBSET
from analysis.suite.curvature.figures import per_cent
from analysis.suite.curvature.figures import sentence as curvature_sentence
from analysis.suite.curvature.maths import courses, smooth
from analysis.suite.curvature.result import CurvatureFound
from analysis.suite.curvature.spec import REAL
from analysis.suite.dynamics.compute import facts as dynamics_facts
from analysis.suite.dynamics.figures import sentence as dynamics_sentence
from analysis.suite.dynamics.result import DynamicsFound
from analysis.suite.dynamics.spec import TEST
from analysis.suite.features.figures import sentence as features_sentence
from analysis.suite.features.result import FeaturesFound
from analysis.suite.features.spec import REAL as features_REAL
from analysis.suite.mixing.figures import sentence as mixing_sentence
from analysis.suite.mixing.result import MixingFound
from analysis.suite.sensitivity.figures import sentence as sensitivity_sentence
from analysis.suite.sensitivity.result import SensitivityFound
from analysis.suite.transfer.figures import sentence as transfer_sentence
from analysis.suite.transfer.figures import shown as transfer_shown
from analysis.suite.transfer.result import TransferFound
from tests.analysis.made import made_up

SEEDS = st.integers(0, 2**32 - 1)
few = settings(max_examples=60, deadline=None, derandomize=True)


def discovered(p: np.ndarray) -> np.ndarray:
    """Benjamini-Hochberg at 5 %, with scipy; what cannot be tested is no test."""
    found, known = np.zeros(p.shape, bool), np.isfinite(p)
    if known.any():
        found[known] = stats.false_discovery_control(p[known]) <= 0.05
    return found


def less(differences: np.ndarray) -> np.ndarray:
    """One-sided p of differences (..., n), NaN of one."""
    n = differences.shape[-1]
    if n < 2:
        return np.full(differences.shape[:-1], np.nan)
    return stats.ttest_1samp(differences, 0, axis=-1, alternative="less").pvalue


# --- curvature --------------------------------------------------------------------------------------


def curves(seed: int, nets: int, noise: float) -> dict[str, np.ndarray]:
    """Traces of two sets and real images, which cross at random; noise that sets share, and their own."""
    draw = np.random.default_rng(seed)
    moments, probes = draw.integers(2, 9), draw.integers(2, 8)
    shared = noise * draw.normal(size=(nets, moments, probes))
    arrays = {"steps": np.arange(moments) * 10}
    for key in ("a", "b", REAL):
        level = draw.normal(1, 1, size=moments)
        if draw.random() < 0.5:
            level = 3 + level.cumsum() / 2
        own = 0.2 * noise * draw.normal(size=(nets, moments, probes))
        arrays[f"samples.{key}"] = level[None, :, None] + shared + own
    return arrays


def told(arrays: dict, nets: int) -> tuple[dict, str]:
    """The facts of made-up curves, and the sentence."""
    found = courses(arrays, 10)
    runs = [{"key": k, "label": f"Set {k}", "method": "dm"} for k in ("a", "b")]
    last = int(arrays["steps"][-1])
    result = {"runs": runs, "sets": found, "nets": nets, "every": 10, "last": last}
    return found, curvature_sentence(made_up(CurvatureFound, result))


@few
@given(SEEDS, st.integers(1, 5), st.sampled_from([0.01, 0.3, 2.0]))
def test_below_the_real_one_holds_from_there_to_the_end(seed, nets, noise):
    arrays = curves(seed, nets, noise)
    found, text = told(arrays, nets)
    steps = arrays["steps"].tolist()
    gaps = {k: arrays[f"samples.{k}"] - arrays[f"samples.{REAL}"] for k in ("a", "b")}
    for view in ("raw", "smooth"):
        each = [g[0] if nets == 1 else g.mean(-1).T for g in gaps.values()]
        if view == "smooth":
            each = [smooth(g, 10) for g in each]
        claimed = discovered(np.array([less(g) for g in each]))
        for key, own, gap in zip(gaps, claimed, each):
            known = found[key][view]
            peak = steps.index(known.peak_at)
            wanted = [steps[i] for i in range(peak, len(steps)) if own[i:].all()]
            assert known.below == (wanted[0] if wanted else None)
            if wanted:
                assert (gap.mean(-1)[steps.index(wanted[0]) :] < 0).all()
    parts = text.split("On the sets: ")[1].split(". Tested")[0].split("; ")
    for key, part in zip(("a", "b"), parts):
        known = found[key]["smooth"]
        assert ("below the real one from" in part or "below the real one at" in part) == (
            known.below is not None
        )
        share = re.search(r"ends at (\S+) % of the real one", part)
        if "not shown to be below" in part:
            assert known.below is None
            assert not share or float(share[1]) < 100
        elif "not below it" in part:
            assert known.below is None
            assert float(share[1]) >= 100
        elif known.below is not None:
            assert not share or float(share[1]) < 100
        assert "never" not in part
    assert ("one network alone" in text) == (nets == 1)


def test_a_curve_that_comes_back_is_not_below_from_then_on():
    """Below for a while, above at the end: an early crossing is no crossing."""
    own, real = np.array([0, 9, 3, 2, 9.0]), np.array([0, 5, 5, 5, 5.0])
    noise = 0.01 * np.array([-1, 0, 1.0])
    arrays = {"steps": np.arange(5) * 10, f"samples.{REAL}": real[None, :, None] + 0 * noise}
    arrays |= {f"samples.{k}": own[None, :, None] + noise for k in "ab"}
    assert told(arrays, 1)[0]["a"]["raw"].below is None
    for key in "ab":
        arrays[f"samples.{key}"][:, -1] -= 8
    assert told(arrays, 1)[0]["a"]["raw"].below == 20


@pytest.mark.parametrize(("share", "text"), [(0.89, "89 %"), (0.998, "99.8 %"), (1.0, "100 %")])
def test_a_part_is_never_printed_as_the_whole(share, text):
    assert per_cent(share) == text


# --- accuracies -------------------------------------------------------------------------------------


@few
@given(SEEDS, st.integers(1, 6), st.sampled_from([0.001, 0.02]))
def test_sensitivity_counts_what_was_shown(seed, nets, noise):
    draw = np.random.default_rng(seed)
    names = ("a", "b", "random.1")
    accuracy = 0.8 + 0.03 * draw.normal(size=(3, 7, 1)) + noise * draw.normal(size=(3, 7, nets))
    sources = [
        {"key": k, "method": "" if "random" in k else "dm", "label": f"Set {k}", "ipc": 1}
        for k in names
    ]
    levels = [{"factor": "", "name": "as it is"}]
    levels += [{"factor": "step_size", "name": str(i)} for i in range(6)]
    result = {"sources": sources, "levels": levels, "accuracy": accuracy.tolist(), "nets": nets}
    text = sensitivity_sentence(made_up(SensitivityFound, result))
    if nets == 1:
        assert "shown" not in text
        assert "nothing is said of chance" in text
        return
    change = accuracy - accuracy[:, :1]
    shown = discovered(less((change - change[2])[:2, 1:]))
    assert [int(n) for n in re.findall(r"under (\d) of 6", text)] == shown.sum(1).tolist()
    worst = [float(p.replace("−", "-")) for p in re.findall(r"\*\*(\S+) points", text)]
    np.testing.assert_allclose(worst, 100 * change.mean(2)[:2, 1:].min(1), atol=0.051)


@few
@given(SEEDS, st.integers(1, 6), st.sampled_from([0.0, 0.001, 0.02]))
def test_transfer_speaks_of_shares_of_shown_gains_only(seed, nets, noise):
    draw = np.random.default_rng(seed)
    kinds = {"a": SET, "b": SET, "random.1": RANDOM}
    level = 0.8 + 0.02 * draw.normal(size=(3, 3, 1))
    accuracy = level + noise * draw.normal(size=(3, 3, nets))
    result = {
        "sources": [
            {"key": k, "method": "dm", "label": f"Set {k}", "ipc": 1, "kind": kind}
            for k, kind in kinds.items()
        ],
        "networks": [
            {"name": f"N{i}", "plain": False, "family": f"f{i}", "width": 4} for i in range(3)
        ],
        "architectures": [0, 1, 2],
        "home": {"a": 0, "b": 1},
        "accuracy": accuracy.tolist(),
        "nets": nets,
    }
    result = made_up(TransferFound, result)
    text = transfer_sentence(result)
    own = np.stack([accuracy[i, i] - accuracy[2, i] for i in range(2)])
    clear = discovered(less(-own)) if noise else np.zeros(2, bool)
    assert transfer_shown(result) == dict(zip("ab", clear.tolist()))
    assert text.count("gains **") == clear.sum()
    assert text.count("of that") == clear.sum()
    assert ("±" in text) == (nets > 1)
    assert text.count("not shown to be a gain") == (2 - clear.sum() if nets > 1 else 0)
    assert not re.search(r"gains \*\*(−|\+0\.0 points)", text)


@few
@given(SEEDS, st.integers(1, 4), st.integers(1, 4))
def test_agreement_shows_no_more_leads_than_there_are(seed, nets, others):
    draw = np.random.default_rng(seed)
    sets, leads = {}, []
    for key in ("a", "b", "c"):
        pairs = {}
        for pool in (EARLY, SUBSET):
            net, other = (a.ravel() for a in np.indices((nets, others)))
            rows = np.full((len(net), len(PAIR)), 0.5)
            rows[:, 0], rows[:, 1] = net, other
            values = draw.normal(0.8, 0.02) + 0.003 * draw.normal(size=len(net))
            rows[:, PAIR.index("agreement")] = values
            pairs[pool] = rows
        leads.append(agreement_lead(pairs))
        sets[key] = {"accuracy": [0.5] * nets, **summaries(pairs), "lead": leads[-1]}
    runs = [{"key": k, "label": f"Set {k}"} for k in sets]
    text = agreement_sentence(made_up(AgreementFound, {"runs": runs, "sets": sets, "gap": 0.03}))
    ahead = int(re.search(r"\*\*(\d) of 3\*\*", text)[1])
    assert ahead == sum(lead.mean > 0 for lead in leads)
    shown = re.search(r"shown for (\d)", text)
    if nets == 1 or others == 1:
        assert not shown
        assert all(lead.p is lead.error is None for lead in leads)
        assert "nothing is said of chance" in text
    else:
        assert int(shown[1]) == discovered(np.array([lead.p for lead in leads])).sum() <= ahead


@pytest.mark.parametrize("nets", [1, 3])
def test_no_spread_of_one_network(nets):
    """Mixing and the map of features give means; their spread needs two."""
    draw = np.random.default_rng(nets)
    sources = [
        {"key": k, "method": m, "label": k, "ipc": 1} for k, m in (("Set a", "dm"), ("random", ""))
    ]
    accuracy = draw.uniform(0.5, 0.9, (2, 2, nets))
    mixed = {"sources": sources, "accuracy": accuracy.tolist(), "added": [0, 1]}
    text = mixing_sentence(made_up(MixingFound, mixed))
    gain = 100 * (accuracy[0, 1] - accuracy[0, 0])
    shares = {"a": draw.uniform(0.5, 0.9, nets).tolist(), features_REAL: [0.9] * nets}
    near = {"runs": [{"key": "a", "label": "Set a"}], "agreement": shares, "neighbours": 5}
    other = features_sentence(made_up(FeaturesFound, near))
    if nets == 1:
        assert "±" not in text + other
        assert "n = 1 network" in text
        assert other.count("% (n = 1)") == 2
    else:
        assert f"± {np.std(gain, ddof=1):.1f}" in text
        assert f"± {100 * np.std(shares['a'], ddof=1):.1f} % (n = 3)" in other


@few
@given(SEEDS)
def test_after_a_plateau_nothing_rises_beyond_the_tolerance(seed):
    draw = np.random.default_rng(seed)
    steps, images = np.arange(0, 210, 10), int(draw.integers(5, 300))
    arrays = {}
    for key in ("a", TEST):
        rise = np.minimum(draw.integers(0, 4, len(steps)).cumsum() / 30, draw.uniform(0.3, 1))
        arrays[f"accuracy.{key}"] = np.round(rise * images)[None] / images
        arrays[f"loss.{key}"] = 1 - arrays[f"accuracy.{key}"]
    sets = {k: dynamics_facts(steps, arrays, k, images) for k in ("a", TEST)}
    result = {"runs": [{"key": "a", "label": "Set a"}], "sets": sets}
    text, known = dynamics_sentence(made_up(DynamicsFound, result)), sets["a"]
    curve = arrays["accuracy.a"][0]
    if known.plateau is None:
        assert "No set's recognition stops rising early enough" in text
        return
    start = steps.tolist().index(known.plateau)
    assert curve[start:].max() - curve[: start + 1].max() <= max(0.01, 1 / images) + 1e-6
    assert f"Set a from iteration {known.plateau}" in text
    gain = float(re.search(r"changes by (\S+) points", text)[1])
    test = arrays[f"accuracy.{TEST}"][0]
    assert gain == pytest.approx(100 * (test[-1] - test[start]), abs=0.051)
