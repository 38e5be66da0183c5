"""Jobs in real worker processes: queue, dedup, cancel, crash, resume, two dashboards."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ddcore.base import paths
from ddcore.base.errors import DDError, NotReady, SpecError, StoreUnusable
from ddcore.tasks import jobs, locks, process, queue, worker
from ddcore.tasks.files import write_json
from ddcore.tasks.launchers import local
from ddcore.tasks.store import Store, Task
from ddcore.tasks.testing import SleepyTask

LIMIT_S = 60


def wait_for(condition, timeout=LIMIT_S):
    end = time.time() + timeout
    while not condition():
        assert time.time() < end, "timed out"
        time.sleep(0.05)


def finish(task):
    return jobs.wait(task, timeout_s=LIMIT_S)


def test_submit_computes_once_and_reports(store):
    spec = SleepyTask(steps=4)
    task = jobs.submit(store, [spec])[0]
    assert finish(task)["state"] == "done"
    assert task.result() == {"total": 6.0, "resumed_from": 0}
    assert [e["step"] for e in task.events()] == [1, 2, 3, 4]
    stamp = (task.folder / "done.json").stat().st_mtime_ns
    assert jobs.submit(store, [spec])[0].is_done()
    assert (task.folder / "done.json").stat().st_mtime_ns == stamp


def test_two_workers_on_one_folder_run_it_once(store):
    spec = SleepyTask(steps=10, pause=0.05)
    task = jobs.submit(store, [spec])[0]
    second = jobs.launch([task])
    assert finish(task)["state"] == "done"
    second.wait(LIMIT_S)
    assert [e["step"] for e in task.events()] == list(range(1, 11))


@pytest.mark.skipif(not locks.MARKS, reason="no marks: counts as starting for a while")
def test_a_worker_killed_before_it_spoke_is_lost_at_once_and_starts_anew(store, monkeypatch):
    def killed(tasks):
        worker = born(tasks)
        assert jobs.state(tasks[-1])["state"] == "queued"
        worker.kill()
        worker.wait(LIMIT_S)

    born = jobs.launch
    specs = [SleepyTask(steps=2), SleepyTask(steps=2, seed=1)]
    monkeypatch.setattr(jobs, "launch", killed)
    tasks = jobs.submit(store, specs)
    assert all("pid" not in t.status() and jobs.state(t)["state"] == "lost" for t in tasks)
    monkeypatch.setattr(jobs, "launch", born)
    jobs.submit(store, specs)
    assert [finish(t)["state"] for t in tasks] == ["done", "done"]


def test_queue_is_first_come_first_served_and_position_is_known(store):
    # The first lasts until the others are in the queue, also on a busy machine.
    specs = [SleepyTask(steps=steps, pause=0.05, seed=i) for i, steps in enumerate((120, 5, 5))]
    tasks = []
    for spec in specs:
        tasks += jobs.submit(store, [spec])
        wait_for(
            lambda t=tasks[-1]: (
                jobs.state(t)["state"] == "running" or t.key in jobs.queue_places(store)
            )
        )
    assert jobs.queue_places(store)[tasks[2].key] == 1
    assert jobs.state(tasks[2])["state"] == "queued"
    assert all(finish(t)["state"] == "done" for t in tasks)
    ended = [(t.folder / "done.json").stat().st_mtime for t in tasks]
    assert ended == sorted(ended)
    assert queue.waiting(store.root, "compute") == []


def test_cancel_then_resume_continues(store):
    task = jobs.submit(store, [SleepyTask(steps=60, pause=0.05)])[0]
    wait_for(lambda: len(task.events()) > 3)
    jobs.cancel(task)
    assert finish(task)["state"] == "cancelled"
    done_before = len(task.events())
    assert 3 < done_before < 60
    jobs.resume(store, task)
    assert finish(task)["state"] == "done"
    assert task.result()["total"] == sum(range(60))
    assert task.result()["resumed_from"] >= done_before - 1
    assert [e["step"] for e in task.events()] == list(range(1, 61))


def test_cancel_while_queued(store):
    first = jobs.submit(store, [SleepyTask(steps=2000, pause=0.05)])[0]
    wait_for(lambda: jobs.state(first)["state"] == "running")
    second = jobs.submit(store, [SleepyTask(steps=1, seed=9)])[0]
    wait_for(lambda: second.key in jobs.queue_places(store))
    jobs.cancel(second)
    assert finish(second)["state"] == "cancelled"
    jobs.cancel(first)
    finish(first)


def test_crashed_worker_is_lost_and_resumable(store, monkeypatch):
    task = jobs.submit(store, [SleepyTask(steps=6, crash_at=3)])[0]
    assert finish(task)["state"] == "lost"
    jobs.resume(store, task)
    assert finish(task)["state"] == "done"
    assert task.result() == {"total": 15.0, "resumed_from": 3}


def test_killed_process_group_frees_the_slot(store, monkeypatch):
    task = jobs.submit(store, [SleepyTask(steps=1000, pause=0.05)])[0]
    wait_for(lambda: jobs.state(task).get("pid") and len(task.events()) > 1)
    os.killpg(jobs.state(task)["pid"], signal.SIGKILL)
    wait_for(lambda: jobs.state(task)["state"] == "lost")
    other = jobs.submit(store, [SleepyTask(steps=2, seed=5)])[0]
    assert finish(other)["state"] == "done"


def test_stuck_worker_is_signalled(store, monkeypatch):
    monkeypatch.setattr(jobs, "TERM_AFTER_S", 0.3)
    monkeypatch.setattr(jobs, "KILL_AFTER_S", 3.0)
    task = jobs.submit(store, [SleepyTask(steps=2, pause=500)])[0]
    wait_for(lambda: jobs.state(task)["state"] == "running")
    jobs.cancel(task)
    assert finish(task)["state"] == "cancelled"


def test_failure_is_kept_with_its_message(store):
    task = jobs.submit(store, [SleepyTask(steps=3, fail_at=1)])[0]
    status = finish(task)
    assert status["state"] == "failed"
    assert status["message"] == "The sleepy task failed as asked."
    wait_for(lambda: "DDError: The sleepy task failed as asked." in task.log())  # said last


def test_needed_task_is_computed_inline_and_its_failure_is_seen(store):
    spec = SleepyTask(steps=2, need=3)
    task = jobs.submit(store, [spec])[0]
    assert finish(task)["state"] == "done"
    needed = store.task(SleepyTask(steps=3, seed=1))
    assert needed.is_done()


def test_second_of_two_specs_is_cancelled_if_the_first_fails(store):
    first, second = jobs.submit(store, [SleepyTask(steps=3, fail_at=1), SleepyTask(seed=8)])
    assert finish(first)["state"] == "failed"
    assert finish(second)["state"] == "cancelled"


def old(task, seconds=3600):
    """Make a folder look as if nothing had happened in it for so long."""
    then = time.time() - seconds
    for path in (*task.folder.iterdir(), task.folder):
        os.utime(path, (then, then))
    return task


def test_prune_deletes_what_is_no_result(store, compute):
    done = compute(SleepyTask(steps=1))
    with pytest.raises(DDError):
        compute(SleepyTask(steps=1, fail_at=0))
    abandoned = store.create(SleepyTask(steps=7))
    write_json(abandoned.folder / "status.json", {"state": "running", "heartbeat": 0})
    old(abandoned)
    never = old(store.create(SleepyTask(steps=8)))
    removed = jobs.prune(store)
    assert len(removed) == 3 and done.is_done() and not never.folder.exists()
    assert [t.key for t in store.tasks()] == [done.key]


def test_prune_leaves_a_folder_that_is_just_being_made(store):
    """`submit` writes spec.json first; the status and the worker's locks follow."""
    begun = store.create(SleepyTask())
    assert jobs.state(begun)["state"] == "missing"
    assert jobs.prune(store) == [] == jobs.prune(store, states=["missing"])
    assert begun.exists()
    begun.write_status(state="queued", queued=time.time(), heartbeat=time.time())
    assert jobs.prune(store) == [] and begun.exists()


