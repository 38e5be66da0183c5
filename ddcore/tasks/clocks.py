"""The clock of the file server: the one clock that all who share a store can compare times by."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import time
from pathlib import Path

VALID_S = 60.0
_known: dict[Path, tuple[float, float]] = {}  # store: when it was asked (monotonic), its lead


def lead(root: Path) -> float:
    """Seconds by which the file server's clock is ahead of this machine's; 0 where nothing can be written."""
    asked, found = _known.get(root, (-VALID_S, 0.0))
    if time.monotonic() - asked >= VALID_S:
        found = measure(root)
        _known[root] = time.monotonic(), found
    return found


def measure(root: Path) -> float:
    """The same, by a file that is made for it."""
    name = f".clock.{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(4)}"
    path = root / "slots" / name
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        before = time.time()
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            os.write(file, b"1")  # at once at the server, not when it is closed
            os.fsync(file)
            return os.fstat(file).st_mtime - (before + time.time()) / 2
        finally:
            os.close(file)
            path.unlink(missing_ok=True)
    return 0.0


def now(root: Path) -> float:
    """The time at the file server."""
    return time.time() + lead(root)


def age(path: Path, root: Path) -> float:
    """Seconds since a file was written, by the server's clock; infinite if it is not there.

    It is opened, since what is told of a file that is not may be as old as the cache of attributes.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return float("inf")
    try:
        return now(root) - os.fstat(file).st_mtime
    finally:
        os.close(file)
