"""A real Slurm of one node: what its own scheduler does to workers. Skipped where it is not installed."""

import os
import time

import numpy as np
import pytest

from ddcore.data import resolve
from ddcore.distil.settings import make_spec
from ddcore.sets.distilled import DistilledSet
from ddcore.sweeps.cells import SweepCell
from ddcore.tasks import jobs, launchers, pausing
from ddcore.tasks.launchers import slurm, watch
from ddcore.tasks.testing import SleepyTask
from tests.launchers import one_node
from tests.sweeps.tiny import SETTINGS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(one_node.lacking()), reason=one_node.lacking()),
]
SMALL = [("net.width", "4"), ("iterations", "400"), ("val_nets", "1"), ("validations", "1")]
SPEC = make_spec("dm", resolve("digits"), (1, 8, 8), settings=SMALL)


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    found = one_node.OneNode(tmp_path_factory.mktemp("slurm"))
    try:
        yield found.start()
    finally:
        found.stop()


@pytest.fixture
def real(node, store, monkeypatch):
    for name, value in node.variables.items():
        monkeypatch.setenv(name, value)
    for name in ("DD_LAUNCHER", "DD_SLURM", "DD_THREADS", "DD_CHECKPOINT_S"):
        monkeypatch.setenv(name, {"DD_LAUNCHER": "slurm", "DD_SLURM": "--mem=1000"}.get(name, "1"))
    monkeypatch.setenv("DD_CHECKPOINT_S", "0.2")
    monkeypatch.setattr(watch, "ASK_EVERY_S", 0.5)
    for cache in (watch.of, slurm.limits, launchers.named):
        cache.cache_clear()
    yield node
    node.ask("scancel", "--user=root", check=False)


def until(condition, limit_s=240):
    end = time.time() + limit_s
    while not condition():
        assert time.time() < end, "timed out"
        time.sleep(0.2)


def state(task):
    return jobs.state(task)["state"]


def test_two_at_once_the_third_waits_and_says_so_and_stops(store, real):
    specs = [SleepyTask(steps=3000, pause=0.05, seed=i) for i in range(3)]
    tasks = [jobs.submit(store, [spec])[0] for spec in specs]
    until(lambda: [state(t) for t in tasks].count("running") == 2)
    waiting = next(t for t in tasks if state(t) == "queued")
    until(lambda: "free resources" in jobs.state(waiting)["message"])
    os.utime(waiting.folder / "status.json", (1, 1))  # as if for years
    assert state(waiting) == "queued"
    # One that is stopped before its first step has nothing to keep.
    until(lambda: all(jobs.state(t).get("step", 0) > 0 for t in tasks if t is not waiting))
    for task in (waiting, *tasks):
        jobs.cancel(task)
    assert [jobs.wait(task, timeout_s=120)["state"] for task in tasks] == ["cancelled"] * 3
    assert all(task.has_checkpoint() for task in tasks if task is not waiting)


def test_a_key_that_is_asked_for_twice_is_computed_once(store, real):
    spec = SleepyTask(steps=200, pause=0.05)
    task = jobs.submit(store, [spec])[0]
    # Another dashboard that could not see the first: the scheduler alone keeps them apart.
    (task.folder / "status.json").unlink()
    jobs.submit(store, [spec])
    named = f"--name=dd-{task.key}"  # a job of the test before may still be ending
    numbers = real.ask("squeue", "--noheader", named, "--format=%i|%r").split()
    assert len(numbers) == 2
    assert jobs.wait(task, timeout_s=180)["state"] == "done"
    until(lambda: not real.ask("squeue", "--noheader").strip())
    assert task.log().count("computed here") == 1 and task.verify() == []


@pytest.fixture(scope="module")
def undisturbed(compute_pooled):
    return DistilledSet.from_task(compute_pooled(SPEC)).images


@pytest.mark.parametrize("why", ["another job with a higher priority", "the time limit"])
def test_what_is_moved_ends_with_the_same_images(store, undisturbed, real, monkeypatch, why):
    limited = why == "the time limit"
    if limited:
        monkeypatch.setenv("DD_SLURM", "--mem=1000 --time=60 --signal=B:USR1@60")
    task = jobs.submit(store, [SPEC])[0]
    number = task.status()["job"]
    until(lambda: state(task) == "running" and jobs.state(task).get("step", 0) > 5)
    pausing.pause(task)  # so that it is still there when it is to go
    if limited:  # however long a busy machine took to come here, at least a minute is left
        real.ask("scontrol", "update", f"JobId={number}", f"TimeLimit={minutes(real, number) + 2}")
    else:
        real.ask("sbatch", "--partition=high", "--cpus-per-task=2", "--wrap=sleep 1")
    until(lambda: "Moved by the scheduler" in task.status().get("message", ""))
    pausing.go_on(task)
    until(lambda: pending(real, number))
    assert state(task) == "queued" and 5 < task.events()[-1]["step"] < 400
    real.ask("scontrol", "update", f"JobId={number}", "TimeLimit=60")
    at_once(real, task, number)
    assert task.verify() == []
    assert np.array_equal(DistilledSet.from_task(task).images, undisturbed)


