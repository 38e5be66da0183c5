"""Verdicts on made-up results whose truth is known, the decision against scipy, and what is never said."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis import analyses, claims, gallery
from analysis.__main__ import main
from analysis.claims import base as claiming
from analysis.claims import claims as known
from analysis.claims import picture, table
from analysis.claims.base import HOLDS, NOT, OPEN, WORDS, ClaimPart, Evidence, Mark, Verdict
from analysis.runs import Chosen, Run, choose
from analysis.shared import significance
from ddcore.base import paths
from ddcore.base.foreign_text import plain, unescaped
from ddcore.tasks.store import Store
from ddcore.tasks.worker import Context
from tests.analysis.made import made_up
from tests.analysis.made_claims import MADE, METHODS, runs_of
from tests.pages import hostile

EACH = pytest.mark.parametrize("name", list(known()))
EXACT = ("pixels.outside",)  # counted whatever the number of networks
NEEDS = {  # families without which a claim cannot be confirmed
    "mixing.rises": (),
    "features.own_class": ("dm", "mtt"),
    "features.mtt": ("dm", "mtt"),
    "pixels.outside": ("dm", "mtt"),
    "influence.same_class": ("bptt",),
    **dict.fromkeys(("mixing.dip", "mixing.not_alike", "dynamics.full"), ("bptt", "mtt")),
    **dict.fromkeys(
        ("recognition.residual", "dynamics.never_full", "curvature.above"), ("dm", "dc")
    ),
    "curvature.below": ("bptt", "mtt"),
}
few = settings(max_examples=40, deadline=None, derandomize=True)
SEEDS = st.integers(0, 2**32 - 1)


def judged(name: str, sign: int, *, nets: int = 5, seed: int = 0, runs=None) -> Verdict:
    """The verdict on a made-up result, by itself."""
    result, arrays = MADE[name](sign, nets, seed, runs or runs_of())
    return claiming.verdicts([evidence(name, result, arrays)])[0]


def evidence(name: str, result: dict, arrays: dict) -> Evidence:
    """What a claim finds in a made-up result."""
    claim = known()[name]
    return claim.judge(made_up(analyses()[claim.analysis].found, result), arrays)


# --- every claim ----------------------------------------------------------------------------------


def test_every_claim_is_tested():
    assert set(MADE) == set(known())
    files = {p.stem for p in Path(claims.__file__).parent.glob("*.py")}
    used = {c.analysis for c in known().values()}
    assert used == files - {"__init__", "base", "picture", "table"}


@EACH
@pytest.mark.parametrize("seed", range(3))
def test_holds_where_it_is_so_and_not_where_the_opposite_is(name, seed):
    assert judged(name, 1, seed=seed).outcome == HOLDS
    assert judged(name, -1, seed=seed).outcome == NOT


@EACH
def test_nothing_is_claimed_from_one_network(name):
    for sign in (1, -1):
        found = judged(name, sign, nets=1)
        if name in EXACT:
            assert found.outcome == (HOLDS if sign > 0 else NOT)
        else:
            assert found.outcome == OPEN
            assert claiming.ONE_NETWORK in found.why.lower()


@EACH
def test_a_missing_family_leaves_it_open_and_is_named(name):
    for method in METHODS:
        family = "gm" if method == "dc" else method
        runs = [run for run in runs_of() if run["method"] != method]
        found = judged(name, 1, runs=runs)
        if method in NEEDS.get(name, METHODS):
            assert found.outcome == OPEN
            assert claiming.NAMES[family] in found.why
        else:
            assert found.outcome == HOLDS


@EACH
def test_sets_of_no_family_are_no_part_of_it(name):
    other = {"key": "f" * 16, "method": "idc", "label": "x", "ipc": 10, "images": 100}
    found = judged(name, 1, runs=[*runs_of(), other])
    assert found.outcome == HOLDS
    assert "IDC" not in str([part.what for part, _ in found.parts])
    assert judged(name, 1, runs=[other]).outcome == (HOLDS if name == "mixing.rises" else OPEN)


@pytest.mark.parametrize("name", [n for n in known() if n != "mixing.rises"])  # of random images
def test_several_sets_of_a_method_all_have_to_be_so(name):
    """The second set of each method is like the opposite of the first."""
    both = runs_of([*METHODS, *METHODS])
    good, arrays = MADE[name](1, 5, 0, both)
    bad, others = MADE[name](-1, 5, 0, both)
    assert claiming.verdicts([evidence(name, good, arrays)])[0].outcome == HOLDS
    names = claiming.shorts([Run(**run) for run in both])
    assert list(names.values())[4:] == ["BPTT 2", "DM 2", "GM 2", "MTT 2"]
    for run in both[4:]:
        swap(good, bad, run["key"])
        arrays |= {k: v for k, v in others.items() if k.endswith(run["key"])}
    assert claiming.verdicts([evidence(name, good, arrays)])[0].outcome == NOT


def swap(good: dict, bad: dict, key: str) -> None:
    """Give a run of one result what it has in another."""
    for part in ("recognised", "agreement", "sets"):
        if part in good:
            good[part][key] = bad[part][key]
    if "sources" in good:
        place = [s["key"] for s in good["sources"]].index(key)
        good["accuracy"][place] = bad["accuracy"][place]


@EACH
def test_missing_arrays_leave_it_open(name):
    result, arrays = MADE[name](1, 5, 0, runs_of())
    if not arrays:
        return
    found = claiming.verdicts([evidence(name, result, {})])[0]
    assert found.outcome == OPEN
    assert "arrays of the result are missing" in found.why


@EACH
def test_says_what_was_published_and_where_it_was_read(name):
    claim = known()[name]
    assert claim.id == name
    assert name.split(".")[0] == claim.analysis
    assert claim.statement.endswith(".")
    assert len(claim.statement) <= 120
    assert claim.published.text
    assert claim.published.read
    assert set(claim.setting) <= {f.name for f in fields(analyses()[claim.analysis].spec)}
    found = evidence(name, *MADE[name](1, 3, 0, runs_of()))
    assert found.marks
    assert found.n
    assert found.tested
    assert found.varies
    assert "nan" not in found.ours


# --- what cannot be ---------------------------------------------------------------------------------


OTHER = {"bptt": "dm", "dm": "bptt", "mtt": "dc", "dc": "mtt"}
# What is said of some sets, and what is said of the same ones once the families have changed places.
CONTRARY = (
    ("recognition.roles", "recognition.roles", OTHER),
    ("features.mtt", "features.mtt", {"dm": "mtt", "mtt": "dm"}),
    ("curvature.below", "curvature.above", OTHER),
    ("dynamics.full", "dynamics.never_full", OTHER),
)


@few
@given(SEEDS, st.integers(2, 6), st.sampled_from([-1, 1]), st.floats(0.1, 100))
def test_swapped_roles_never_both_hold(seed, nets, sign, noise):
    for one, other, places in CONTRARY:
        result, arrays = shaken(*MADE[one](sign, nets, seed, runs_of()), seed, noise)
        swapped = copy.deepcopy(result)
        for run in swapped["runs"]:
            run["method"] = places.get(run["method"], run["method"])
        found = [
            claiming.verdicts([evidence(name, r, arrays)])[0].outcome
            for name, r in ((one, result), (other, swapped))
        ]
        assert found != [HOLDS, HOLDS], (one, other)


def shaken(result: dict, arrays: dict, seed: int, noise: float) -> tuple[dict, dict]:
    """The same with so much more noise, in points, that either may be seen."""
    draw = np.random.default_rng(seed)
    result = copy.deepcopy(result)
    for part in ("recognised", "agreement"):
        for key, values in result.get(part, {}).items():
            moved = np.array(values) + noise / 100 * draw.normal(size=np.shape(values))
            result[part][key] = moved.tolist()
    shift = {k: noise * draw.normal(size=(len(v), *[1] * (v.ndim - 1))) for k, v in arrays.items()}
    for key in [k for k in arrays if k.startswith("samples.")]:
        arrays[key] = arrays[key] + shift[key]
    for key in [k for k in arrays if k.startswith("accuracy.")]:
        arrays[key] = np.clip(arrays[key] + shift[key] / 100, 0, 1)
    return result, arrays


@few
@given(SEEDS, st.integers(2, 8), st.floats(0.01, 3))
def test_both_directions_are_never_shown(seed, n, scale):
    draw = np.random.default_rng(seed)
    differences = draw.normal(draw.normal(), scale, n)
    parts = [
        claiming.paired("a", differences, significance.GREATER),
        claiming.paired("a", differences, significance.LESS),
        claiming.within("a", differences, 1.0),
        claiming.at_most("a", differences, 1.0),
        claiming.signs("a", np.round(differences), "classes"),
    ]
    for part in parts:
        one = claiming.verdicts([Evidence(parts=(part,))])[0]
        turned = ClaimPart(part.what, part.measured, part.against, part.p)
        two = claiming.verdicts([Evidence(parts=(turned,))])[0]
        assert {one.outcome, two.outcome} in ({HOLDS, NOT}, {OPEN})
    up, down = (claiming.verdicts([Evidence(parts=(p,))])[0].outcome for p in parts[:2])
    assert {up, down} in ({HOLDS, NOT}, {OPEN})


@few
@given(SEEDS, st.integers(2, 9))
def test_parts_are_scipys_tests(seed, n):
    draw = np.random.default_rng(seed)
    x = draw.normal(0.5, 1, n)
    for direction in (significance.LESS, significance.GREATER):
        part = claiming.paired("a", x, direction)
        assert part.p == pytest.approx(stats.ttest_1samp(x, 0, alternative=direction).pvalue)
        assert part.against == pytest.approx(1 - part.p)
    within = claiming.within("a", x, 2.0)
    sides = [
        stats.ttest_1samp(x, 2, alternative="less").pvalue,
        stats.ttest_1samp(x, -2, alternative="greater").pvalue,
    ]
    assert within.p == pytest.approx(max(sides))
    assert within.against == pytest.approx(min(1, 2 * min(1 - p for p in sides)))
    signs = np.sign(np.round(x))
    part, above, all_ = claiming.signs("a", signs, "classes"), (signs > 0).sum(), (signs != 0).sum()
    if all_ >= 2:
        assert part.p == pytest.approx(stats.binomtest(above, all_, alternative="greater").pvalue)
        assert part.against == pytest.approx(
            stats.binomtest(above, all_, alternative="less").pvalue
        )
    else:
        assert np.isnan(part.p)


@pytest.mark.parametrize("seed", range(10))
def test_all_parts_of_a_table_are_corrected_together(seed):
    draw = np.random.default_rng(seed)
    p = draw.random((12, 2)) ** 3
    evidence = [Evidence(parts=tuple(ClaimPart("a", "", v, 1 - v) for v in row)) for row in p]
    found = claiming.verdicts(evidence)
    adjusted = stats.false_discovery_control(np.stack([p, 1 - p], -1).ravel()).reshape(12, 2, 2)
    for verdict, shown in zip(found, adjusted <= 0.05):
        want = NOT if shown[:, 1].any() else HOLDS if shown[:, 0].all() else OPEN
        assert verdict.outcome == want
    two = 2 * np.minimum(p, 1 - p)  # the same as correcting two-sided p values
    assert (
        (adjusted <= 0.05).any(-1)
        == (stats.false_discovery_control(two.ravel()) <= 0.05).reshape(two.shape)
    ).all()


def test_chance_alone_rarely_decides():
    """Twenty claims of three parts each, five networks, nothing behind them."""
    draw = np.random.default_rng(0)
    decided = 0
    for _ in range(300):
        values = draw.normal(size=(20, 3, 5))
        evidence = [
            Evidence(parts=tuple(claiming.paired("a", v, significance.GREATER) for v in row))
            for row in values
        ]
        decided += any(v.outcome != OPEN for v in claiming.verdicts(evidence))
    assert decided / 300 < 0.08


def test_a_reason_not_to_know_stops_no_refutation():
    against, for_ = ClaimPart("a", "", 0.99999, 1e-5), ClaimPart("b", "", 1e-5, 0.99999)
    one, two, three = claiming.verdicts(
        [
            Evidence(parts=(against, for_), cannot=("no set of x",)),
            Evidence(parts=(for_,), cannot=("no set of x",)),
            Evidence(),
        ]
    )
    assert (one.outcome, two.outcome, three.outcome) == (NOT, OPEN, OPEN)
    assert two.why.startswith("No set of x")


@pytest.mark.parametrize(
    "so, outcome", [([1, 1], HOLDS), ([0, 0], NOT), ([1, 0], OPEN), ([1], OPEN)]
)
def test_what_is_counted_is_said_where_all_networks_agree(so, outcome):
    assert claiming.counted("a", so).counted == outcome
    assert claiming.verdicts([Evidence(parts=(claiming.counted("a", so),))])[0].outcome == outcome


def test_curves_that_end_early_or_rise_by_the_ceiling_alone_say_nothing():
    runs = runs_of()
    result, arrays = MADE["curvature.below"](1, 5, 0, runs)
    assert "traces end at iteration 270" in judge(
        "curvature.below", {**result, "last": 270}, arrays
    )
    result, arrays = MADE["mixing.meet"](1, 5, 0, runs)
    assert "at most 50 real images" in judge("mixing.meet", {**result, "added": [0, 2, 10, 50]}, {})
    result, arrays = MADE["dynamics.plateau"](1, 5, 0, runs)
    short = {k: v[:20] if k == "steps" else v[:, :20] for k, v in arrays.items()}
    assert "training ends at iteration 190" in judge("dynamics.plateau", result, short)
    high = {k: np.ones_like(v) if k.startswith("acc") else v for k, v in arrays.items()}
    high["accuracy.test"] = arrays["accuracy.test"]
    assert "at the ceiling of 100 %" in judge("dynamics.plateau", result, high)
    assert "At the ceiling" in judge("dynamics.plateau", result, arrays, HOLDS)


def test_traces_are_compared_as_shares_where_the_real_one_is_positive():
    """Networks of very different scale agree in the share; where real is negative there is none."""
    runs = runs_of()
    result, arrays = MADE["curvature.below"](1, 4, 0, runs)
    scale = np.array([1.0, 3.0, 9.0, 30.0])[:, None, None]
    scaled = {k: v * scale if k.startswith("samples.") else v for k, v in arrays.items()}
    assert "share of the real one" in judge("curvature.below", result, scaled, HOLDS)
    lower = {k: v - 200.0 if k.startswith("samples.") else v for k, v in arrays.items()}
    assert "share" not in judge("curvature.below", result, lower, HOLDS)
    assert not evidence("curvature.below", result, lower).marks


def judge(name: str, result: dict, arrays: dict, outcome: str = OPEN) -> str:
    """Why a result is judged so, in small letters where it is the first reason."""
    found = claiming.verdicts([evidence(name, result, arrays)])[0]
    assert found.outcome == outcome
    return found.why[:1].lower() + found.why[1:]


def test_sets_of_8_bit_pixels_say_nothing_of_the_range():
    runs = runs_of()
    result, _ = MADE["pixels.outside"](-1, 1, 0, runs)
    result["eight_bit"] = [run["key"] for run in runs]
    assert "from 8-bit pixels" in judge("pixels.outside", result, {})
    del result["eight_bit"]  # of an older result
    assert judged("pixels.outside", -1).outcome == NOT


# --- the table --------------------------------------------------------------------------------------


def shipped() -> tuple[Store, Chosen]:
    """The shipped analyses of four methods on digits."""
    store = Store(paths.GALLERY, gallery=None)
    return store, choose(store, [run.key for run in gallery.runs()])


def test_the_shipped_analyses_are_judged():
    store, chosen = shipped()
    lines = table.lines(store, table.tasks(store, chosen, "quick"))
    assert [line.claim.id for line in lines] == list(known())
    assert all(line.verdict for line in lines)
    counts = [sum(line.verdict.outcome == o for line in lines) for o in (HOLDS, NOT, OPEN)]
    said = [int(n) for n in re.findall(r"\d+", table.summary(lines))]
    assert said == [counts[0], len(lines), *counts[1:]]
    for line in lines:
        assert any("Digits instead of CIFAR-10" in text for text in line.differs)
        assert json.dumps(table.facts(line), allow_nan=False)
        assert line.word == WORDS[line.verdict.outcome] == table.facts(line)["verdict"]
    curved = [line for line in lines if line.claim.analysis == "curvature"]
    assert all(claiming.ONE_NETWORK in line.verdict.why.lower() for line in curved)


def test_what_is_not_there_is_said():
    store, chosen = shipped()
    found = table.tasks(store, chosen, "published")
    lines = table.lines(store, found)
    assert {line.word for line in lines} == {table.MISSING}
    text = f"{len(lines)} are not computed yet."
    assert table.summary(lines).endswith(text)
    only = {"pixels": table.tasks(store, chosen, "quick")["pixels"], "mixing": "No answer."}
    lines = {line.claim.id: line for line in table.lines(store, only)}
    assert lines["pixels.outside"].verdict.outcome == HOLDS
    assert lines["mixing.dip"].trouble == "No answer."
    assert table.summary(list(lines.values())).startswith(f"**1 of {len(lines)}** findings holds")


def test_the_same_with_more_networks_is_judged_instead(tmp_path):
    from analysis.suite.curvature.spec import CurvatureTask

    def put(**changes) -> str:
        task = store.create(spec := wanted.replace(**changes))
        Context(store, task, spec, "cpu").save_result({})
        task.finish()
        return task.key

    store = Store(tmp_path, gallery=None)
    wanted = CurvatureTask(run_keys=("a" * 16,), nets=1)
    assert table.largest(store, wanted) == store.task(wanted)
    put(nets=3, probes=7)  # something else
    store.create(wanted.replace(nets=9))  # not finished
    assert table.largest(store, wanted).key == wanted.key
    three, _ = put(nets=3), put(nets=2)
    assert table.largest(store, wanted).key == three
    assert table.largest(store, wanted.replace(nets=4)).key == wanted.replace(nets=4).key
    (store.task(wanted.replace(nets=3)).folder / "spec.json").write_text("{")
    assert table.largest(store, wanted).key == wanted.replace(nets=2).key


def test_a_damaged_result_hurts_no_other(tmp_path):
    import shutil

    _, chosen = shipped()
    copied = tmp_path / "gallery"
    shutil.copytree(paths.GALLERY, copied)
    store = Store(copied, gallery=None)
    found = table.tasks(store, chosen, "quick")
    files = list(found["dynamics"].folder.glob("*.safetensors"))
    assert files
    for file in files:
        file.write_bytes(b"x" + file.read_bytes()[1:])
    lines = {line.claim.id: line for line in table.lines(store, found)}
    assert lines["dynamics.full"].verdict is None
    assert lines["dynamics.full"].trouble
    assert lines["pixels.outside"].verdict.outcome == HOLDS


def test_a_measured_reason_is_shown_for_its_result_only():
    import dataclasses

    name = "recognition.roles"
    claim = dataclasses.replace(known()[name], explained={"a" * 16: "Too easy."})
    open_, holds = judged(name, 1, nets=1), judged(name, 1)
    assert table.ClaimLine(claim, open_, key="a" * 16).explained == "Too easy."
    assert table.ClaimLine(claim, open_, key="b" * 16).explained == ""
    assert table.ClaimLine(claim, holds, key="a" * 16).explained == ""


@EACH
def test_differences_from_the_paper_are_named(name):
    claim, runs = known()[name], runs_of()
    result, _ = MADE[name](1, 2, 0, runs)
    kind = analyses()[claim.analysis].found
    same = made_up(kind, result)
    assert claiming.differs(same, dict(claim.setting), claim.setting) == []
    result["data"] = {"name": "digits", "preprocess": "zca", "resolution": 16}
    result["data_label"], runs[0]["ipc"] = "Digits", 1
    spec = {k: ("x",) if isinstance(v, tuple) else 7 for k, v in claim.setting.items()}
    said = "; ".join(claiming.differs(made_up(kind, result), spec, claim.setting))
    assert said.startswith("Digits instead of CIFAR-10; ")
    assert "whitened" in said
    assert "1, 10 per class instead of 10" in said
    assert said.count(" instead of ") == 2 + len(claim.setting)


# --- the picture ------------------------------------------------------------------------------------


@few
@given(
    st.lists(st.tuples(st.floats(-5000, 5000), st.floats(0, 100)), min_size=1, max_size=5),
    st.sampled_from(["%", "points", "% of real"]),
    st.sampled_from([None, 0.0, 100.0]),
)
def test_the_axis_holds_everything(values, unit, reference):
    marks = tuple(Mark("DM", "dm", v, s, (v - 1.0,)) for v, s in values)
    low, high, step = picture.axis(Evidence(marks=marks, unit=unit, reference=reference))
    assert low < high
    slack = 1e-6 * max(abs(low), abs(high))
    for v, s in values:
        assert low - slack <= v - s
        assert v <= high + slack
        assert v + s <= high + slack or (unit.startswith("%") and high == 100)
    assert (high - low) / step <= 2 * picture.STEPS
    assert low / step == pytest.approx(round(low / step))


def test_foreign_labels_are_no_markup_in_it():
    name = f'{hostile.NAME} " onload="x'
    mark = Mark("DM", "dm", 1.0, 0.1, (2.0, 3.0), plain(name))
    drawn = picture.html(Evidence(marks=(mark,)))
    assert not any(raw in drawn for raw in ("<img", "![x]", '" onload'))
    assert "foreign.invalid" in unescaped(drawn)
    assert "2–3" in drawn
    assert picture.html(Evidence()) == ""


# --- elsewhere --------------------------------------------------------------------------------------


def test_command_line(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("DD_CACHE", str(tmp_path))
    store, chosen = shipped()
    lines = table.lines(store, table.tasks(store, chosen, "quick"))
    keys = [run.key[:10] for run in chosen.runs]
    assert main(["paper", *keys, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["answer"] == table.summary(lines)
    assert [row["verdict"] for row in answer["rows"]] == [line.word for line in lines]
    assert main(["paper", *keys]) == 0
    text = capsys.readouterr().out
    for line in lines:
        assert f"{line.word.upper()}  {line.claim.statement}" in text
        assert line.claim.published.read in text
    assert main(["paper", *keys, "--preset", "nothing"]) == 2


def test_report_judges_several_analyses_and_not_one():
    from analysis.report import html

    store, chosen = shipped()
    found = table.tasks(store, chosen, "quick")
    some = {name: found[name] for name in ("pixels", "agreement", "dynamics")}
    page = html(list(some.values()), store)
    lines = [line for line in table.lines(store, some, plain) if line.verdict]
    assert page.count("<summary>Why</summary>") == len(lines)
    for line in lines:
        assert line.verdict.word in page
    assert "The paper, here" not in html([found["pixels"]], store)


def test_importing_needs_nothing_heavy():
    code = (
        "import sys; from analysis.claims import claims, table, picture; claims();"
        "bad = {'torch', 'plotly', 'matplotlib', 'streamlit', 'pandas', 'scipy'} & set(sys.modules);"
        "sys.exit(', '.join(sorted(bad)) or 0)"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=paths.PROJECT, capture_output=True)
    assert found.returncode == 0, found.stderr