def test_prune_leaves_what_was_queued_again_or_is_held(store, monkeypatch):
    failed = store.create(SleepyTask())
    failed.write_status(state="failed", message="It broke.")
    real = jobs.locks.acquire

    def resumed_meanwhile(path, timeout=0):
        failed.write_status(state="queued", heartbeat=time.time())
        return real(path, timeout)

    with monkeypatch.context() as patched:
        patched.setattr(jobs.locks, "acquire", resumed_meanwhile)
        assert jobs.prune(store, states=["failed"]) == []
    failed.write_status(state="failed", message="It broke.")
    lock = real(failed.folder / ".worker.lock")
    assert jobs.prune(store) == [] and failed.exists()
    lock.release()
    assert jobs.prune(store) == [f"sleepy/{failed.key}"]


def test_prune_deletes_results_and_damaged_folders_only_if_told_to(store, compute):
    done, damaged = compute(SleepyTask(steps=1)), compute(SleepyTask(steps=2))
    (damaged.folder / "result.json").unlink()
    assert jobs.prune(store) == []
    with pytest.raises(NotReady, match="1 of these are finished results: say --yes"):
        jobs.prune(store, states=["done"])
    with pytest.raises(NotReady, match="finished results"):
        jobs.prune(store, keys=[done.key, damaged.key])
    with pytest.raises(SpecError, match="state = 'finished'"):
        jobs.prune(store, states=["finished"])
    with pytest.raises(NotReady, match="No task 0123456789abcdef"):
        jobs.prune(store, keys=["0123456789abcdef"])
    assert done.is_done() and damaged.exists()
    assert jobs.prune(store, states=["damaged"]) == [f"sleepy/{damaged.key}"]
    assert jobs.prune(store, keys=[done.key], results=True) == [f"sleepy/{done.key}"]