def minutes(real, number):
    """Whole minutes for which a job has been running."""
    spent = real.ask("squeue", "--noheader", "--format=%M", f"--jobs={number}").strip()
    return int(slurm.seconds_of(spent) // 60)


def pending(real, number):
    return "PENDING" in real.ask("squeue", "--noheader", "--format=%T", f"--jobs={number}")


def at_once(real, task, number):
    """Let it be done, without the two minutes that Slurm waits before a second life."""

    def done():
        if pending(real, number):
            real.ask("scontrol", "update", f"JobId={number}", "StartTime=now", check=False)
        return state(task) == "done"

    until(done)


def test_a_node_that_dies_and_comes_back(store, real):
    task = jobs.submit(store, [SleepyTask(steps=100, pause=0.05)])[0]
    number = task.status()["job"]
    until(lambda: state(task) == "running" and task.events())
    name = real.ask("sinfo", "--noheader", "--format=%n", "--partition=low").strip()
    real.crash(task.status()["pid"])
    real.ask("scontrol", "update", f"NodeName={name}", "State=DOWN", "Reason=test")
    until(lambda: pending(real, number))
    until(lambda: state(task) == "queued")
    assert 0 < len(task.events()) < 100
    real.boot()
    until(lambda: "idle" in real.ask("sinfo", "--noheader", "--format=%t"))
    at_once(real, task, number)
    # A process that is killed between a checkpoint and its event leaves one event out, and nothing else.
    assert task.result()["total"] == sum(range(100)) and task.result()["resumed_from"] > 0
    assert task.verify() == [] and len(task.events()) in (99, 100)


# --- arrays -----------------------------------------------------------------------------------------


def test_of_an_array_one_is_cancelled_one_is_moved_and_so_many_run(store, real):
    specs = [SleepyTask(steps=2000 if i == 3 else 150, pause=0.05, seed=i) for i in range(4)]
    tasks = jobs.submit(store, specs, at_once=1)
    numbers = [task.status()["job"] for task in tasks]
    array = numbers[0].partition("_")[0]
    assert numbers == [f"{array}_{i}" for i in range(4)]
    until(lambda: [state(task) for task in tasks] == ["running", "queued", "queued", "queued"])
    until(lambda: "As many of its array" in jobs.state(tasks[2])["message"])
    jobs.cancel(tasks[1])
    assert jobs.wait(tasks[1], timeout_s=120)["state"] == "cancelled"
    until(lambda: len(tasks[0].events()) > 3)
    real.ask("scontrol", "requeue", numbers[0])
    # The next one runs as soon as it has left; it comes back with a higher limit.
    until(lambda: [state(task) for task in tasks[:3]] == ["queued", "cancelled", "running"])
    assert 3 < len(tasks[0].events()) < 150
    real.ask("scontrol", "update", f"JobId={array}", "ArrayTaskThrottle=2")
    at_once(real, tasks[0], numbers[0])
    assert tasks[0].result()["resumed_from"] > 0 and tasks[0].verify() == []
    assert jobs.wait(tasks[2], timeout_s=180)["state"] == "done"
    until(lambda: state(tasks[3]) == "running" and tasks[3].events())
    jobs.cancel(*tasks)
    assert jobs.wait(tasks[3], timeout_s=120)["state"] == "cancelled" and tasks[3].has_checkpoint()


def test_each_evaluation_of_a_sweep_waits_for_its_own_run(store, real):
    made = [
        make_spec("dm", resolve("digits"), (1, 8, 8), seed=i, settings=[*SETTINGS.items()])
        for i in range(3)
    ]
    cells = [SweepCell((("seed", str(run.seed)),), run) for run in made]
    pairs = [[store.task(spec) for spec in cell.chain()] for cell in cells]
    jobs.submit(store, [spec for cell in cells for spec in cell.chain()], at_once=2)
    stopped, evaluation = pairs[2]
    assert evaluation.status()["job"].endswith("_2")
    jobs.cancel(stopped)
    assert jobs.wait(stopped, timeout_s=120)["state"] == "cancelled"
    for run, judged in pairs[:2]:
        assert jobs.wait(judged, timeout_s=240)["state"] == "done", judged.log()
        assert run.verify() == judged.verify() == []
    assert jobs.wait(evaluation, timeout_s=120)["state"] == "cancelled"
