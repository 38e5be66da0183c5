"""Workers of this machine: processes of their own, which outlive whoever started them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence

from ddcore.base import paths
from ddcore.tasks import locks
from ddcore.tasks.task import Task

BEGUN = ".begun.lock"  # held by a worker's process from its birth on
# glibc gives the memory of large tensors back at once and fetches new pages for the next ones. Kept instead:
# training took 5 to 18 % less processor time and 10 to 15 % more memory (three sizes, measured twice).
KEEP_PAGES = {"MALLOC_MMAP_THRESHOLD_": "4000000000", "MALLOC_TRIM_THRESHOLD_": "8000000000"}


def launch(tasks: Sequence[Task]) -> subprocess.Popen:
    """Start a worker process for the folders, in its own process group, outliving this one."""
    with open(tasks[0].folder / "log.txt", "ab") as log, begun(tasks) as marks:
        return subprocess.Popen(
            command(tasks),
            pass_fds=marks,
            cwd=paths.PROJECT,
            env=variables(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def command(tasks: Sequence[Task]) -> list[str]:
    """The words that start a worker for the folders."""
    return [sys.executable, "-m", "ddcore", "work", *(str(t.folder.absolute()) for t in tasks)]


def variables() -> dict[str, str]:
    """The environment of a worker. Relative places are meant from here: it runs in another folder."""
    found = KEEP_PAGES | dict(os.environ, PYTHONUNBUFFERED="1")
    found["PYTHONPATH"] = os.pathsep.join(
        [str(paths.PROJECT), *filter(None, [found.get("PYTHONPATH")])]
    )
    return found | {"DD_CACHE": str(paths.store_root()), "DD_DATA": str(paths.data_root())}


@contextlib.contextmanager
def begun(tasks: Sequence[Task]) -> Iterator[list[int]]:
    """Descriptors that tell, inherited by a worker, that it lives, though it has not said so itself yet."""
    marks: list[int] = []
    with contextlib.suppress(OSError):  # without, a worker counts as starting for a while
        first = tasks[0].folder / BEGUN
        marks += [mark for mark in [locks.lend(first)] if mark is not None]
        for task in tasks[1:] if marks else ():
            os.link(first, task.folder / BEGUN)
    try:
        yield marks
    finally:
        for mark in marks:
            os.close(mark)
