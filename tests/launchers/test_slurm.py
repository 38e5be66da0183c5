"""Slurm by commands that only pretend: what is asked, what is understood, what is never believed."""

import os
import shlex
import subprocess
import sys
import time

import pytest

from ddcore.base.errors import DDError
from ddcore.cli import main
from ddcore.data import dataset_task, resolve
from ddcore.distil.settings import make_spec
from ddcore.tasks import elsewhere, jobs
from ddcore.tasks.launchers import slurm, watch
from ddcore.tasks.testing import SleepyTask

SPEC = SleepyTask(steps=2)


def submitted(store, spec=SPEC):
    task = jobs.submit(store, [spec])[0]
    return task, task.status()["job"]


def told(cluster, number=-1):
    return cluster.jobs()[list(cluster.jobs())[number]]["told"]


def test_what_is_asked(store, cluster, monkeypatch):
    monkeypatch.setenv("DD_SLURM", "--account='my lab' --qos=short")
    task, job = submitted(store)
    assert task.status() | {"state": "queued", "launcher": "slurm", "job": job} == task.status()
    words = cluster.calls("sbatch")[0]
    asked = told(cluster)
    assert asked["job-name"] == f"dd-{task.key}" and asked["dependency"] == "singleton"
    assert asked["signal"] == "B:USR1@120" and {"--parsable", "--requeue"} <= {*words}
    # Nothing estimates it, so much is asked for: the default partition allows less, and has no GPU.
    assert (asked["time"], asked["mem"], asked["cpus-per-task"]) == ("120", "8000M", "2")
    assert not any("gres" in word for word in words)
    assert words[words.index("--wrap") - 2 :][:2] == ["--account=my lab", "--qos=short"]
    assert f"-m ddcore work {task.folder}" in words[-1] and "; exec " in words[-1]
    # A warning before the worker listens does not end it; it listens afterwards.
    listening = "import os, signal, sys; os.kill(os.getpid(), signal.SIGUSR1); signal.signal(signal.SIGUSR1, "
    listening += "lambda *_: sys.exit(7)); os.kill(os.getpid(), signal.SIGUSR1)"
    script = (
        f"{words[-1].partition('exec ')[0]}exec {shlex.join([sys.executable, '-c', listening])}"
    )
    assert subprocess.run(["sh", "-c", script]).returncode == 7


def test_the_partition_that_is_named_sets_the_limits(store, cluster, monkeypatch):
    monkeypatch.setenv("DD_SLURM", "-p gpu")
    monkeypatch.setenv("DD_THREADS", "3")
    submitted(store)
    assert "--gres=gpu:1" in cluster.calls("sbatch")[0]
    assert (told(cluster)["time"], told(cluster)["cpus-per-task"]) == ("245", "3")
    monkeypatch.setenv("DD_DEVICE", "cpu")
    submitted(store, SleepyTask(steps=3))
    assert "--gres=gpu:1" not in cluster.calls("sbatch")[1]


def test_a_task_waits_for_those_it_needs_and_is_about(store, cluster):
    run = make_spec("mtt", resolve("digits"), (1, 8, 8))
    tasks = jobs.submit(store, [run, *run.follow_ups()])
    names = [told(cluster, i)["job-name"] for i in range(3)]
    assert names[1:] == [f"dd-{task.key}" for task in tasks]
    waits = [told(cluster, i)["dependency"] for i in range(3)]
    assert waits == ["singleton", "singleton,afterok:1000", "singleton,afterok:1001"]
    # What estimates say, twice: minutes, not the hours of what nobody knows.
    assert 0 < int(told(cluster, 1)["time"]) < 120
    jobs.submit(store, [run, *run.follow_ups()])  # all are on their way
    assert len(cluster.calls("sbatch")) == 3


def test_what_takes_seconds_stays_here(store, cluster, monkeypatch):
    here = []
    monkeypatch.setattr(jobs, "launch", here.extend)
    task = jobs.submit(store, [dataset_task(resolve("digits"))])[0]
    assert here == [task] and not (cluster.home / "jobs.json").exists()


def test_pending_is_never_lost_and_says_why(store, cluster, monkeypatch):
    task, job = submitted(store)
    os.utime(task.folder / "status.json", (1, 1))  # it has been waiting for years
    cluster.look()
    assert jobs.is_alive(task) and jobs.prune(store) == []
    state = jobs.state(task)
    assert (state["state"], state["message"]) == ("queued", "It waits for free resources.")
    cluster.change(job, reason="Priority", start="2030-01-02T03:04:05")
    assert jobs.state(task)["message"].endswith("It starts about 02 Jan 03:04.")
    cluster.change(job, reason="(Dependency)")
    assert "a task before it" in jobs.state(task)["message"]
    cluster.change(job, reason="NewFangled")
    assert "NewFangled" in jobs.state(task)["message"]
    cluster.change(job, state="RUNNING", reason="None", node="node7")
    state = jobs.state(task)
    assert (state["state"], state["message"]) == ("queued", "It is starting.")
    assert elsewhere.place_text(state) == f"slurm {job} on node7"


