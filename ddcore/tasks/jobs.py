"""Asking for tasks, watching them, stopping them. Runs no numerics: everything is read from folders."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from ddcore.base import environment
from ddcore.base.errors import Damaged, DDError, NotReady, SpecError
from ddcore.base.specs import TaskSpec
from ddcore.tasks import clocks, elsewhere, launchers, locks, pausing, queue
from ddcore.tasks.files import is_there, remove
from ddcore.tasks.launchers.local import BEGUN, launch
from ddcore.tasks.records import ACTIVE, STATES
from ddcore.tasks.store import Store, Task
from ddcore.tasks.task import STATUS

NO_RESULTS = ("failed", "cancelled", "lost", "missing")
HEARTBEAT_LIMIT_S = 180.0  # of another machine: longer than file systems keep attributes
LEAVE_LIMIT_S, SUBMIT_LIMIT_S = 10.0, 60.0
START_LIMIT_S = (
    20.0  # of a worker that has not said its process id, where nothing tells that it lives
)
TERM_AFTER_S, KILL_AFTER_S = 10.0, 20.0


def submit(store: Store, specs: Iterable[TaskSpec], at_once: int | None = None) -> list[Task]:
    """Queue tasks that are neither done nor on their way; one worker runs them in order.

    Where a scheduler starts workers (`DD_LAUNCHER`) each has a job of its own; those that take seconds stay
    here. With `at_once` jobs are handed in together where they can be, and so many of them run at a time.
    Returns the folder of every spec asked for. Calling it twice, from wherever, starts nothing twice.
    """
    environment.check()
    specs = list(specs)
    tasks = [store.task(spec) for spec in specs]
    if launchers.chosen():
        specs = elsewhere.with_prerequisites(store, specs)
    wanted = [(store.task(spec), spec) for spec in specs]
    missing = [(t, spec) for t, spec in wanted if not t.is_done()]
    for task, _ in missing:
        _let_leave(task)
    if missing:
        try:
            with submitting(store):
                _queue(store, missing, at_once)
        except FileNotFoundError:
            raise NotReady("A task was deleted while it was being queued: try again.") from None
    return tasks


def _queue(
    store: Store, missing: Sequence[tuple[Task, TaskSpec]], at_once: int | None = None
) -> None:
    new = []
    for task, spec in missing:
        if task.is_done() or state(task)["state"] in ACTIVE:
            continue
        store.create(spec)
        remove(task.folder / "cancel")
        pausing.go_on(task)
        remove(task.folder / BEGUN)
        task.write_status(
            state="queued", queued=time.time(), heartbeat=time.time(), host=socket.gethostname()
        )
        new.append((task, spec))
    scheduler = launchers.chosen()
    here = [task for task, spec in new if not (scheduler and spec.SLOT == "compute")]
    if here:
        launch(here)
    if scheduler:
        away = [(task, spec) for task, spec in new if spec.SLOT == "compute"]
        elsewhere.submit(scheduler, store, away, [spec for _, spec in missing], at_once)


@contextlib.contextmanager
def submitting(store: Store) -> Iterator[None]:
    """One at a time looks whether a task is on its way and queues it, else several would do so."""
    lock = locks.acquire(store.root / "slots" / "submit.lock", SUBMIT_LIMIT_S, poll_s=0.01)
    if lock is None:
        raise NotReady("Others have been queueing tasks for long: try again in a moment.")
    try:
        yield
    finally:
        lock.release()


def _let_leave(task: Task) -> None:
    """Wait for a worker that was told to stop, or has stopped and not given its folder back yet.

    A new one would find the folder taken and leave, and the task would stay as it is.
    """
    end = time.monotonic() + LEAVE_LIMIT_S
    while _is_leaving(task):
        if time.monotonic() > end:
            raise NotReady(f"{task.kind} {task.key} is still stopping: try again in a moment.")
        time.sleep(0.02)


def _is_leaving(task: Task) -> bool:
    if state(task)["state"] in ACTIVE:
        return is_there(task.folder / "cancel")
    return not task.is_done() and is_alive(task)


def is_alive(task: Task) -> bool:
    """Whether a process on this machine works on the folder or waits in the queue with it, or a job does."""
    if _is_held(task):
        return True
    return elsewhere.is_elsewhere(task.status()) and state(task)["state"] in ACTIVE


def _is_held(task: Task) -> bool:
    return any(locks.is_held(task.folder / name) for name in (".worker.lock", ".lock"))


def state(task: Task) -> dict[str, Any]:
    """The task's status with what only an observer can know: lost workers and the queue place.

    Never raises: what cannot be read makes the task "damaged", with the reason as its message.
    """
    status = task.status()
    if status["state"] not in ACTIVE:
        return status
    if elsewhere.is_elsewhere(status):
        return elsewhere.state(task, status, task.folder.parent.parent)
    age = abs(time.time() - status.get("heartbeat", 0))  # the clock may have been set back
    here = status.get("host") == socket.gethostname()
    starting = "pid" not in status and _may_be_starting(task, age)
    # Here, a held lock is proof of life: a task that waits behind another of its worker beats no heart.
    gone = not (starting or _is_held(task)) if here else _is_silent(task)
    if gone and (problem := task.damage()):
        status |= {"state": "damaged", "message": problem}
    elif gone:
        cancelled = (task.folder / "cancel").exists()
        status["state"] = "cancelled" if cancelled else "lost"
        status["message"] = (
            "Stopped."
            if cancelled
            else "Its worker is gone; resuming continues from the checkpoint."
        )
    elif (task.folder / "cancel").exists():
        status["message"] = "Stopping ..."
    return status


def _is_silent(task: Task) -> bool:
    """Whether a worker of another machine has not written for long, by the clock of the file server."""
    age = clocks.age(task.folder / STATUS, task.folder.parent.parent)
    return abs(age) > HEARTBEAT_LIMIT_S  # the clock may have been set back


def _may_be_starting(task: Task, age: float) -> bool:
    """Whether a worker that has not said so yet is on its way, however long a busy machine takes."""
    if (task.folder / BEGUN).exists():
        return locks.is_held(task.folder / BEGUN)
    return age < START_LIMIT_S


def queue_places(store: Store) -> dict[str, int]:
    """How many tasks are ahead of each queued one that has a ticket, by its key."""
    return {
        ticket.name.split(".")[2]: ahead
        for slot in ("light", "compute")
        for ahead, ticket in enumerate(queue.waiting(store.root, slot))
    }


def cancel(*tasks: Task) -> None:
    """Ask tasks to stop: each writes its checkpoint first. `escalate` follows if one does not."""
    asked = [t for t in tasks if not t.shipped and t.status()["state"] in ACTIVE]
    for task in asked:
        with contextlib.suppress(FileNotFoundError):  # deleted since: nothing is left to stop
            (task.folder / "cancel").touch()
    statuses = [task.status() for task in asked]
    elsewhere.cancel(status for status in statuses if elsewhere.is_elsewhere(status))


def escalate(task: Task) -> None:
    """Signal the worker of a task whose cancel flag has been ignored for long."""
    flag = task.folder / "cancel"
    status = task.status()
    try:
        age = time.time() - flag.stat().st_mtime
        if age < 0:  # the clock was set back: count from now
            flag.touch()
    except FileNotFoundError:
        return
    if status["state"] in ACTIVE and elsewhere.is_elsewhere(status):
        if age > elsewhere.GRACE_S:
            flag.touch()  # once a minute
            elsewhere.cancel([status], at_once=True)
        return
    if status["state"] not in ACTIVE or "pid" not in status:
        return
    if age < TERM_AFTER_S or status.get("host") != socket.gethostname() or not is_alive(task):
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(status["pid"], signal.SIGKILL if age > KILL_AFTER_S else signal.SIGTERM)


def resume(store: Store, task: Task) -> Task:
    """Continue a cancelled, failed or lost task from its last checkpoint, then its follow-ups."""
    if task.shipped:
        raise DDError(f"{task.key} is part of the shipped gallery: it is complete.")
    try:
        spec = task.spec()
    except Damaged:
        if task.exists():
            raise
        raise NotReady(f"{task.kind} {task.key} has been deleted.") from None
    return submit(store, [spec, *spec.follow_ups()])[0]


def wait(
    task: Task,
    on_status: Callable[[dict[str, Any]], None] = lambda _: None,
    poll_s: float = 0.2,
    timeout_s: float = float("inf"),
) -> dict[str, Any]:
    """Block until the task is no longer queued or running; returns its last status."""
    end = time.monotonic() + timeout_s
    while True:
        status = state(task)
        on_status(status)
        if status["state"] not in ACTIVE or time.monotonic() > end:
            return status
        escalate(task)
        time.sleep(poll_s)


def recompute(store: Store, task: Task) -> Task:
    """Queue a damaged task again; a shipped one is computed in the own store.

    What is left of a result is not used; a task that was not finished goes on from its checkpoint.
    """
    spec = task.spec()
    if spec.key != task.key:
        raise NotReady(
            f"{task.key} was made by another version: its fields have another key today."
        )
    own = Store(store.root, gallery=None) if task.shipped else store
    return submit(own, [spec])[0]


def prune(
    store: Store,
    *,
    older_than_days: float = 0.0,
    states: Iterable[str] = (),
    keys: Iterable[str] = (),
    results: bool = False,
) -> list[str]:
    """Delete own folders in one of `states`, or those with `keys`, past an age.

    Without either: all that are no results, but for damaged ones, which may be looked at first.
    Finished results are deleted only if `results` says so too. Nothing is deleted that a process holds
    or that has just been made.
    """
    keys, states = set(keys), tuple(states) or (NO_RESULTS if not keys else STATES)
    for name in states:
        if name not in STATES:
            raise SpecError("state", name, "one of " + ", ".join(STATES))
    found = [t for t in store.folders() if not t.shipped and (not keys or t.key in keys)]
    if unknown := keys - {t.key for t in found}:
        raise NotReady(f"No task {min(unknown)} in {store.root}.")
    seen = [(t, t.status()) for t in found if _may_go(t, states, older_than_days)]
    finished = sum(status["state"] == "done" for _, status in seen)
    if finished and not results:
        raise NotReady(f"{finished} of these are finished results: say --yes to delete them too.")
    return [f"{t.kind}/{t.key}" for t, status in seen if _delete(store, t, status)]


def _may_go(task: Task, states: tuple[str, ...], older_than_days: float) -> bool:
    now = state(task)["state"]
    if now not in states or now in ACTIVE:
        return False
    files = (task.folder, *task.folder.glob("*.json"))
    ages = [time.time() - f.stat().st_mtime for f in files if f.exists()]
    # One without a status may be on its way into the queue: its spec is written first.
    beginning = now == "missing" and min(map(abs, ages), default=0.0) < START_LIMIT_S
    return not beginning and max(ages, default=0.0) >= older_than_days * 86400


def _delete(store: Store, task: Task, seen: dict[str, Any]) -> bool:
    """Delete a folder under its locks, unless somebody holds it or it was queued since `seen`."""
    with held(task) as free:
        if not free or task.status() != seen:
            return False
        store.delete(task)
        return True


@contextlib.contextmanager
def held(task: Task) -> Iterator[bool]:
    """Hold a folder's locks during the block; False where it is not there or somebody else holds one."""
    with contextlib.ExitStack() as both:
        yield all(
            task.folder.is_dir() and both.enter_context(locks.holding(task.folder / name))
            for name in (".worker.lock", ".lock")
        )
