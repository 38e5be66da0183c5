"""Locks that die with their process: who holds one is alive, however it was stopped."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout


def acquire(path: Path, timeout: float = 0) -> FileLock | None:
    """Take the lock within `timeout` seconds, or return None."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, timeout=timeout, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        return None
    return lock


def is_held(path: Path) -> bool:
    """Whether some process holds the lock now."""
    if not path.exists():
        return False
    lock = acquire(path)
    if lock is None:
        return True
    lock.release()
    return False
