"""Recipes: what they promise, and that a sitting that was interrupted goes on to the same numbers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from ddcore.cli import main
from ddcore.distil.contract import DistillSpec
from ddcore.measure.spec import EvaluateTask, default_evaluation
from ddcore.recipes import gallery, make, recipe, recipes, table
from ddcore.recipes.base import Judged, Published, Recipe, RecipeRow, row_steps
from ddcore.tasks import jobs, worker
from ddcore.tasks.store import Store
from ddcore.training.protocols import PROTOCOLS
from tests.pages.fakes import done

ROWS = [(r, row) for r in recipes().values() for row in r.rows if not r.repeats]
TINY = Recipe(
    name="tiny",
    title="Tiny",
    about="For tests.",
    machine="cpu",
    order=0,
    rows=(
        RecipeRow(
            name="digits-dm-1",
            method="dm",
            dataset="digits",
            ipc=1,
            preset="quick",
            settings={"iterations": "40", "nets": "1", "val_nets": "1", "net.width": "4"},
            judged=(Judged("", Published(80.0, "nobody")), Judged("t300")),
        ),
    ),
)


@pytest.fixture
def here(monkeypatch):
    """Steps are computed in this process as soon as they are watched."""
    monkeypatch.setattr(jobs, "launch", lambda tasks: None)

    def watch(task, timeout_s):
        store = Store(task.folder.parent.parent, gallery=None)
        try:
            worker.run_task(store, task, task.spec(), "cpu")
        except Exception:
            return task.status()
        return task.status()

    return watch


# --- what recipes promise -------------------------------------------------------------------------


def test_names_are_unique():
    names = [row.name for _, row in ROWS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("of", "row"), ROWS, ids=[row.name for _, row in ROWS])
def test_a_row_is_a_valid_run_with_its_evaluations(of, row, monkeypatch, tmp_path):
    monkeypatch.setenv("DD_DATA", str(tmp_path))  # no files are needed to say what will be done
    steps = [s.spec for s in of.steps(only=row.name)]
    run = next(s for s in steps if isinstance(s, DistillSpec))
    judged = [s for s in steps if isinstance(s, EvaluateTask)]
    assert run.data.name == row.dataset and run.ipc == row.ipc and run.method == row.method
    assert {e.run_key for e in judged} == {run.key} and len(judged) == len(row.judged)
    assert row.differs, "a row says what differs from the published set-up"
    for figure in (j.published for j in row.judged):
        assert figure is None or (0 < figure.mean < 100 and figure.source)


def test_an_unknown_recipe_or_row_lists_the_known_ones(store, capsys):
    assert main(["reproduce", "magic"]) == 2
    assert "expected one of " + ", ".join(recipes()) in capsys.readouterr().err
    assert main(["reproduce", "mnist", "--only", "magic", "--dry-run"]) == 2
    assert "mnist-dm-1" in capsys.readouterr().err


def test_the_suite_asks_for_what_its_runs_will_be(store):
    """Analyses are named before the runs exist, by the keys that they will have."""
    of = recipe("cifar10-suite")
    steps = list(of.steps())
    runs = sorted(s.spec.key for s in steps if isinstance(s.spec, DistillSpec))
    asked = [s.spec for s in steps if not s.row]
    assert len(asked) >= 10
    assert all(list(spec.run_keys) == runs for spec in asked)


# --- making them ----------------------------------------------------------------------------------


def test_made_once_and_shown_in_the_table(store, here, monkeypatch):
    monkeypatch.setattr(table, "recipes", lambda: {"tiny": TINY})
    steps = list(TINY.steps())
    assert [line.ours for line in table.lines(store)] == [None, None]
    planned = make.plan(store, steps)
    assert all(guess.seconds > 0 for _, guess in planned) and "3 steps to do" in make.total(planned)

    said = []
    outcome = make.work_through(store, steps, here, say=said.append)
    assert outcome == make.Outcome(done=3, failed={}, left=0) and len(said) == 3
    again = []
    assert make.work_through(store, steps, here, say=again.append).done == 3 and again == []

    first, second = table.lines(store)
    stored = store.task(steps[1].spec).result()["rows"]
    assert first.ours["mean"] == next(r["mean"] for r in stored if r["subject"] == "distilled")
    assert first.published.mean == 80.0 and second.protocol == "t300" and second.published is None
    assert f"{100 * first.ours['mean']:.1f}" in table.markdown([first])
    assert make.total(make.plan(store, steps)) == "Everything is there."


def test_experts_are_not_trained_for_a_finished_set(store, here):
    """A shipped set comes without the experts it was made with; judging it needs none."""
    row = RecipeRow(
        name="t", method="mtt", dataset="digits", ipc=1, judged=(Judged(), Judged("t300"))
    )
    steps = list(row_steps(row, rehearsal=True))
    experts, run = (step.spec for step in steps[:2])
    assert make.plan(store, steps)[0][1] is not None, "the set needs them"
    done(store, run)
    planned = make.plan(store, steps)
    assert [guess is None for _, guess in planned] == [True, True, False, False]
    outcome = make.work_through(store, steps[:2], here)
    assert outcome.done == 2 and not store.task(experts).is_done()


def test_a_set_is_judged_in_another_network_too(store, here, monkeypatch):
    """A line of its own, which says so; the other lines and their keys stay as they are."""
    judged = (Judged("t300"), Judged("t300", net="convnet-8", nets=2))
    row = replace(TINY.rows[0], judged=judged)
    of = replace(TINY, rows=(row,))
    run = row.run()
    plain, wide = (row.evaluation(run, run.key, each) for each in judged)
    t300 = PROTOCOLS["t300"]
    assert plain == default_evaluation(run.key, run, protocol=t300, nets=t300.nets)
    assert wide == plain.replace(archs=(run.net.replace(width=8),), nets=2)

    monkeypatch.setattr(table, "recipes", lambda: {"tiny": of})
    assert make.work_through(store, list(of.steps()), here).left == 0
    first, second = table.lines(store)
    assert (first.judged_by, second.judged_by) == ("t300, ConvNet-2 w4", "t300, ConvNet-2 w8")
    assert first.ours["n"] == 5 and second.ours["n"] == 2
    assert "| t300, ConvNet-2 w8 |" in table.markdown([second])
    assert "w8" not in table.markdown([first])


def test_seeds_are_told_apart_however_they_are_judged():
    lines = [line for line in table.lines(Store()) if line.recipe.name == "cifar10-cpu"]
    titles = {line.row.name: line.title for line in lines}
    assert titles["cifar10-dm-10-hour"].endswith("seed 0")
    assert titles["cifar10-dm-10-hour-1"].endswith("seed 1")
    assert "seed" not in titles["cifar10-mtt-10-hour"]


def test_what_recipes_have_made_is_shipped_and_nothing_else(store, here, monkeypatch, tmp_path):
    monkeypatch.setattr(table, "recipes", lambda: {"tiny": TINY})
    monkeypatch.setenv("DD_CACHE", str(store.root))
    steps = list(TINY.steps())
    make.work_through(store, steps[:2], here)
    before = {t.key for t in store.tasks()}
    target = tmp_path / "gallery"
    keys = set(gallery.build_recipes(target))
    assert {steps[0].spec.key, steps[1].spec.key} < keys
    shipped = Store(target, gallery=None)
    assert {t.key for t in shipped.tasks()} == keys
    assert {t.kind for t in shipped.tasks()} == {"distill", "evaluate", "accuracy"}
    assert all(t.verify() == [] for t in shipped.tasks())
    first, second = table.lines(shipped)
    assert first.ours and not second.ours
    assert {t.key for t in store.tasks()} == before, "nothing is computed for it"
    assert set(gallery.build_recipes(target)) == keys


def test_found_where_the_files_of_the_dataset_are_others(store, here, monkeypatch):
    """A result computed from parquet files is shown where torchvision's are expected."""
    row = TINY.rows[0]
    steps = list(TINY.steps())
    make.work_through(store, steps[:1], here)
    wanted = row.run().to_dict()
    other = wanted | {"data": wanted["data"] | {"source": "parquet", "fingerprint": "f" * 64}}
    known = table.finished(store, "distill")
    assert known.get(table.without_files(other)).key == row.run().key
    assert known.get(table.without_files(other | {"seed": 1})) is None


