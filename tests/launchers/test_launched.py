"""Workers that a scheduler has started, in real processes: moved, stopped, given up, and in nobody's way."""

import os
import signal

from ddcore.sweeps import drive
from ddcore.sweeps.cells import SweepCell
from ddcore.tasks import jobs, launched, locks
from ddcore.tasks.files import write_json
from ddcore.tasks.testing import SleepyTask

LONG = SleepyTask(steps=200, pause=0.02)


def started(store, cluster, spec):
    cluster.set("run")
    task = jobs.submit(store, [spec])[0]
    job = task.status()["job"]
    return task, job, cluster.jobs()[job]["pid"]


def end(pid):
    os.killpg(pid, signal.SIGKILL)


def test_no_queue_no_slot_and_its_own_threads(store, cluster):
    task, job, _ = started(store, cluster, SleepyTask(steps=3))
    assert jobs.wait(task, timeout_s=60)["state"] == "done"
    status = task.status()
    assert (status["launcher"], status["job"], status["device"]) == ("slurm", job, "cpu")
    assert not (store.root / "queue").exists()
    assert not [*(store.root / "slots").glob("compute*")]
    assert not [p.name for p in task.folder.glob(".lease*")]


def test_moved_by_a_signal_it_goes_on_where_it_was(store, cluster, wait_for):
    task, job, pid = started(store, cluster, LONG)
    wait_for(lambda: len(task.events()) > 3)
    os.kill(pid, signal.SIGUSR1)
    wait_for(lambda: cluster.calls("scontrol") == [["requeue", job]])
    cluster.look()
    state = jobs.state(task)
    assert state["state"] == "queued" and "starts again" in state["message"]
    assert "Moved by the scheduler" in task.status()["message"]
    os.kill(pid, 0)  # it waits: a process that ends would end its job
    os.kill(pid, signal.SIGTERM)  # which comes next
    wait_for(lambda: not locks.is_held(task.folder / ".lock"))
    reached = len(task.events())
    second = jobs.launch([task])  # a second life, here of this machine
    assert jobs.wait(task, timeout_s=60)["state"] == "done"
    second.wait(60)
    assert task.result() == {"total": float(sum(range(200))), "resumed_from": reached}
    assert [e["step"] for e in task.events()] == [*range(1, 201)]


def test_ended_by_the_scheduler_it_is_queued_by_a_person_it_is_stopped(store, cluster, wait_for):
    task, _, pid = started(store, cluster, LONG)
    wait_for(lambda: task.events())
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: task.status()["state"] == "queued")
    assert cluster.calls("squeue") is not None and not (
        cluster.home / "calls.txt"
    ).read_text().count("scontrol")
    end(pid)
    other, _, pid = started(store, cluster, LONG.replace(seed=1))
    wait_for(lambda: other.events())
    jobs.cancel(other)
    assert jobs.wait(other, timeout_s=60)["state"] == "cancelled"
    assert other.has_checkpoint()


def test_a_sweep_is_many_jobs_and_one_failure_stops_no_other(store, cluster, monkeypatch):
    monkeypatch.setattr(drive, "FAR_POLL_S", 0.2)
    cluster.set("run")
    cells = [
        SweepCell((("seed", str(i)),), SleepyTask(steps=3, seed=i, fail_at=1 if i else -1))
        for i in range(2)
    ]
    found = drive.work_through(store, cells, drive.usual_at_once())
    assert found.done == cells[:1] and list(found.failed) == cells[1:]
    assert len(cluster.jobs()) == 2
    cluster.set("refuse.sbatch", "sbatch: error: too many jobs")
    refused = drive.work_through(store, cells, 5)
    assert refused.done == cells[:1] and "too many jobs" in refused.failed[cells[1]]


def test_a_finished_task_is_left_at_once(store, cluster, compute, monkeypatch):
    task = compute(SleepyTask(steps=1))
    monkeypatch.setenv("DD_LAUNCHED", "slurm")
    before = (task.folder / "status.json").read_bytes()
    assert launched.work([task.folder], lambda store, device: None) == 0
    assert (task.folder / "status.json").read_bytes() == before


def test_it_gives_up_after_lives_that_brought_nothing(store, monkeypatch):
    monkeypatch.setenv("DD_LAUNCHED", "slurm")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    task = store.create(LONG)
    for lives in (launched.MOST_LIVES - 1, launched.MOST_LIVES):
        write_json(task.folder / launched.LIVES, {"lives": lives})
        place = launched.Allocation("slurm", task)
        assert place.is_vain
    assert launched.work([task.folder], lambda store, device: None) == 1
    assert task.status()["state"] == "failed" and "3 times" in task.status()["message"]
    place.progressed()
    assert not place.is_vain and launched.Allocation("slurm", task).lives == 1


def test_the_device_of_the_allocation(monkeypatch):
    for visible, device in (("3", "cuda:0"), ("NoDevFiles", "cpu"), ("", "cpu"), ("-1", "cpu")):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert launched.device() == device
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert launched.device() == "cpu"
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")
    assert launched.threads() == 3
