"""A worker that a scheduler has started: no queue, no slot; device and threads are those of its allocation.

The scheduler may move it: `SIGUSR1` asks for a checkpoint, after which the job is handed in again; `SIGTERM`
without a person's wish leaves the task queued as well. A job that brings nothing in several lives gives up.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import traceback
from pathlib import Path
from typing import Any

from ddcore.base import environment
from ddcore.base.errors import Cancelled, Damaged, DDError
from ddcore.tasks import process
from ddcore.tasks.elsewhere import LIVES
from ddcore.tasks.files import is_there, remove, write_json
from ddcore.tasks.launchers import slurm_arrays
from ddcore.tasks.process import After
from ddcore.tasks.records import read_json
from ddcore.tasks.store import Store
from ddcore.tasks.task import Task
from ddcore.tasks.worker import Context, run_task
from ddcore.tasks.workplace import Moved, Workplace

MOST_LIVES = 3  # that bring nothing
LOOK_S = 0.2
END_LIMIT_S = 300.0  # how long a job that is to be moved waits for its end
MOVED = "Moved by the scheduler: it goes on from its checkpoint when it is its turn."
GIVEN_UP = (
    f"It was moved {MOST_LIVES} times without keeping anything new, and is not started again: ask for more "
    "time, or shorten DD_CHECKPOINT_S."
)
JOB = {"slurm": "SLURM_JOB_ID", "ray": "DD_RAY_JOB"}  # the variable that says which job this is


class Allocation(Workplace):
    """A job's place: what the scheduler has given, and what it asks for."""

    def __init__(self, scheduler: str, task: Task) -> None:
        self.scheduler, self.task = scheduler, task
        self.job = job_id(scheduler)
        self.facts = {"launcher": scheduler, "job": self.job}
        self.asked_to_move = self.leaving = self.told_to_end = False
        self.lives = _lives(task) + 1
        self.brought = False

    def begin(self) -> None:
        """Count this life, and listen to the scheduler."""
        write_json(self.task.folder / LIVES, {"lives": self.lives})
        signal.signal(signal.SIGUSR1, self._move)
        signal.signal(signal.SIGTERM, self._stop)

    def _move(self, *_: object) -> None:
        self.asked_to_move = True

    def _stop(self, *_: object) -> None:
        self.told_to_end = True
        if self.leaving:
            return
        self.leaving = True
        if is_there(self.task.folder / "cancel"):
            raise Cancelled("Stopped on request; resuming continues from the checkpoint.")
        raise Moved(MOVED)

    def check(self) -> None:
        """`Moved` once the scheduler has asked for it."""
        if self.asked_to_move and not self.leaving:
            self.leaving = True
            raise Moved(MOVED)

    def progressed(self) -> None:
        """The lives before this one have not been in vain."""
        if not self.brought:
            self.brought = True
            with contextlib.suppress(OSError):
                remove(self.task.folder / LIVES)

    @property
    def is_vain(self) -> bool:
        """Whether it makes no sense to go on in another life."""
        return not self.brought and self.lives >= MOST_LIVES


def job_id(scheduler: str) -> str:
    """The id of this job as it was handed in: of an array, that of its element."""
    array, number = (os.environ.get(f"SLURM_ARRAY_{name}_ID", "") for name in ("JOB", "TASK"))
    if scheduler == "slurm" and array and number:
        return slurm_arrays.element(array, int(number))
    return os.environ.get(JOB[scheduler], "")


def work(folders: list[Path], after: After) -> int:
    """As `process.work`, for the process of a job. Returns an exit code."""
    os.environ["DD_THREADS"] = str(threads())
    for folder in folders:
        if code := _work_one(Task(folder), after):
            return code
    return 0


def threads() -> int:
    """Cores of the allocation; the node may have more, which are others'."""
    names = ("SLURM_CPUS_PER_TASK", "DD_RAY_CPUS")
    given = next((os.environ[name] for name in names if name in os.environ), "")
    return int(given) if given.isdecimal() and int(given) else environment.threads()


def device() -> str:
    """The GPU of the allocation, by the number that it has in it; else the CPU."""
    if environment.device() != "auto":
        return environment.device()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip()
    return "cuda:0" if visible not in ("", "-1", "NoDevFiles") else "cpu"


def _work_one(task: Task, after: After) -> int:
    if task.is_done():  # by another job of its name, or inline by one that needed it
        return 0
    store = Store(task.folder.parent.parent)
    here = Allocation(environment.launched(), task)
    try:
        spec = task.spec()
        if here.lives > MOST_LIVES:
            return _give_up(here)
        here.begin()
        if is_there(task.folder / "cancel"):
            Context(store, task, spec, "", place=here)._write(
                state="cancelled", message="Stopped while waiting."
            )
            return 130
        where = device() if spec.SLOT == "compute" else "cpu"
        process.prepare(spec, where)
        run_task(store, task, spec, where, place=here)
        if spec.SLOT == "compute":
            after(store, where)
    except Moved:
        return _leave(here)
    except Cancelled:
        return 130
    except Exception as error:
        traceback.print_exc()
        if task.status()["state"] == "queued":  # it has not even started
            _say(here, state="failed", message=str(error), expected=isinstance(error, DDError))
        return 1
    return 0


def _leave(here: Allocation) -> int:
    """Be moved: hand the job in again where a signal has asked for it, and wait for the end.

    The scheduler brings it: a process that ends by itself before its job is queued again ends the job, too.
    """
    if here.is_vain:
        return _give_up(here)
    taken = here.asked_to_move and _requeue(here.job)
    if here.asked_to_move and not taken:
        print("The scheduler did not take the job again.", flush=True)
    end = time.monotonic() + END_LIMIT_S
    while time.monotonic() < end and not (taken and here.told_to_end):
        time.sleep(LOOK_S)
    return 130


def _requeue(job: str) -> bool:
    """Hand a job in again. One that a person has ended is refused by Slurm."""
    try:
        words = ["scontrol", "requeue", job]
        return subprocess.run(words, stdin=subprocess.DEVNULL, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _give_up(here: Allocation) -> int:
    _say(here, state="failed", message=GIVEN_UP, expected=True)
    remove(here.task.folder / LIVES)
    return 1


def _say(here: Allocation, **values: Any) -> None:
    known = {"host": socket.gethostname(), "pid": os.getpid(), "heartbeat": time.time()}
    with contextlib.suppress(OSError):
        here.task.write_status(**{**here.task.status(), **known, **here.facts, **values})


def _lives(task: Task) -> int:
    try:
        found = read_json(task.folder / LIVES)["lives"]
    except (FileNotFoundError, Damaged, KeyError, TypeError):
        return 0
    return found if isinstance(found, int) else 0
