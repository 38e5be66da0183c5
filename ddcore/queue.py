"""Slots and the queue: who may compute now, and who waits where.

There is no scheduler process. Each waiting worker holds a ticket (a lock file whose name carries
the time it was drawn); the holder of the oldest living ticket takes the next free slot. A slot is a
lock too, so a killed worker frees both at once.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from ddcore import locks

POLL_S = 0.25
TICKET_GRACE_S = 5.0  # a ticket this young may not have its lock yet
LIGHT_SLOTS = 2


def devices() -> list[str]:
    """Compute devices of this machine, found without importing torch. `DD_DEVICE` overrides."""
    chosen = os.environ.get("DD_DEVICE", "auto")
    if chosen != "auto":
        return [chosen]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        count = len([v for v in visible.split(",") if v.strip() not in ("", "-1")])
    else:
        count = len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
    return [f"cuda:{i}" for i in range(count)] or ["cpu"]


def slot_names(slot: str) -> list[str]:
    """Names of the slots of a queue: one per device for compute, a few for light work."""
    if slot == "light":
        return [f"light-{i}" for i in range(LIGHT_SLOTS)]
    return [f"compute-{d}" for d in devices()]


@dataclass
class Slot:
    """A held slot; `device` is where to compute ("cpu", "cuda:0")."""

    name: str
    lock: FileLock

    @property
    def device(self) -> str:
        """Device the slot stands for."""
        return self.name.partition("-")[2] if self.name.startswith("compute-") else "cpu"

    def release(self) -> None:
        """Give the slot back."""
        self.lock.release()


class Ticket:
    """A place in the queue of one slot kind."""

    def __init__(self, root: Path, slot: str, key: str) -> None:
        self.root, self.slot = root, slot
        host = socket.gethostname().replace(".", "-")
        self.path = root / "queue" / f"{time.time_ns():020d}.{slot}.{key}.{host}.{os.getpid()}"
        self.lock = locks.acquire(self.path, timeout=5)

    def close(self) -> None:
        """Leave the queue."""
        if self.lock:
            self.lock.release()
        self.path.unlink(missing_ok=True)

    def wait(self, on_wait: Callable[[int], None]) -> Slot:
        """Block until first in the queue and a slot is free; `on_wait(position)` may raise."""
        while True:
            ahead = waiting(self.root, self.slot)
            position = ahead.index(self.path) if self.path in ahead else 0
            on_wait(position)
            if position == 0:
                for name in slot_names(self.slot):
                    lock = locks.acquire(self.root / "slots" / f"{name}.lock")
                    if lock:
                        return Slot(name, lock)
            time.sleep(POLL_S)


def waiting(root: Path, slot: str) -> list[Path]:
    """Living tickets of a slot kind, oldest first; dead ones are removed on the way."""
    alive = []
    for path in sorted((root / "queue").glob(f"*.{slot}.*")):
        try:
            young = time.time() - path.stat().st_mtime < TICKET_GRACE_S
            if young or locks.is_held(path):
                alive.append(path)
            else:
                path.unlink(missing_ok=True)
        except OSError:
            continue
    return alive


def is_free(root: Path, slot: str) -> bool:
    """Whether a task submitted now would start at once."""
    held = [locks.is_held(root / "slots" / f"{name}.lock") for name in slot_names(slot)]
    return not all(held) and not waiting(root, slot)