def test_a_damaged_result_is_computed_again_by_a_worker(store, compute):
    task = compute(SleepyTask(steps=3))
    path = task.folder / "arrays.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    assert jobs.state(task)["state"] == "damaged"
    assert finish(jobs.recompute(store, task))["state"] == "done"
    assert task.verify() == [] and task.result()["total"] == 3


def test_a_worker_says_that_a_spec_is_damaged(store):
    task = store.create(SleepyTask())
    (task.folder / "spec.json").write_bytes(b"{")
    task.write_status(state="queued", heartbeat=time.time())
    assert jobs.launch([task]).wait(LIMIT_S) == 1
    assert jobs.state(task)["state"] == "damaged" and "spec.json" in jobs.state(task)["message"]


def test_a_clock_that_was_set_back_leaves_nothing_queued_for_ever(store):
    task = store.create(SleepyTask())
    task.write_status(state="queued", heartbeat=time.time() + 7200, host=socket.gethostname())
    assert jobs.state(task)["state"] == "lost"


def full(*_):
    raise OSError(28, "No space left on device")


def test_disk_full_fails_the_task_and_a_retry_works(store, compute, monkeypatch):
    import ddcore.tasks.worker as worker

    spec = SleepyTask(steps=3)
    with monkeypatch.context() as patched:
        patched.setattr(worker, "write_arrays", full)
        with pytest.raises(OSError, match="No space"):
            compute(spec)
    task = store.task(spec)
    assert task.status()["state"] == "failed" and "No space left" in task.status()["message"]
    assert compute(spec).is_done()


@pytest.mark.parametrize("after", range(14))
@pytest.mark.parametrize("lasting", [True, False])
def test_a_disk_that_is_full_at_any_write_leaves_a_folder_that_can_be_resumed(
    store, compute, monkeypatch, after, lasting
):
    spec = SleepyTask(steps=3)
    store.create(spec)
    real, writes = os.fsync, [0]

    def fsync(number):
        writes[0] += 1
        if writes[0] == after + 1 or (lasting and writes[0] > after):
            full()
        real(number)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        with contextlib.suppress(StoreUnusable):
            compute(spec)
    task = store.task(spec)
    state = jobs.state(task)
    assert state["state"] in ("failed", "lost", "missing") or task.verify() == []
    if state["state"] == "failed":
        assert "No space left on device" in state["message"]
    assert not list(task.folder.rglob("*.tmp"))
    compute(spec)
    assert task.verify() == [] and task.result()["total"] == 3
    assert [e["step"] for e in task.events()] == [1, 2, 3]


def test_events_on_a_full_disk_fail_the_task_in_one_sentence(store, compute, monkeypatch):
    import ddcore.tasks.worker as worker

    with monkeypatch.context() as patched:
        patched.setattr(worker, "open", full, raising=False)
        with pytest.raises(StoreUnusable, match=r"events\.jsonl cannot be written"):
            compute(SleepyTask())
    assert "No space" in store.task(SleepyTask()).status()["message"]
    assert compute(SleepyTask()).is_done()


# --- many at once ---------------------------------------------------------------------------------

