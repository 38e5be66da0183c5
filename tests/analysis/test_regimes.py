"""Regimes over seeds: the claim is judged by intervals, every seed makes everything anew."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

import ddx
from analysis.suite.labels import ANALYSIS
from analysis.suite.labels.spec import ORDER
from analysis.uses.regimes import figures, maths, result
from analysis.uses.regimes.spec import RegimesTask, estimate
from analysis.uses.shown import shown
from ddcore.base.errors import SpecError
from ddcore.data import resolve
from ddcore.distil.settings import make_spec
from ddcore.tasks import worker
from ddcore.tasks.store import Store
from ddcore.tasks.worker import Context

DATA = resolve("digits")
DM = make_spec("dm", DATA, (1, 8, 8), ipc=1, settings=[("iterations", "1"), ("validations", "1")])
TINY = RegimesTask(
    data=DATA,
    sets=(DM,),
    seeds=(0, 1),
    sizes=(1,),
    selections=("class_mean",),
    network="convnet-4",
    nets=2,
    iterations=10,
    teacher_epochs=1,
)


def made(store: Store, values: dict[tuple[str, int], np.ndarray]):
    """A finished task of made-up accuracies (regimes, seeds) by selection and size."""
    first = next(iter(values.values()))
    spec = TINY.replace(seeds=tuple(range(first.shape[1])))
    task = store.create(spec)
    rows = [
        {
            "selection": name,
            "title": name.capitalize(),
            "ipc": ipc,
            "accuracies": dict(zip(ORDER, accuracy.tolist())),
        }
        for (name, ipc), accuracy in values.items()
    ]
    context = Context(store, task, spec, "cpu")
    teacher = [0.97] * first.shape[1]
    context.save_result({"data_label": "Digits", "teacher": teacher, "rows": rows})
    task.finish()
    return task


def test_the_claim_is_judged_by_the_interval_of_paired_differences(store):
    draws = np.random.default_rng(0)
    random = 0.6 + 0.1 * draws.normal(size=(3, 5))  # seeds differ by more than the gain
    gain = np.array([[0.05], [0.0], [-0.05]]) + 0.005 * draws.normal(size=(3, 5))
    task = made(store, {("random", 10): random, ("dm", 10): random + gain})
    found = result.read(task)
    (row,) = found.sets
    assert [maths.above_random(found, row, kind).verdict for kind in ORDER] == [
        "refuted",
        "not refuted",
        "random images are better",
    ]
    for kind, points in zip(ORDER, 100 * gain):
        above = maths.above_random(found, row, kind)
        low, high = stats.t.interval(0.95, 4, points.mean(), stats.sem(points))
        assert (above.low, above.high, above.n) == pytest.approx((low, high, 5))
    apart = 100 * np.abs(gain.mean(1))
    assert maths.spread_of_choices(found, 10) == pytest.approx(apart)
    told = figures.table(found)
    assert told[1]["Hard labels"].endswith("(n = 5)") and "±" in told[1]["Hard labels"]
    assert "random images are better" in figures.sentence(found)
    assert figures.gains(found).figure.data[0].error_y.array is not None
    seen = shown(store, task.key)
    assert seen.rows == told and seen.sentence.endswith(".") and len(seen.notes) == 2


def test_one_seed_has_no_spread_and_no_verdict(store):
    random = np.full((3, 1), 0.5)
    found = result.read(made(store, {("random", 1): random, ("dm", 1): random + 0.1}))
    above = maths.above_random(found, found.sets[0], "hard")
    assert above.verdict == "cannot be told from one seed" and above.low is None
    assert "±" not in str(figures.table(found)) and "interval" not in str(figures.notes(found))
    assert figures.gains(found).figure.data[0].error_y.array is None


def test_every_seed_makes_everything_anew(store, capsys):
    guess = estimate(TINY, store)
    assert guess.seconds > 0
    task = store.create(TINY)
    worker.run_task(store, task, TINY, "cpu")
    found = result.read(task)
    assert {(r.selection, r.ipc) for r in found.rows} == {
        ("random", 1),
        ("class_mean", 1),
        ("dm", 1),
    }
    for place, seed in enumerate(TINY.seeds):
        own = ANALYSIS.result(store.task(TINY.labels(seed))).found
        key = TINY.runs(seed)[0].key
        means = own.accuracies[key].mean(1)
        np.testing.assert_allclose(found.sets[0].accuracy[:, place], means)
        assert found.teacher[place] == own.teacher
    first, second = (row.accuracy.T for row in found.rows[:2])
    assert (first[0] != first[1]).any() and (second[0] != second[1]).any()
    assert estimate(TINY, store).seconds == 0
    arguments = (
        "regimes --method dm --ipc 1 --seeds 2 --nets 2 --iterations 10 --net convnet-4 "
        "--set iterations=1 --set validations=1"
    )
    assert ddx.main([*arguments.split(), "--dry-run", "--json"]) == 0
    (planned,) = json.loads(capsys.readouterr().out)
    assert "about" in planned["estimate"]


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(SpecError, match="sets"):
        TINY.replace(sets=())
    with pytest.raises(SpecError, match="seeds"):
        TINY.replace(seeds=(1, 1))
    assert TINY.replace(sets=(DM.replace(seed=3),)) == TINY
