"""Locks: asking takes nothing, death frees, whoever wants a free lock gets it."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from ddcore.tasks import locks

ASK = """
import sys, time
from pathlib import Path
from ddcore.tasks import locks
path, end = Path(sys.argv[1]), time.time() + float(sys.argv[2])
while time.time() < end:
    locks.is_held(path)
"""
HOLD = """
import sys, time
from pathlib import Path
from ddcore.tasks import locks
lock = locks.acquire(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(100)
"""
with_and_without_marks = pytest.mark.parametrize("marks", [True, False])


@with_and_without_marks
def test_held_and_free(tmp_path, monkeypatch, marks):
    monkeypatch.setattr(locks, "MARKS", marks and locks.MARKS)
    path = tmp_path / "deep" / "a.lock"
    assert not locks.is_held(path) and not path.parent.exists()
    for _ in range(3):
        lock = locks.acquire(path)
        assert lock.held and locks.is_held(path)
        assert locks.acquire(path) is None and locks.is_held(path)
        lock.release()
        lock.release()
        assert not lock.held and not locks.is_held(path)


def test_a_killed_holder_holds_nothing(tmp_path):
    path = tmp_path / "a.lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    assert locks.is_held(path) and locks.acquire(path) is None
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert not locks.is_held(path)
    assert locks.acquire(path)


def test_asking_never_turns_away_who_takes(tmp_path):
    """4 threads and 2 processes ask all the time; taking with timeout 0 succeeds every time."""
    path = tmp_path / "a.lock"
    locks.acquire(path).release()
    stop = threading.Event()

    def ask():
        while not stop.is_set():
            locks.is_held(path)

    others = [subprocess.Popen([sys.executable, "-c", ASK, str(path), "60"]) for _ in range(2)]
    threads = [threading.Thread(target=ask) for _ in range(4)]
    [t.start() for t in threads]
    try:
        time.sleep(1.0)  # until the processes are there
        refused = 0
        for _ in range(1500):
            lock = locks.acquire(path)
            if lock is None:
                refused += 1
                continue
            assert locks.is_held(path)
            lock.release()
        assert refused == 0
    finally:
        stop.set()
        [t.join() for t in threads]
        for other in others:
            other.kill()
            other.wait()


def test_a_read_only_lock_file_can_be_asked(tmp_path):
    path = tmp_path / "a.lock"
    lock = locks.acquire(path)
    path.chmod(0o444)
    assert locks.is_held(path)
    lock.release()
    assert not locks.is_held(path)