SUBMIT = """
import sys
from concurrent.futures import ThreadPoolExecutor
from ddcore.tasks import jobs
from ddcore.tasks.store import Store
from ddcore.tasks.testing import SleepyTask

threads, specs = int(sys.argv[1]), [SleepyTask(steps=2, seed=i) for i in range(int(sys.argv[2]))]
with ThreadPoolExecutor(threads) as pool:
    asked = [pool.submit(jobs.submit, Store(gallery=None), [s]) for s in specs for _ in range(2)]
    [a.result() for a in asked]
print("fine")
"""


def computed(store):
    """How often each key was computed, from the workers' logs."""
    lines = [n for f in store.root.glob("*/*/log.txt") for n in f.read_text().splitlines()]
    keys = [n.split()[0] for n in lines if n.endswith("computed here")]
    return {key: keys.count(key) for key in keys}


def submit_from_everywhere(store, specs, processes, threads):
    """Every task asked for by each thread's pool of each process and by this one, all at once."""
    command = [sys.executable, "-c", SUBMIT, str(threads), str(len(specs))]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    others = [subprocess.Popen(command, cwd=paths.PROJECT, **pipes) for _ in range(processes)]
    with ThreadPoolExecutor(threads) as pool:
        asked = [pool.submit(jobs.submit, store, [spec]) for spec in specs]
        [a.result() for a in asked]
    for other in others:
        out, errors = other.communicate(timeout=LIMIT_S)
        assert out == "fine\n", errors
    ends = Counter(finish(store.task(spec))["state"] for spec in specs)
    assert ends == {"done": len(specs)}
    assert computed(store) == {spec.key: 1 for spec in specs}


def test_the_same_tasks_from_threads_and_processes_are_computed_once(store):
    specs = [SleepyTask(steps=2, seed=i) for i in range(6)]
    submit_from_everywhere(store, specs, processes=2, threads=8)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_fifty_jobs_from_two_dashboards_and_the_command_line_are_computed_once(store, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "LIMIT_S", 400)
    specs = [SleepyTask(steps=2, seed=i) for i in range(50)]
    submit_from_everywhere(store, specs, processes=3, threads=8)


def test_resume_right_after_a_stop_is_never_dropped(store):
    """The worker has said that it stopped, and still holds its folder for a moment."""
    task = store.create(SleepyTask(steps=2))
    task.write_status(state="cancelled", message="Stopped.")
    leaving = locks.acquire(task.folder / ".worker.lock")
    threading.Timer(0.5, leaving.release).start()
    jobs.resume(store, task)
    assert finish(task)["state"] == "done"


def test_a_task_asked_for_while_it_is_being_stopped_is_computed(store):
    task = jobs.submit(store, [SleepyTask(steps=40, pause=0.05)])[0]
    wait_for(lambda: len(task.events()) > 3)
    jobs.cancel(task)
    jobs.submit(store, [SleepyTask(steps=40, pause=0.05)])
    assert finish(task)["state"] == "done"


def test_a_worker_that_does_not_leave_is_said_in_one_sentence(store, monkeypatch):
    monkeypatch.setattr(jobs, "LEAVE_LIMIT_S", 0.1)
    task = store.create(SleepyTask(steps=2))
    task.write_status(state="cancelled", message="Stopped.")
    stuck = locks.acquire(task.folder / ".worker.lock")
    with pytest.raises(DDError, match="is still stopping: try again"):
        jobs.resume(store, task)
    stuck.release()


def test_a_worker_that_ends_badly_leaves_alone_what_was_queued_again(store, monkeypatch):
    """Its task failed; as soon as it has given the folder back, somebody queues the task again."""
    task = store.create(SleepyTask(steps=1, fail_at=0))
    release = locks.Lock.release

    def queue_again(lock):
        release(lock)
        task.write_status(state="queued", heartbeat=time.time(), host=socket.gethostname())

    def fail(_):
        raise DDError("no")

    monkeypatch.setattr(process, "_work_one", fail)
    monkeypatch.setattr(locks.Lock, "release", queue_again)
    handler = signal.getsignal(signal.SIGTERM)
    try:
        assert process.work([task.folder]) == 1
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert task.status()["state"] == "queued"


