"""Workers that are born quickly and die on purpose.

A worker process spends seconds on importing torch. This process imports everything once, before any thread
is started, and forks: the child does what `python -m ddcore work FOLDER...` does from its first line on
(own session, log file, signal handler, locks, queue). What forks leave out, starting the interpreter, a
part of the kills does for real (`outsiders.real_life`).
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.chaos.hooks import fileops
from ddcore.tasks.store import Task

LIMIT_S = 600.0  # seconds that no small task needs, not even on a machine with ten others at work
alive: dict[int, float] = {}  # process id to the moment it was born
kill_at = 0  # file operation before which the next child dies, 0: none
kill_after = ""  # folder in which a file gets its name right before the next child dies, "": none


def warm_up() -> None:
    """Import what workers import."""
    import analysis
    import ddcore

    for package in (ddcore, analysis):
        for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not info.name.endswith("__main__"):
                importlib.import_module(info.name)
    for name in ("torch._dynamo", "sklearn.linear_model", "scipy.stats"):  # imported on first use
        importlib.import_module(name)
    names = [p.read_text().strip() for p in Path("/proc/self/task").glob("*/comm")]
    others = [n for n in names if n != "jemalloc_bg_thd"]  # arrow's, which knows of forks
    assert len(others) == 1, f"{others}: a fork would copy only one of these threads"


def born(work: Callable[[], int], log: Path, root: Path) -> int:
    """A child that calls `work` in a session of its own; returns its process id."""
    pid = os.fork()
    if pid:
        alive[pid] = time.monotonic()
        return pid
    code = 1
    try:
        os.setsid()
        signal.signal(
            signal.SIGINT, signal.default_int_handler
        )  # the deadline's is not the child's
        descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        fileops.count = 0
        fileops.install(str(root), kill_at, kill_after=kill_after)
        code = work()
        (root / "operations").write_text(str(fileops.count))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def launch(tasks: Sequence[Task]) -> int:
    """Stands in for `jobs.launch`: the same worker, forked."""
    from ddcore.tasks import process
    from ddcore.tasks.launchers import local
    from ddcore.training.speed import measure_once

    folders = [t.folder for t in tasks]
    with local.begun(tasks):  # a fork keeps the marks
        return born(
            lambda: process.work(folders, after=measure_once),
            folders[0] / "log.txt",
            folders[0].parent.parent,
        )


def signalled(pid: int, number: int) -> None:
    """Send a signal to a child and its children; to itself alone while it has no session of its own yet."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        os.kill(pid, number)


def ended(pid: int, seconds: float) -> int | None:
    """The exit code of a child, negative for a signal; None if it lives on after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            alive.pop(pid, None)
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            return None
        time.sleep(0.002)


def end_all() -> None:
    """Kill whatever is left."""
    for pid in list(alive):
        os.kill(pid, signal.SIGKILL)
        ended(pid, 10)
