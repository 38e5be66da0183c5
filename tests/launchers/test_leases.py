"""Stores that several machines share: leases, clocks, and two that compute one key."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from ddcore.base import paths
from ddcore.tasks import clocks, leases, locks, worker
from ddcore.tasks.leases import Lease
from ddcore.tasks.testing import SleepyTask

# A worker on a machine of another name, where every file lock is granted to everybody.
ELSEWHERE = """
import sys
from pathlib import Path
from ddcore.tasks import leases, locks, worker
from ddcore.tasks.store import Store, Task

class Granted:
    held = True
    def release(self): pass

leases.machine = lambda: sys.argv[1]
locks.acquire = lambda path, timeout=0, poll_s=0: Granted()
leases.LIMIT_S, leases.RENEW_S = float(sys.argv[3]), 0.1
task = Task(Path(sys.argv[2]))
worker.HEARTBEAT_EVERY_S = 0.1
worker.run_task(Store(task.folder.parent.parent, None), task, task.spec(), "cpu")
"""


def on(machine, task, limit_s):
    words = [sys.executable, "-c", ELSEWHERE, machine, str(task.folder), str(limit_s)]
    with open(task.folder / "log.txt", "ab") as log:
        return subprocess.Popen(words, cwd=paths.PROJECT, stdout=log, stderr=log)


def lease_of(task, store, machine, monkeypatch, job=""):
    monkeypatch.setattr(leases, "machine", lambda: machine)
    return Lease(task.folder, store.root, job)


def test_one_of_two_machines_holds_a_folder(store, monkeypatch):
    task = store.create(SleepyTask())
    here = lease_of(task, store, "a", monkeypatch)
    there = lease_of(task, store, "b", monkeypatch)
    assert here.take() and not there.take() and not there.contested
    here.release()
    assert there.take() and not there.contested
    then = time.time() - leases.LIMIT_S - 5
    os.utime(there.path, (then, then))
    assert here.take() and here.contested and here.is_mine()
    with pytest.raises(leases.Overtaken):
        there.keep()
    assert there.lost
    there.release()  # which leaves that of the other one alone
    assert here.is_mine()
    # What is left of a process of this machine, whose lock is held now, or of a life of the same job:
    assert lease_of(task, store, "a", monkeypatch).take()
    job = lease_of(task, store, "a", monkeypatch, job="7")
    assert job.take() and lease_of(task, store, "c", monkeypatch, job="7").take()
    assert [p.name for p in task.folder.glob(".lease*")] == [".lease"]


def test_a_lease_that_was_renewed_meanwhile_goes_back(store, monkeypatch):
    task = store.create(SleepyTask())
    there = lease_of(task, store, "b", monkeypatch)
    stale = replace(there.own, token="old")
    assert there.take()
    here = lease_of(task, store, "a", monkeypatch)
    here._set_aside(stale)
    assert there.is_mine() and not here.take()
    there.path.write_text("{")  # a half-written or foreign file is nobody's
    assert here.take()


def test_where_files_cannot_be_linked(store, monkeypatch):
    def refuse(*_):
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    task = store.create(SleepyTask())
    here, there = (lease_of(task, store, name, monkeypatch) for name in "ab")
    assert here.take() and not there.take() and here.is_mine()


def test_renewing_finds_out_that_it_was_taken_over(store, monkeypatch):
    monkeypatch.setattr(leases, "RENEW_S", 0.0)
    task = store.create(SleepyTask())
    here = lease_of(task, store, "a", monkeypatch)
    here.take()
    os.utime(here.path, (1, 1))
    here.renew()
    assert clocks.age(here.path, store.root) < 5 and not here.lost
    os.utime(here.path, (1, 1))
    assert lease_of(task, store, "b", monkeypatch).take()
    here.renew()
    assert here.lost and clocks.age(task.folder / "nothing", store.root) == float("inf")


def test_the_clock_is_the_file_servers(store, monkeypatch):
    assert abs(clocks.measure(store.root)) < 1
    monkeypatch.setattr(clocks.time, "time", lambda now=time.time: now() - 500)
    clocks._known.clear()
    task = store.create(SleepyTask())
    task.write_status(state="running", host="elsewhere")
    assert clocks.lead(store.root) == pytest.approx(500, abs=2)
    assert abs(clocks.age(task.folder / "status.json", store.root)) < 2
    clocks._known.clear()


def test_two_machines_that_compute_one_key_end_with_one_sound_result(store):
    task = store.create(SleepyTask(steps=30, pause=0.02))
    both = [on(name, task, 60) for name in ("a", "b")]
    assert [each.wait(60) for each in both] == [0, 0]
    assert task.is_done() and task.verify() == []
    assert [e["step"] for e in task.events()] == [*range(1, 31)]
    assert task.log().count("computed here") == 1


def test_a_machine_that_comes_back_finds_its_task_taken_over(store):
    """It stopped for longer than a lease lasts, as behind a broken network, and goes on then."""
    task = store.create(SleepyTask(steps=60, pause=0.02))
    first = on("a", task, 1.0)
    end = time.time() + 60
    while len(task.events()) < 5:
        assert time.time() < end
        time.sleep(0.02)
    first.send_signal(19)  # SIGSTOP
    second = on("b", task, 1.0)
    while getattr(leases.holder(task.folder / ".lease"), "machine", "") != "b":
        assert time.time() < end
        time.sleep(0.02)
    first.send_signal(18)  # SIGCONT
    assert (first.wait(60), second.wait(60)) == (0, 0)
    assert task.is_done() and task.verify() == []
    assert task.result()["total"] == sum(range(60))


def test_what_a_dead_machine_wrote_late_is_found_at_the_end(store, monkeypatch):
    """Its result lands between ours and the seal: the manifest is checked, and the task computed anew."""
    task = store.create(SleepyTask(steps=2))
    stale = lease_of(task, store, "dead", monkeypatch)
    stale.take()
    os.utime(stale.path, (1, 1))
    monkeypatch.setattr(leases, "machine", lambda: "here")
    finish, late = type(task).finish, []

    def disturbed(self, written):
        if not late:
            late.append(True)
            (self.folder / "result.json").write_text(json.dumps({"total": -1.0}))
        finish(self, written)

    monkeypatch.setattr(type(task), "finish", disturbed)
    worker.run_task(store, task, task.spec(), "cpu")
    assert late and task.is_done() and task.verify() == [] and task.result()["total"] == 1.0


def test_plain_local_work_leaves_no_lease(compute):
    task = compute(SleepyTask(steps=1))
    assert not [*task.folder.glob(".lease*")] and not locks.is_held(task.folder / ".lock")