def test_a_scheduler_that_is_slow_or_silent_loses_nothing(store, cluster, monkeypatch):
    task, _ = submitted(store)
    monkeypatch.setattr(slurm, "ANSWER_LIMIT_S", 1.0)
    monkeypatch.setattr(watch, "FIRST_S", 0.1)
    cluster.set("hang.squeue")
    os.utime(task.folder / "status.json", (1, 1))
    begun = time.monotonic()
    assert jobs.state(task)["state"] == "queued"
    assert time.monotonic() - begun < 0.8  # nobody waits for the answer
    cluster.look()
    assert jobs.state(task)["message"] == "Slurm does not answer."
    cluster.unset("hang.squeue")
    monkeypatch.setattr(slurm, "ANSWER_LIMIT_S", 10.0)
    cluster.look()
    assert jobs.state(task)["message"] == "It waits for free resources."
    cluster.set("refuse.squeue", "Unable to contact slurm controller")
    cluster.look()
    state = jobs.state(task)
    assert (
        state["state"] == "queued"
        and "free resources. Slurm does not answer; it did" in state["message"]
    )


@pytest.mark.parametrize(
    "slurms, state, words",
    [
        ("TIMEOUT", "failed", "at its time limit"),
        ("OUT_OF_MEMORY", "failed", "--mem in DD_SLURM"),
        ("NODE_FAIL", "failed", "Its node failed; start it again."),
        ("CANCELLED", "cancelled", "Stopped."),
        ("COMPLETED", "failed", "ended without a result"),
    ],
)
def test_how_jobs_end(store, cluster, slurms, state, words):
    task, job = submitted(store)
    cluster.change(job, state=slurms)
    if slurms == "COMPLETED":  # a file server may show the result later
        assert jobs.state(task)["state"] == "queued"
    os.utime(task.folder / "status.json", (1, 1))
    found = jobs.state(task)
    assert found["state"] == state and words in found["message"]


def test_a_job_that_nobody_knows_is_gone_only_after_a_newer_answer(store, cluster):
    task, job = submitted(store)
    cluster.forget(job)
    assert jobs.state(task)["state"] == "queued"  # the answer may be older than the job
    os.utime(task.folder / "status.json", (1, 1))
    found = jobs.state(task)
    assert found["state"] == "failed" and "no longer knows" in found["message"]
    again, other = submitted(store)
    assert again.folder == task.folder and other != job and jobs.state(again)["state"] == "queued"


def test_stopping(store, cluster):
    task, job = submitted(store)
    cluster.look()
    jobs.cancel(task)
    assert cluster.calls("scancel") == [[job]]
    cluster.look()
    assert jobs.wait(task, timeout_s=5)["state"] == "cancelled"
    task, job = submitted(store, SleepyTask(steps=9))
    cluster.change(job, state="RUNNING")
    cluster.set("refuse.scancel", "it ends by itself")
    jobs.cancel(task)
    assert cluster.calls("scancel")[-1] == ["--signal=TERM", "--batch", job]
    assert jobs.state(task)["message"] == "Stopping ..."
    cluster.unset("refuse.scancel")
    jobs.escalate(task)
    assert len(cluster.calls("scancel")) == 2
    os.utime(task.folder / "cancel", (1, 1))
    jobs.escalate(task)
    assert cluster.calls("scancel")[-1] == [job]


def test_what_is_refused_has_failed_with_the_reason(store, cluster):
    cluster.set("refuse.sbatch", "sbatch: error: invalid account")
    with pytest.raises(DDError, match="invalid account"):
        jobs.submit(store, [SPEC, SleepyTask(steps=3)])
    states = [store.task(spec).status() for spec in (SPEC, SleepyTask(steps=3))]
    assert all(s["state"] == "failed" and "invalid account" in s["message"] for s in states)
    assert len(cluster.calls("sbatch")) == 1


def test_without_slurm_it_is_said_in_one_sentence(store, monkeypatch, tmp_path):
    monkeypatch.setenv("DD_LAUNCHER", "slurm")
    monkeypatch.setenv("PATH", str(tmp_path))
    slurm.limits.cache_clear()
    with pytest.raises(DDError, match=r"^\w+ is not on this machine: .*DD_LAUNCHER"):
        jobs.submit(store, [SPEC])


def test_times_of_slurm():
    texts = {"30": 1800, "1:30": 90, "2:00:00": 7200, "1-00:00:00": 86400, "2-12": 216000}
    assert {text: slurm.seconds_of(text) for text in texts} | {"30": 1800} == texts
    assert slurm.seconds_of("infinite") == float("inf")
    assert slurm.site_of("x|30:00|1|1|(null)", "y") == slurm.Site()


def test_the_command_says_where_and_why(store, cluster, capsys):
    _, job = submitted(store)
    running, other = submitted(store, SleepyTask(steps=3))
    running.write_status(
        state="running", launcher="slurm", job=other, host="node7", step=1, total=3, pid=2**22
    )
    cluster.change(other, state="RUNNING", node="node7")
    assert main(["jobs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(f"slurm {other} on node7" in line and "running" in line for line in lines)
    assert any(f"slurm {job}  It waits for free resources." in line for line in lines)
