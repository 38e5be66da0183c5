"""Sweeps in real worker processes: one failure stops nothing else, a killed one goes on."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ddcore.base import paths
from ddcore.data import resolve
from ddcore.distil.settings import make_spec
from ddcore.sweeps import cells as of_cells
from ddcore.sweeps import drive
from ddcore.sweeps.cells import SweepCell
from ddcore.tasks import jobs, worker
from ddcore.tasks.records import ACTIVE
from ddcore.tasks.store import Store
from ddcore.tasks.testing import SleepyTask
from tests.sweeps.tiny import FIXED, SETTINGS

LIMIT_S = 240


def sleepy(seed: int, **fields: object) -> SweepCell:
    return SweepCell((("method", "sleepy"), ("seed", str(seed))), SleepyTask(seed=seed, **fields))


def test_one_failure_stops_nothing_else_and_is_tried_again_next_time(store):
    asked = [sleepy(i, steps=2, fail_at=1 if i == 1 else -1) for i in range(4)]
    said: list[str] = []
    found = drive.work_through(store, asked, 2, said.append)
    assert {*found.done} == {asked[0], asked[2], asked[3]}
    assert found.failed == {asked[1]: "The sleepy task failed as asked."}
    assert said == ["sleepy, 1: failed: The sleepy task failed as asked."]
    stamps = [store.task(c.run).folder.joinpath("done.json").stat() for c in found.done]
    # The task fails without a checkpoint only: this time it goes on from one.
    again = drive.work_through(store, asked, 2)
    assert {*again.done} == {*asked} and not again.failed
    assert stamps == [store.task(c.run).folder.joinpath("done.json").stat() for c in found.done]


def test_no_more_workers_live_than_are_asked_for(store, monkeypatch):
    asked = [sleepy(i, steps=3, pause=0.05) for i in range(5)]
    begin, alive, groups = jobs.submit, [], []

    def submit(where, specs):
        specs = list(specs)
        groups.append(len(specs))
        alive.append(sum(of_cells.state(where, c).state in ACTIVE for c in asked))
        return begin(where, specs)

    monkeypatch.setattr(jobs, "submit", submit)
    assert len(drive.work_through(store, asked, 2).done) == 5
    assert max(alive) == 1 and groups == [1] * 5  # before each began, one other was at work


def test_interrupted_it_stops_what_runs_with_a_checkpoint(store, monkeypatch):
    asked = [sleepy(i, steps=10_000, pause=0.05) for i in range(2)]
    rest = time.sleep

    def sleep(seconds):
        if any(store.task(cell.run).status().get("step", 0) > 1 for cell in asked):
            monkeypatch.setattr(drive.time, "sleep", rest)
            raise KeyboardInterrupt
        rest(seconds)

    monkeypatch.setattr(drive.time, "sleep", sleep)
    with pytest.raises(KeyboardInterrupt):
        drive.work_through(store, asked, 2)
    states = [of_cells.state(store, cell).state for cell in asked]
    assert states == ["cancelled", "cancelled"]
    assert any(store.task(cell.run).has_checkpoint() for cell in asked)  # of the one that ran


# --- killed -----------------------------------------------------------------------------------------


def begin(name: str, arguments: list[str]) -> subprocess.Popen:
    command = [sys.executable, "ddx.py", "sweep", name, *arguments, *FIXED, "--json"]
    return subprocess.Popen(
        command, cwd=paths.PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def kill(driver: subprocess.Popen) -> None:
    """The driver and the workers that it has started, at once."""
    listed = Path(f"/proc/{driver.pid}/task/{driver.pid}/children").read_text()
    for pid in [driver.pid, *map(int, listed.split())]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    driver.communicate()


def finished(store: Store) -> dict[str, tuple[int, int]]:
    """The manifest of every finished folder, as this file of this time."""
    facts = {p: p.stat() for p in store.root.glob("*/*/done.json")}
    return {str(p): (f.st_ino, f.st_mtime_ns) for p, f in facts.items()}


def judged(store: Store) -> int:
    return len(list(store.root.glob("evaluate/*/done.json")))


def by_hand(store: Store, method: str, ipc: int, lr: str, seed: int) -> tuple[float, float]:
    """Accuracy on test and validation images of one run, asked for by itself."""
    settings = [*SETTINGS.items(), ("lr", lr)]
    run = make_spec(method, resolve("digits"), (1, 8, 8), ipc=ipc, seed=seed, settings=settings)
    for spec in (run, *run.follow_ups()):
        worker.run_task(store, store.create(spec), spec, "cpu")
    (own,) = [
        row
        for row in store.task(run.follow_ups()[0]).result()["rows"]
        if row["subject"] == "distilled"
    ]
    return statistics.fmean(own["accuracies"]), store.task(run).result()["validation"]["mean"]


@pytest.mark.timeout(1500)
@pytest.mark.slow
def test_killed_twice_it_completes_and_computes_nothing_twice(store, tmp_path):
    methods, sizes, rates, seeds = ["dm", "dc"], [2], ["1"], 3
    count = len(methods) * len(sizes) * len(rates) * seeds
    asked = ["--method", *methods, "--ipc", *map(str, sizes), f"--seed=0-{seeds - 1}"]
    asked += [f"--set=lr={','.join(rates)}", "--at-once=2"]
    before: dict[str, tuple[int, int]] = {}
    for part in (1, 2):
        driver, end = begin("killed", asked), time.time() + LIMIT_S * 3
        while judged(store) < part * count // 4:
            assert driver.poll() is None, driver.communicate()[1]
            assert time.time() < end
            time.sleep(0.05)
        kill(driver)
        now = finished(store)
        assert before.items() <= now.items() and judged(store) < count
        before = now
    told, problems = begin("killed", asked).communicate(timeout=LIMIT_S * 5)
    answer = json.loads(told)
    assert answer["states"] == {"done": count} and not answer["failed"], problems
    assert before.items() <= finished(store).items()
    assert judged(store) == count
    other = Store(tmp_path / "other", gallery=None)
    assert len(answer["rows"]) == count // seeds
    for row in answer["rows"]:
        at = (row["method"], int(row["ipc"]), row["lr"])
        tests, validations = zip(*(by_hand(other, *at, seed) for seed in range(seeds)))
        assert row["n"] == seeds
        assert row["mean"] == pytest.approx(statistics.fmean(tests), abs=1e-12)
        assert row["sd"] == pytest.approx(statistics.stdev(tests), abs=1e-12)
        assert row["validation_mean"] == pytest.approx(statistics.fmean(validations), abs=1e-12)