def test_folders_deleted_under_ones_feet_are_no_error(store):
    """Cancelling, watching and signalling tasks while they are queued, stopped and deleted."""
    spec, stop, errors = SleepyTask(steps=5), threading.Event(), []

    def look():
        task = store.task(spec)
        while not stop.is_set():
            try:
                jobs.cancel(task)
                jobs.escalate(task)
                jobs.state(task)
            except Exception as error:
                errors.append(error)

    threads = [threading.Thread(target=look) for _ in range(3)]
    [t.start() for t in threads]
    for _ in range(100):
        task = store.create(spec)
        task.write_status(state="running", pid=2**22 + 1, heartbeat=0, host=socket.gethostname())
        store.delete(task)
    stop.set()
    [t.join() for t in threads]
    assert errors == []
    with pytest.raises(DDError, match="has been deleted"):
        jobs.resume(store, store.task(spec))


@pytest.mark.skipif(
    not locks.MARKS, reason="nothing tells that a process which has not begun lives"
)
def test_a_worker_that_takes_long_to_start_is_not_lost(store):
    """A busy machine may take minutes until a worker has said its process id: as long as it lives."""
    task = store.create(SleepyTask())
    task.write_status(state="queued", heartbeat=time.time() - 3600, host=socket.gethostname())
    with local.begun([task]) as marks:
        slow = subprocess.Popen(["sleep", "60"], pass_fds=marks)
    assert jobs.state(task)["state"] == "queued"
    slow.kill()
    slow.wait()
    assert jobs.state(task)["state"] == "lost"


# --- odd clocks and places ------------------------------------------------------------------------


def test_clocks_of_other_machines_prove_nothing(store):
    task = store.create(SleepyTask(steps=2))
    later = time.time() + 3600
    task.write_status(state="queued", heartbeat=later, host=socket.gethostname())
    assert jobs.state(task)["state"] == "lost"
    task.write_status(state="running", pid=2**22 + 1, heartbeat=later, host="elsewhere")
    assert jobs.state(task)["state"] == "running"  # its clock is wrong; it has just written
    for moment in (later, time.time() - jobs.HEARTBEAT_LIMIT_S - 1):
        os.utime(task.folder / "status.json", (moment, moment))
        assert jobs.state(task)["state"] == "lost"


def test_a_stuck_worker_is_signalled_also_if_the_clock_was_set_back(store, monkeypatch):
    task = store.create(SleepyTask(steps=2))
    task.write_status(state="running", pid=123, heartbeat=time.time(), host=socket.gethostname())
    lock, signals = locks.acquire(task.folder / ".lock"), []
    monkeypatch.setattr(jobs.os, "killpg", lambda pid, number: signals.append(number))
    jobs.cancel(task)
    later = time.time() + 3600
    os.utime(task.folder / "cancel", (later, later))
    jobs.escalate(task)
    monkeypatch.setattr(jobs, "TERM_AFTER_S", 0.0)
    jobs.escalate(task)
    assert signals == [signal.SIGTERM]
    lock.release()


def test_steps_are_reported_and_kept_after_the_clock_was_set_back(store, monkeypatch):
    spec = SleepyTask(steps=2)
    context = worker.Context(store, store.create(spec), spec, "cpu")
    monkeypatch.setattr(worker, "STATUS_EVERY_S", 0.0)
    monkeypatch.setattr(worker, "CHECKPOINT_EVERY_S", 0.0)
    context.progress(1, 9)
    context.save_checkpoint(1, {}, {})
    then = time.time() - 3600
    monkeypatch.setattr(worker.time, "time", lambda: then)
    context.progress(2, 9)
    assert context.task.status()["step"] == 2
    assert context.checkpoint_due()
    assert 0 <= context.seconds < 60


def test_a_relative_store_is_the_same_for_the_worker(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DD_CACHE", "here/cache")
    monkeypatch.setenv("DD_DATA", "data")
    store = Store(gallery=None)
    assert store.root == tmp_path / "here" / "cache"
    task = jobs.submit(store, [SleepyTask(steps=1)])[0]
    assert finish(task)["state"] == "done"
    started = []
    monkeypatch.setattr(local.subprocess, "Popen", lambda *a, **more: started.append((a, more)))
    jobs.launch([Task(Path("here/cache/sleepy") / task.key)])
    (command,), more = started[0]
    assert command[-1] == str(task.folder)
    assert more["env"]["DD_CACHE"] == str(store.root)
    assert more["env"]["DD_DATA"] == str(tmp_path / "data")
