"""Job arrays: which tasks go together, what is asked, and that each element is a job like any other."""

import os
import signal

import pytest

from ddcore.base.errors import DDError
from ddcore.data import resolve
from ddcore.distil.settings import make_spec
from ddcore.sweeps import drive
from ddcore.sweeps.cells import SweepCell
from ddcore.tasks import elsewhere, jobs
from ddcore.tasks.launchers import slurm, slurm_arrays
from ddcore.tasks.launchers.contract import Request, Resources
from ddcore.tasks.testing import SleepyTask

SMALL, LARGE = Resources(0, 1, 1 << 30, 60.0), Resources(1, 4, 1 << 33, 60.0)


def sleepy(count, **fields):
    return [SleepyTask(steps=2, seed=i, **fields) for i in range(count)]


def jobs_of(tasks):
    return [task.status()["job"] for task in tasks]


def requests(store, needs, afters=None):
    tasks = [store.create(spec) for spec in sleepy(len(needs))]
    return [Request(*each) for each in zip(tasks, needs, afters or [()] * len(needs))]


def test_which_go_together(store):
    found = slurm_arrays.arrays(requests(store, [SMALL, LARGE, SMALL, SMALL]), largest=2)
    assert [(a.need, [*a.elements]) for a in found] == [
        (SMALL, [0, 1]),
        (LARGE, [0]),
        (SMALL, [0]),
    ]
    assert [a.numbers(7) for a in found] == ["0-1%7", "0%7", "0%7"]
    assert {a.dependency for a in found} == {""}


def test_who_waits_for_an_element_has_its_number(store):
    afters = [("7_4",), ("9", "7_5"), ("7_2",), ("7_4",), ("8_4",), ("7_1", "7_2"), ("9",), ("9",)]
    found = slurm_arrays.arrays(requests(store, [SMALL] * 8, afters))
    assert [(a.dependency, sorted(a.elements)) for a in found] == [
        ("aftercorr:7", [2, 4]),
        ("aftercorr:7,afterok:9", [5]),
        ("aftercorr:7", [4]),
        ("aftercorr:8", [4]),
        ("afterok:7_1,afterok:7_2", [0]),
        ("afterok:9", [0, 1]),
    ]
    assert found[0].numbers(3) == "2,4%3"


def test_a_sweep_is_an_array_of_runs_and_one_of_evaluations(store, cluster):
    runs = [make_spec("dm", resolve("digits"), (1, 8, 8), seed=i) for i in range(3)]
    specs = [spec for run in runs for spec in (run, *run.follow_ups())]
    tasks = jobs.submit(store, specs, at_once=2)
    first, second = cluster.calls("sbatch")
    assert {"--array=0-2%2", "--job-name=dd-array", "--requeue", "--open-mode=append"} <= {*first}
    assert not any(word.startswith("--dependency") for word in first)
    assert {"--array=0-2%2", "--dependency=aftercorr:1000"} <= {*second}
    assert jobs_of(tasks) == [f"{1000 + k}_{i}" for i in range(3) for k in range(2)]
    jobs.submit(store, specs, at_once=2)  # all are on their way
    assert len(cluster.calls("sbatch")) == 2
    cluster.change("1000_1", state="RUNNING", node="node7")
    state = jobs.state(tasks[2])
    assert elsewhere.place_text(state) == "slurm 1000_1 on node7"
    before = len(cluster.calls("squeue"))
    cluster.look()
    assert all(jobs.state(task)["state"] == "queued" for task in tasks)
    assert len(cluster.calls("squeue")) == before + 1 and "--array" in cluster.calls("squeue")[-1]


def test_200_jobs_are_one_submission_and_one_question(store, cluster):
    tasks = jobs.submit(store, sleepy(200), at_once=20)
    cluster.look()
    before = len((cluster.home / "calls.txt").read_text().splitlines())
    assert len(cluster.calls("sbatch")) == 1 and before < 6
    for _ in range(3):
        assert {jobs.state(task)["state"] for task in tasks} == {"queued"}
    # At most what the clock has let through meanwhile.
    assert len((cluster.home / "calls.txt").read_text().splitlines()) - before <= 3


