"""Which folders have changed since they were last looked at, by a few file times and without reading.

Lists of many folders keep what they read under (task, stamp): a look at a store of which nothing has
changed then costs some calls of `stat` per folder. A file of a finished folder that is changed in place
keeps the stamp; whoever reads it compares its checksum.
"""

from __future__ import annotations

import functools
import os

from ddcore.tasks.task import DONE, SPEC, Task

Stamp = tuple[int, ...]
# A folder's own time changes when a file in it appears, disappears or is replaced (a mark, a manifest).
_FILES = ("", SPEC, DONE, "result.json")


def stamp(task: Task) -> Stamp:
    """Times and sizes that tell two states of a finished folder apart; () while it is not there."""
    found: list[int] = []
    try:
        for name in _FILES:
            facts = os.stat(f"{task.folder}/{name}")
            found += facts.st_mtime_ns, facts.st_size
    except OSError:
        return ()
    return tuple(found)


def finished(task: Task) -> Stamp:
    """The stamp of a finished folder, () for any other; the files are compared with the manifest once."""
    now = stamp(task)
    return now if now and _is_done(task, now) else ()


@functools.lru_cache(maxsize=16_384)
def _is_done(task: Task, _stamp: Stamp) -> bool:
    return task.is_done()
