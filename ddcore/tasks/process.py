"""The worker's process, `python -m ddcore work FOLDER...`: it takes a slot and runs task after task."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from ddcore.base import environment
from ddcore.base.errors import Cancelled, DDError, StoreUnusable
from ddcore.base.specs import TaskSpec
from ddcore.tasks import locks, queue
from ddcore.tasks.launchers import needs
from ddcore.tasks.store import Store
from ddcore.tasks.task import Task
from ddcore.tasks.worker import Context, run_task

QUEUED_EVERY_S = 60.0  # a sign of life for other machines, which wait longer than that
After = Callable[[Store, str], object]


def work(folders: list[Path], after: After = lambda store, device: None) -> int:
    """Entry point of the worker process: run the folders' tasks in order. Returns an exit code.

    `after(store, device)` follows each computed result while the slot is still held.
    """
    signal.signal(signal.SIGTERM, _raise_cancelled)
    held = []
    for folder in folders:
        lock = locks.acquire(folder / ".worker.lock", timeout=1)
        if lock:
            held.append((Task(folder), lock))
    code = 0
    try:
        for task, lock in held:
            try:
                _work_one(task, after)
            except Cancelled:
                code = 130
                break
            except Exception as error:
                traceback.print_exc()
                _blame(task, error)
                code = 1
                break
            finally:
                lock.release()
    finally:
        for task, lock in held:
            # Those this worker gave back may have been queued again since, for another one.
            if code and lock.held and task.status()["state"] == "queued":
                with contextlib.suppress(StoreUnusable):
                    task.write_status(state="cancelled", message="A task before it did not finish.")
            lock.release()
    return code


def _blame(task: Task, error: Exception) -> None:
    """Say what kept a task from even starting, such as a damaged spec.json."""
    if task.status()["state"] == "queued":
        with contextlib.suppress(StoreUnusable):
            task.write_status(
                state="failed", message=str(error), expected=isinstance(error, DDError)
            )


def _work_one(task: Task, after: After) -> None:
    store = Store(task.folder.parent.parent)
    spec = task.spec()
    context = Context(store, task, spec, device="")
    ticket = queue.Ticket(store.root, spec.SLOT, task.key)

    def on_wait(position: int) -> None:
        if (task.folder / "cancel").exists():
            context._write(state="cancelled", message="Stopped while waiting.")
            raise Cancelled("Stopped while waiting.")
        moved = position != context._status.get("position")
        if moved or time.monotonic() - context._last_status > QUEUED_EVERY_S:
            context._write(state="queued", position=position, queued=context._began)

    try:
        slot = ticket.wait(on_wait, _memory(spec, store))
    finally:
        ticket.close()
    try:
        prepare(spec, slot.device)
        run_task(store, task, spec, slot.device)
        if spec.SLOT == "compute":
            after(store, slot.device)
    finally:
        slot.release()


def _memory(spec: TaskSpec, store: Store) -> float:
    """Bytes that a task needs of a device that it may share."""
    if spec.SLOT != "compute" or environment.slots_per_device() == 1:
        return 0.0
    return needs.estimated(spec, store)[1]


def prepare(spec: TaskSpec, device: str) -> None:
    """Fix the thread count before torch is imported; it is not part of the spec."""
    threads = 1 if spec.SLOT == "light" else environment.threads()
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    # Threads that spin for long while waiting make small tensors many times slower on a busy machine
    # (measured: 8 ms against 262 ms a step); a short spin costs an idle machine nothing.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    if device != "cpu":
        same_every_time()


def same_every_time() -> None:
    """Make a GPU add in the same order whenever it is asked, where the library can; else it warns."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    torch.use_deterministic_algorithms(True, warn_only=True)
    # For debugging only. The library adds the attribute to its module as it is imported.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _raise_cancelled(*_: object) -> None:
    raise Cancelled("Stopped by a signal; resuming continues from the checkpoint.")