def test_one_is_cancelled_or_all_are(store, cluster):
    tasks = jobs.submit(store, sleepy(4), at_once=4)
    cluster.look()
    jobs.cancel(tasks[2])
    assert cluster.calls("scancel") == [["1000_2"]]
    cluster.look()
    assert [jobs.state(t)["state"] for t in tasks] == ["queued", "queued", "cancelled", "queued"]
    jobs.cancel(*tasks)
    assert cluster.calls("scancel")[1:] == [["1000_0", "1000_1", "1000_3"]]
    cluster.look()
    assert {jobs.state(t)["state"] for t in tasks} == {"cancelled"}


def test_an_element_is_computed_moved_and_knows_its_job(store, cluster, wait_for):
    cluster.set("run")
    specs = [SleepyTask(steps=3), SleepyTask(steps=400, pause=0.02)]
    short, long = jobs.submit(store, specs, at_once=2)
    assert jobs.wait(short, timeout_s=60)["state"] == "done"
    assert short.status()["job"] == "1000_0" and "computed here" in short.log()
    wait_for(lambda: len(long.events()) > 3)
    pid = cluster.jobs()["1000_1"]["pid"]
    os.kill(pid, signal.SIGUSR1)
    wait_for(lambda: cluster.calls("scontrol") == [["requeue", "1000_1"]])
    cluster.look()
    assert jobs.state(long)["state"] == "queued" and "Moved" in long.status()["message"]


def test_two_jobs_of_one_key_compute_it_once(store, cluster, wait_for):
    """Elements have no name that keeps a second job waiting: the lock of the folder does."""
    cluster.set("run")
    specs = [SleepyTask(steps=100, pause=0.02, seed=i) for i in range(2)]
    tasks = jobs.submit(store, specs, at_once=2)
    again = [Request(task, SMALL) for task in tasks]  # of a dashboard that cannot see the first
    assert [job for _, job in slurm.Slurm().submit_array(again, 2)] == ["1001_0", "1001_1"]
    assert [jobs.wait(task, timeout_s=60)["state"] for task in tasks] == ["done", "done"]
    for element in cluster.jobs().values():
        wait_for(lambda pid=element["pid"]: not os.path.exists(f"/proc/{pid}/exe"))
    assert [task.log().count("computed here") for task in tasks] == [1, 1]
    assert all(task.verify() == [] for task in tasks)


def test_where_there_are_no_arrays_each_has_a_job(store, cluster):
    cluster.set("refuse.arrays")
    tasks = jobs.submit(store, sleepy(3), at_once=2)
    assert jobs_of(tasks) == ["1001", "1002", "1003"]
    assert cluster.jobs()["1001"]["told"]["dependency"] == "singleton"


def test_what_is_refused_fails_and_what_was_taken_goes_on(store, cluster, monkeypatch):
    monkeypatch.setattr(slurm_arrays, "LARGEST", 2)
    monkeypatch.setattr(slurm_arrays.arrays, "__defaults__", (2,))
    real = slurm_arrays.JobArray.script

    def script(array):
        cluster.set("refuse.sbatch", "sbatch: error: too many jobs") if 1 in calls else None
        calls.append(1)
        return real(array)

    calls = []
    monkeypatch.setattr(slurm_arrays.JobArray, "script", script)
    cells = [SweepCell((("seed", str(i)),), spec) for i, spec in enumerate(sleepy(4))]
    with pytest.raises(DDError, match="too many jobs"):
        jobs.submit(store, [cell.run for cell in cells], at_once=4)
    states = [store.task(cell.run).status()["state"] for cell in cells]
    assert states == ["queued", "queued", "failed", "failed"]
    sitting, running = drive.Sitting(), []
    drive._hand_in(store, cells, 4, running, sitting, lambda cell: None)
    assert running == cells[:2] and [*sitting.failed] == cells[2:]