def test_a_failed_row_leaves_the_others_running(store, here):
    broken = TINY.rows[0]
    whole = RecipeRow(
        name="other",
        method="dm",
        dataset="digits",
        ipc=2,
        preset="quick",
        settings=dict(broken.settings),
    )
    both = Recipe(name="b", title="", about="", machine="cpu", order=0, rows=(broken, whole))
    steps = list(both.steps())

    def watch(task, timeout_s):
        if task.key == steps[0].spec.key:
            task.write_status(state="failed", message="No room.")
            return task.status()
        return here(task, timeout_s)

    outcome = make.work_through(store, steps, watch)
    assert outcome.done == 2 and outcome.left == 0
    assert outcome.failed[steps[0].spec.key] == "No room." and len(outcome.failed) == 3


SLOW = [
    pytest.param(name, marks=pytest.mark.slow)
    for name in ("mnist-2018", "cifar10-cpu", "cifar10-2018")
]


@pytest.mark.parametrize("name", ["krr-exact", *SLOW])
def test_rehearsal_of_every_step(store, here, name):
    steps = list(recipe(name).steps(rehearsal=True))
    outcome = make.work_through(store, steps, here)
    assert outcome == make.Outcome(done=len(steps), failed={}, left=0)


# --- interrupted ----------------------------------------------------------------------------------


