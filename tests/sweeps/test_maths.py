"""The statistics of a sweep against scipy, numpy and the standard library."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
from scipy import stats

from analysis.sweeps import maths, tables
from analysis.sweeps.maths import CellResult, SweepRow
from ddcore.base.errors import SpecError
from ddcore.sweeps import axes, cells


def row(at: dict, tests, validations=None, seeds: int | None = None) -> SweepRow:
    """A row with results for seeds 0, 1, ..."""
    validations = tests if validations is None else validations
    random = {"mean": 0.5, "std": 0.1, "n": 10}
    results = {
        str(i): CellResult(
            float(t), 0.01 * (i + 1), 2, None if v is None else float(v), random, "c"
        )
        for i, (t, v) in enumerate(zip(tests, validations))
    }
    place = {"method": "dm", "dataset": "digits", "preset": "quick", "ipc": "1", **at}
    return SweepRow(tuple(place.items()), results, seeds or len(results), 0)


def test_means_and_spreads_are_over_seeds():
    drawn = np.random.default_rng(0).uniform(size=5)
    found = row({}, drawn)
    assert found.test == pytest.approx(
        {"mean": np.mean(drawn), "std": statistics.stdev(drawn), "n": 5}
    )
    deviations = [0.01, 0.02, 0.03, 0.04, 0.05]
    assert found.networks == pytest.approx(np.sqrt(np.mean(np.square(deviations))))
    assert found.random == {"mean": 0.5, "std": 0.1, "n": 10}  # shared: not averaged over seeds


def test_one_seed_has_no_spread_and_no_test():
    asked = axes.make(method=["dm", "dc"])
    rows = [row({"method": "dm"}, [0.5]), row({"method": "dc"}, [0.9])]
    assert rows[0].test["std"] is None
    (found,) = maths.comparison(asked, rows)
    assert (found.n, found.deviation, found.low, found.claimed) == (1, None, None, False)
    assert np.isnan(found.p) and found.mean == pytest.approx(0.4)
    assert "±" not in tables.lines(asked, rows)[0]["Test accuracy"]
    assert "No difference can be tested" in tables.difference_text([found])


def test_differences_are_those_of_scipy():
    rng = np.random.default_rng(1)
    names = ["dm", "dc", "bptt", "mtt"]
    asked = axes.make(method=names, ipc=["1", "10"], seed=["0-5"])
    drawn = {
        (m, i): rng.normal(0.6 + 0.03 * k, 0.05, 6)
        for k, m in enumerate(names)
        for i in ("1", "10")
    }
    rows = [row({"method": m, "ipc": i}, values) for (m, i), values in drawn.items()]
    found = maths.comparison(asked, rows)
    assert len(found) == 6
    theirs = [
        stats.ttest_rel(drawn[d.row.at["method"], d.row.at["ipc"]], drawn["dm", d.row.at["ipc"]])
        for d in found
    ]
    assert [d.p for d in found] == pytest.approx([t.pvalue for t in theirs])
    for ours, test in zip(found, theirs):
        interval = test.confidence_interval(0.95)
        assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high))
    below = stats.false_discovery_control([t.pvalue for t in theirs]) <= 0.05
    assert [d.claimed for d in found] == below.tolist()
    assert 0 < sum(d.claimed for d in found) < 6  # both answers occur here


def test_only_seeds_that_both_have_are_paired():
    asked = axes.make(method=["dm", "dc"], seed=["0-4"])
    long, short = [0.5, 0.6, 0.7, 0.9, 0.1], [0.55, 0.66, 0.71]
    rows = [row({"method": "dm"}, long), row({"method": "dc"}, short, seeds=5)]
    (found,) = maths.comparison(asked, rows)
    assert found.n == 3 and found.p == pytest.approx(stats.ttest_rel(short, long[:3]).pvalue)


def test_validation_chooses_and_test_images_only_report():
    asked = axes.make(method=["dm", "dc"], seed=["0-1"], settings=["lr=0.1,1"])
    rows = [
        row({"method": "dm", "lr": "0.1"}, [0.9, 0.9], [0.5, 0.5]),
        row({"method": "dm", "lr": "1"}, [0.6, 0.7], [0.8, 0.7]),
        row({"method": "dc", "lr": "0.1"}, [0.5, 0.4], [0.6, 0.6]),
        row({"method": "dc", "lr": "1"}, [0.5, 0.6], [0.4, None]),
    ]
    own = maths.chosen(asked, rows)
    assert [(c.row.at["method"], c.row.at["lr"]) for c in own] == [("dm", "1"), ("dc", "0.1")]
    assert [(c.compared, c.left_out) for c in own] == [(2, 0), (1, 1)]
    (best,) = maths.winners(asked, rows)
    assert best.row is rows[1] and (best.compared, best.left_out) == (3, 1)
    told = tables.headline(asked, rows)
    assert "dm, lr 1, best of 3 on validation images; on test images 65.0 ± 7.1 % (n = 2)" in told
    assert "(1 not compared" in told
    # Methods meet at what was chosen for each.
    (found,) = maths.comparison(asked, rows)
    assert (found.row, found.against) == (rows[2], rows[1])


def test_a_row_without_all_its_seeds_is_not_chosen():
    asked = axes.make(method=["dm", "dc"], seed=["0-1"])
    rows = [row({"method": "dm"}, [0.5, 0.5]), row({"method": "dc"}, [0.9], seeds=2)]
    (best,) = maths.winners(asked, rows)
    assert best.row is rows[0] and (best.compared, best.left_out) == (1, 1)


def test_settings_are_compared_where_everything_else_is_the_same():
    asked = axes.make(method=["dm", "dc"], seed=["0-1"], settings=["lr=0.1,1"])
    rows = [
        row({"method": m, "lr": lr}, np.random.default_rng(i).uniform(size=2))
        for i, (m, lr) in enumerate((m, lr) for m in ("dm", "dc") for lr in ("0.1", "1"))
    ]
    found = maths.comparison(asked, rows, "lr")
    assert [(d.row, d.against) for d in found] == [(rows[1], rows[0]), (rows[3], rows[2])]
    with pytest.raises(
        SpecError, match="compare = 'ipc' is not allowed: expected one of method, lr"
    ):
        maths.comparison(asked, rows, "ipc")


def test_drawn_settings_are_compared_by_choice_alone():
    asked = axes.make(method=["dm"], points=3, over=["lr=log:0.1:1"])
    values = asked.over[0].draw("x", 3)
    rows = [row({"lr": v}, [0.1 * i + 0.1]) for i, v in enumerate(values)]
    assert maths.comparison(asked, rows) == []
    (best,) = maths.winners(asked, rows)
    assert best.row is rows[2] and best.compared == 3


def test_a_table_has_a_row_for_each_place_and_none_for_what_cannot_be_run(store):
    asked = axes.make(method=["dm", "kip"], seed=["0-2"], settings=["momentum=0.5"])
    looked = maths.look(store, cells.expand("x", asked, cells.stored(store, asked.dataset)))
    (found,) = maths.table(looked)
    assert (found.at["method"], found.seeds, found.test) == ("dm", 3, None)
    assert maths.counts(looked) == {"missing": 3, "invalid": 3}
    assert tables.progress(looked) == "0 of 6 cells done, 3 not begun, 3 invalid."
