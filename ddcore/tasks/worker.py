"""The one way anything heavy runs: a task is computed under its folder's lock and reports into it.

Task code sees only its `Context`; `process` is what waits for a slot and calls it.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic

import numpy as np

from ddcore.base import environment, execution
from ddcore.base.errors import Cancelled, DDError, StoreUnusable
from ddcore.base.specs import TaskSpec
from ddcore.tasks import leases, locks, pausing
from ddcore.tasks.checkpoints import Checkpoints
from ddcore.tasks.files import (
    Fingerprint,
    file_hash,
    is_there,
    remove,
    share,
    write_arrays,
    write_atomic,
    write_json,
)
from ddcore.tasks.records import event_line
from ddcore.tasks.stopwatch import Stopwatch
from ddcore.tasks.store import Store, Task
from ddcore.tasks.task import CHECKPOINTS, EVENTS, snapshot_name
from ddcore.tasks.workplace import HERE, Moved, Workplace

if TYPE_CHECKING:
    from typing_extensions import TypeVar  # with defaults, which `typing` knows from Python 3.13 on

    S = TypeVar("S", bound=TaskSpec, default=TaskSpec, covariant=True)
else:
    from typing import TypeVar

    S = TypeVar("S", bound=TaskSpec, covariant=True)

STATUS_EVERY_S = 0.5
HEARTBEAT_EVERY_S = 2.0
SNAPSHOTS = snapshot_name(0).partition("/")[0]
PAUSED = "Paused: it waits where it is, and keeps its place on the device."
CHECKPOINT_EVERY_S = environment.checkpoint_seconds()
LOOK_EVERY_S = 0.5  # whether another machine has given a folder back


class Context(Generic[S]):
    """What a running task may do: report, checkpoint, ask for other tasks, write results.

    A bare `Context` is that of any task; `Context[BankTask]` knows what its spec says.
    """

    def __init__(
        self,
        store: Store,
        task: Task,
        spec: S,
        device: str,
        parent: Context | None = None,
        place: Workplace = HERE,
    ) -> None:
        self.store, self.task, self.spec = store, task, spec
        self.device, self.parent, self.place = device, parent, place
        self.lease = leases.Lease(task.folder, store.root, place.facts.get("job", ""))
        self._lock = threading.Lock()
        self._began = time.time()
        self._status: dict[str, Any] = {}
        self._last_status = self._last_checkpoint = -math.inf
        self._rate: tuple[int, float] | None = None
        self._watch = Stopwatch()
        self._checkpoints = Checkpoints(task.folder)
        self._written: dict[str, Fingerprint] = {}  # result files, as they were when written
        self.ways = execution.Ways()  # how its steps are executed
        self._notice = ""  # what people should know while it runs

    # --- progress -------------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        """Seconds computed so far, those before a resume included, those of needed tasks not."""
        return self._watch.seconds

    @property
    def cpu_seconds(self) -> float:
        """Processor seconds of all threads, as `seconds`."""
        return self._watch.cpu_seconds

    def progress(self, step: int, total: int, message: str = "", **metrics: float) -> None:
        """Report a step. With metrics, also append an event. Raises `Cancelled` when asked to stop."""
        now = time.monotonic()
        if metrics:
            event = {"step": step, "total": total, "seconds": round(self.seconds, 3), **metrics}
            self._append_event(event)
        self.check_cancel()
        if now - self._last_status < STATUS_EVERY_S and step < total:
            return
        if self._rate is None:
            self._rate = (step, now)
        done, spent = step - self._rate[0], now - self._rate[1]
        eta = (total - step) * spent / done if done > 0 else None
        self._write(
            state="running", step=step, total=total, eta_s=eta, message=message or self._notice
        )
        if self.parent:
            self.parent.forward(f"{self.spec.title()}: {step} of {total}")

    def forward(self, message: str) -> None:
        """Show what a needed task is doing as this task's own message."""
        self._write(message=message)

    def check_cancel(self) -> None:
        """Raise `Cancelled` if this task or the one that needs it was asked to stop."""
        if is_there(self.task.folder / "cancel"):
            raise Cancelled("Stopped on request; resuming continues from the checkpoint.")
        if self.lease.lost:
            self.lease.keep()
        self.place.check()
        if self.parent:
            self.parent.check_cancel()

    def hold(self, step: int, total: int, begun: Callable[[], None]) -> None:
        """Wait while it is asked for, at most until one step is; raises `Cancelled` when asked to stop.

        `begun` keeps what can be seen and lost meanwhile. The time that passes counts as no time of the task.
        """
        if not pausing.is_asked(self.task):
            return
        with self._watch.stopped():
            self._write(state="running", step=step, total=total, eta_s=None, message=PAUSED)
            begun()
            self._rate = None
            while pausing.is_asked(self.task) and not pausing.may_step(self.task):
                self.check_cancel()
                time.sleep(pausing.POLL_S)
        if not pausing.is_asked(self.task):
            self._write(message=self._notice)

    def _append_event(self, event: dict[str, Any]) -> None:
        path = self.task.folder / EVENTS
        try:
            with open(path, "ab") as f:
                f.write(event_line(event))
        except OSError as error:
            raise StoreUnusable(path, error) from error

    def note(self, step: int, text: str) -> None:
        """Something out of the ordinary, kept with the progress events and in the log."""
        print(f"{self.spec.title()}, step {step}: {text}", file=sys.stderr, flush=True)
        self._append_event({"step": step, "note": text})

    def _write(self, **values: Any) -> None:
        with self._lock:
            if self.lease.lost:  # the status is another machine's now
                return
            self._status |= values
            self._status |= {
                **self.place.facts,
                "heartbeat": time.time(),
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "device": self.device,
                "seconds": round(self.seconds + self._watch.waited, 3),
            }
            self._last_status = time.monotonic()
            self.task.write_status(**self._status)

    @contextlib.contextmanager
    def heartbeat(self) -> Iterator[None]:
        """Keep the heartbeat fresh while one step takes long."""
        stop = threading.Event()

        def beat() -> None:
            while not stop.wait(HEARTBEAT_EVERY_S):
                self.lease.renew()
                with contextlib.suppress(OSError):
                    self._write()

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    # --- other tasks ----------------------------------------------------------------------------

    def need(self, spec: TaskSpec) -> Task:
        """The finished task for `spec`: found, waited for, or computed here and now."""
        task = self.store.task(spec)
        if not task.is_done():
            self.store.create(spec)
            with self._watch.stopped(waited=True):
                run_task(self.store, task, spec, self.device, parent=self, place=self.place)
        return task

    def need_key(self, key: str) -> Task:
        """Like `need`, for a task known by its key."""
        task = self.store.find(key)
        return task if task.is_done() else self.need(task.spec())

    # --- results and checkpoints ----------------------------------------------------------------

    def save_result(self, result: dict[str, Any]) -> None:
        """Write result.json; with how steps were executed where they were compiled."""
        self.lease.keep()
        path = self.task.folder / "result.json"
        self._written[path.name] = write_json(path, result | self.ways.facts())

    def save_arrays(self, arrays: dict[str, np.ndarray], name: str = "arrays") -> None:
        """Write `<name>.safetensors`."""
        self._save(f"{name}.safetensors", arrays)

    def save_snapshot(self, step: int, arrays: dict[str, np.ndarray]) -> None:
        """Keep what the images look like at `step`, for the pages."""
        self._save(snapshot_name(step), arrays)

    def _save(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        self.lease.keep()
        self._written[name] = write_arrays(self.task.folder / name, arrays)

    def take_over(self, task: Task, name: str) -> None:
        """Make a result file of a finished task one of this one's."""
        self.lease.keep()
        self._written[name] = share(task.checked(name), self.task.folder / name)

    def finish(self) -> None:
        """Seal the folder: what was written, as it was written, for the spec that was computed.

        What a machine that was believed dead has written after all is found here.
        """
        self.store.create(self.spec)
        self.lease.keep()
        self.task.finish(self._written)
        if self.lease.contested and self.task.verify():
            self.task.forget()
            self.lease.lost = True
            raise leases.Overtaken("Another machine wrote in the same folder: it is computed anew.")
        self.place.progressed()

    def checkpoint_due(self) -> bool:
        """Whether it is time for a checkpoint."""
        return time.monotonic() - self._last_checkpoint >= CHECKPOINT_EVERY_S

    def save_checkpoint(
        self, step: int, arrays: dict[str, np.ndarray], meta: dict[str, Any]
    ) -> None:
        """Keep everything needed to go on from `step`, checked when it is read; the one before stays."""
        own: dict[str, Any] = {
            **{"step": step, "seconds": self.seconds, "cpu_seconds": self.cpu_seconds},
            "ways": self.ways.chosen,
            "compile_seconds": self.ways.seconds,
            "compile_cpu_seconds": self.ways.cpu_seconds,
        }
        self.lease.keep()
        self._checkpoints.save(arrays, meta | own | {"files": self._written})
        self._last_checkpoint = time.monotonic()
        self.place.progressed()

    def load_checkpoint(self) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        """The last sound checkpoint (arrays, meta), or None. Events and snapshots after it are dropped.

        A damaged one is noted and the one before it taken; without any the task begins again.
        """
        self._last_checkpoint = time.monotonic()
        found, problems = self._checkpoints.load(self._missing)
        step = -1
        if found:
            step, files = found[1]["step"], found[1]["files"]
            self.ways.chosen.update(found[1].get("ways", {}))  # a checkpoint may be older than they
            self.ways.seconds += found[1].get("compile_seconds", 0.0)
            self.ways.cpu_seconds += found[1].get("compile_cpu_seconds", 0.0)
            self._watch.go_on(found[1]["seconds"], found[1]["cpu_seconds"])
            self._written = {n: f for n, f in files.items() if self._as_written(n, f)}
            problems += [f"{n} was damaged and left out" for n in files.keys() - self._written]
        self.forget_after(step)
        where = f"went on from step {step}" if found else "started from the beginning"
        for text in (f"{problem}: {where}" for problem in problems):
            self.note(max(step, 0), text)
            self._notice = f"{text[:1].upper()}{text[1:]}."
        return found

    def _missing(self, meta: dict[str, Any]) -> str:
        """Why a checkpoint is of no use: a file from before it that is still needed."""
        for name, known in meta["files"].items():
            if not name.startswith(SNAPSHOTS) and not self._as_written(name, known):
                return f"{name} was damaged"
        return ""

    def _as_written(self, name: str, known: Fingerprint) -> bool:
        path = self.task.folder / name
        try:
            return path.stat().st_size == known["size"] and file_hash(path) == known["sha256"]
        except OSError:
            return False

    def forget_after(self, step: int) -> None:
        """Drop events and snapshots after `step`, and snapshots that are not as they were written."""
        kept = [e for e in self.task.events() if e["step"] <= step]
        write_atomic(self.task.folder / EVENTS, b"".join(map(event_line, kept)))
        for at in self.task.snapshot_steps():
            if at > step or snapshot_name(at) not in self._written:
                self._written.pop(snapshot_name(at), None)
                remove(self.task.folder / snapshot_name(at))


def run_task(
    store: Store,
    task: Task,
    spec: TaskSpec,
    device: str,
    parent: Context | None = None,
    place: Workplace = HERE,
) -> None:
    """Compute one task in this process, under its folder's lock and lease; errors end up in its status.

    Where another machine has taken it over, what that one finds is waited for.
    """
    while True:
        context = Context(store, task, spec, device, parent, place)
        try:
            return _run(context)
        except leases.Overtaken:
            if not context.lease.lost:  # but that of a task that needs this one
                raise


def _run(context: Context) -> None:
    task, parent = context.task, context.parent
    while (lock := locks.acquire(task.folder / ".lock", timeout=1)) is None:
        _wait(context)
    try:
        while not task.is_done() and not context.lease.take():
            _wait(context)
            time.sleep(LOOK_EVERY_S)
        if task.is_done():
            return
        if parent:
            remove(task.folder / "cancel")
        if task.was_sealed():
            task.forget()
        _compute(context)
    finally:
        context.lease.release()
        lock.release()


def _wait(context: Context) -> None:
    """Somebody else computes it: wait, but stay stoppable."""
    context.place.check()
    if context.parent:
        context.parent.check_cancel()
        context.parent.forward(f"waiting for {context.spec.title()}")


def _compute(context: Context) -> None:
    spec, task = context.spec, context.task
    try:
        context._write(state="running", step=0, total=0, started=time.time(), message="")
        with context.heartbeat(), execution.noted(context.ways):
            spec.run(context)
        context.finish()
        pausing.go_on(task)
        context._write(state="done", message="", eta_s=None)
        remove(task.folder / CHECKPOINTS)
    except leases.Overtaken:
        raise
    except Moved as moved:
        # What was needed by another task is computed by its next life.
        left = "cancelled" if context.parent else "queued"
        with contextlib.suppress(StoreUnusable):
            context._write(state=left, message=str(moved), eta_s=None)
        raise
    except Cancelled as stop:
        with contextlib.suppress(StoreUnusable):
            context._write(state="cancelled", message=str(stop), eta_s=None)
        raise
    except BaseException as error:
        expected = isinstance(error, (DDError, OSError, MemoryError))
        message = str(error) if isinstance(error, DDError) else f"{type(error).__name__}: {error}"
        with contextlib.suppress(OSError):
            context._write(state="failed", message=message, expected=expected, eta_s=None)
        raise