def reproduce(*arguments):
    """The command in a process of its own, as its last line of JSON."""
    command = [sys.executable, "-m", "ddcore", "reproduce", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    return done.returncode, json.loads(done.stdout.strip().splitlines()[-1])


@pytest.mark.slow
def test_time_is_up_and_the_next_sitting_ends_at_the_same_numbers(store, compute, monkeypatch):
    row = "cifar10-dm-10"
    code, answer = reproduce("cifar10", "--only", row, "--rehearse", "--minutes", "0.001")
    assert code == 0 and answer["left"] > 0 and not answer["failed"]
    code, answer = reproduce("cifar10", "--only", row, "--rehearse")
    assert (code, answer["left"]) == (0, 0) and answer["done"] == 3
    run = next(s.spec for s in recipe("cifar10").steps(row, rehearsal=True) if s.row)
    resumed = store.task(run).arrays("set")["images"]
    fresh = Store(store.root.parent / "fresh", gallery=None)
    worker.run_task(fresh, fresh.create(run), run, "cpu")
    assert np.array_equal(fresh.task(run).arrays("set")["images"], resumed)


LONG = pytest.mark.skipif(
    "DD_TEST_LONG" not in os.environ, reason="all analyses, for ten minutes: DD_TEST_LONG=1"
)


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("name", [pytest.param("cifar10-suite", marks=LONG), "coloured-digits"])
def test_killed_again_and_again_a_recipe_comes_to_its_end(store, name):
    """Every process is killed some seconds after the start of each sitting but the last."""
    environment = os.environ | {"DD_CHECKPOINT_S": "0.2"}
    command = [sys.executable, "-m", "ddcore", "reproduce", name, "--rehearse", "--json"]
    for seconds in (7, 10, 14):
        sitting = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(seconds)
        sitting.kill()
        sitting.wait()
        for task in store.tasks():
            pid = task.status().get("pid")
            if pid and jobs.is_alive(task):
                os.killpg(pid, signal.SIGKILL)
        time.sleep(0.5)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1400)
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    assert done.returncode == 0 and answer["left"] == 0 and not answer["failed"], done.stderr
    assert main(["verify", "--json"]) == 0
