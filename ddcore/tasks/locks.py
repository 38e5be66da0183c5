"""Locks that die with their process: who holds one is alive, however it was stopped.

Taking a lock is `flock` (of the filelock library). Asking whether somebody holds it must not take it,
or the one who really wants it is turned away for a moment by the one who only looks. So a holder also
puts an "open file description" lock on the file it has open, a mark which the kernel lets others read
without taking anything and removes with the process. Where the system has no such marks, asking takes
the lock for some microseconds, and those who want it wait that long.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from ddcore.base.errors import StoreUnusable
from ddcore.tasks.files import remove

with contextlib.suppress(ImportError):  # it is missing where there are no marks either
    import fcntl

# The layout below is that of 64-bit Linux.
MARKS = sys.platform == "linux" and sys.maxsize > 2**32 and hasattr(fcntl, "F_OFD_GETLK")

POLL_S = 0.05
ASKED_S = 0.2  # without marks: longer than anybody takes to ask
MARK_TRIES, MARK_WAIT_S = 100, 0.001
_RANGE = struct.Struct("hhqqi4x")  # struct flock: type, whence, start, length (0: all), process id


@dataclass
class Lock:
    """A lock that is held; `file` is the descriptor with the mark (-1 for none)."""

    under: FileLock
    file: int = -1

    @property
    def held(self) -> bool:
        """Whether it has not been given back yet."""
        return self.under.is_locked

    def release(self) -> None:
        """Give it back. Doing so again changes nothing."""
        file, self.file = self.file, -1
        if file >= 0 and self.under.is_locked:  # first, so that the next holder can set its own
            with contextlib.suppress(OSError):
                fcntl.fcntl(file, fcntl.F_OFD_SETLK, _whole(fcntl.F_UNLCK))
        self.under.release()


def acquire(path: Path, timeout: float = 0, poll_s: float = POLL_S) -> Lock | None:
    """Take the lock within `timeout` seconds, looking every `poll_s`, or return None."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or (path.exists() and not path.is_file()):
            remove(path)  # nobody holds what is no file, and it is in the way of those who want to
    except OSError as error:
        raise StoreUnusable(path, error) from error
    if not MARKS:
        return _take(FileLock(path, thread_local=False), max(timeout, ASKED_S), poll_s)
    opened: list[int] = []
    try:
        # Such a hook is the library's way to the descriptor.
        native = FileLock(path, thread_local=False, on_acquired=opened.append)
        lock = _take(native, timeout, poll_s)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        return _take(FileLock(path, thread_local=False), timeout, poll_s)  # no flock here: a file
    if lock and _mark(opened[0]):
        lock.file = opened[0]
    return lock


@contextlib.contextmanager
def holding(path: Path, timeout: float = 0) -> Iterator[bool]:
    """Hold the lock during the block; False where it could not be had within `timeout` seconds."""
    lock = acquire(path, timeout)
    try:
        yield lock is not None
    finally:
        if lock:
            lock.release()


def is_held(path: Path) -> bool:
    """Whether some process holds the lock now. Never in the way of one that takes it."""
    if not MARKS:
        return path.is_file() and _is_held_by_taking(path)
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # not there, or no file that could be held: whoever takes it will say so
        return False
    try:
        answer = fcntl.fcntl(file, fcntl.F_OFD_GETLK, _whole(fcntl.F_WRLCK))
    except OSError:  # a file system without such locks
        return _is_held_by_taking(path)
    finally:
        os.close(file)
    return _RANGE.unpack(answer)[0] != fcntl.F_UNLCK


def lend(path: Path) -> int | None:
    """A descriptor with the mark alone, for a child to inherit; None where there are no marks or it is held.

    Closed here, `is_held` is true as long as the child lives, also before it has run a line of ours.
    """
    if not MARKS:
        return None
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    if _mark(file, tries=1):
        return file
    os.close(file)
    return None


def _take(lock: FileLock, timeout: float, poll_s: float) -> Lock | None:
    try:
        lock.acquire(timeout=timeout, poll_interval=poll_s)
    except Timeout:
        return None
    return Lock(lock)


def _mark(file: int, tries: int = MARK_TRIES) -> bool:
    """Set the mark; False where there are none, or while a child that was forked keeps an old one."""
    for _ in range(tries):
        try:
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, _whole(fcntl.F_WRLCK))
            return True
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                return False
        time.sleep(
            MARK_WAIT_S
        )  # a holder that is being collected gives up the lock before its mark
    return False


def _whole(kind: int) -> bytes:
    return _RANGE.pack(kind, os.SEEK_SET, 0, 0, 0)


def _is_held_by_taking(path: Path) -> bool:
    lock = _take(FileLock(path, thread_local=False), 0, POLL_S)
    if lock:
        lock.release()
    return lock is None
