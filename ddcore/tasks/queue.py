"""Slots and the queue: who may compute now, and who waits where.

There is no scheduler process. Each waiting worker holds a ticket (a lock file whose name carries
the time it was drawn); the holder of the oldest living ticket takes the next free slot. A slot is a
lock too, so a killed worker frees both at once. Who waits looks at the one ticket before its own
only, and the less often the farther back it is, so that a long queue costs no more than a short one.
"""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ddcore.base import environment
from ddcore.tasks import gpus, locks, reservations
from ddcore.tasks.gpus import MORE, device_of, devices

POLL_S, PATIENT_S = 0.25, 1.0  # between looks: of the first in the queue, of all others
MOST_PATIENT_S, STEADY = (
    5.0,
    50,
)  # the longest of these waits; places back by which one grows by the first
COUNT_S = 10.0  # how long the place in the queue may be out of date for those who are not next
TICKET_GRACE_S = 5.0  # a ticket this young may not have its lock yet
CLOCK_S = 1.0  # times of files are a little coarser than the clock
LIGHT_SLOTS = 2


def slot_names(slot: str) -> list[str]:
    """Names of the slots of a queue: `DD_SLOTS_PER_DEVICE` for each device, a few for light work."""
    if slot == "light":
        return [f"light-{i}" for i in range(LIGHT_SLOTS)]
    more = [f"{MORE}{i}" for i in range(1, environment.slots_per_device())]
    return [f"compute-{d}{which}" for which in ("", *more) for d in devices()]


@dataclass
class Slot:
    """A held slot; `device` is where to compute ("cpu", "cuda:0")."""

    name: str
    lock: locks.Lock

    @property
    def device(self) -> str:
        """Device the slot stands for."""
        return device_of(self.name) if self.name.startswith("compute-") else "cpu"

    def release(self) -> None:
        """Give the slot back."""
        self.lock.release()


class Ticket:
    """A place in the queue of one slot kind."""

    def __init__(self, root: Path, slot: str, key: str) -> None:
        self.root, self.slot = root, slot
        host = socket.gethostname().replace(".", "-")
        # Behind all there are, also where the clock was set back since they were drawn.
        drawn = max([time.time_ns(), *(_drawn(t) + 1 for t in _tickets(root, slot))])
        self.path = root / "queue" / f"{drawn:020d}.{slot}.{key}.{host}.{os.getpid()}"
        self.lock = locks.acquire(self.path, timeout=5)

    def close(self) -> None:
        """Leave the queue."""
        if self.lock:
            self.lock.release()
        self.path.unlink(missing_ok=True)

    def _place(self, name: str) -> Path:
        return self.root / "slots" / f"{name}.lock"

    def wait(self, on_wait: Callable[[int], None], need: float = 0.0) -> Slot:
        """Block until first in the queue and a slot is free; `on_wait(position)` may raise.

        The device with most free memory comes first; one that is shared must have `need` bytes left.
        """
        before, position, counted = None, 0, -math.inf
        while True:
            gone = before is not None and not locks.is_held(before)
            if gone or time.monotonic() - counted >= COUNT_S:
                before, position = self._ahead()
                counted = time.monotonic()
            on_wait(position)
            if position == 0 and (slot := self._taken(need)):
                return slot
            patience = min(PATIENT_S * (1 + position / STEADY), MOST_PATIENT_S)
            time.sleep(patience if position else POLL_S)

    def _taken(self, need: float) -> Slot | None:
        """A free slot. What it will need is known to the next in the queue, who comes after this ticket."""
        names, slots = slot_names(self.slot), self.root / "slots"
        free = [n for n in names if not locks.is_held(self._place(n))]
        for name in gpus.ordered(free, need, partial(reservations.reserved, slots, names)):
            if lock := locks.acquire(self._place(name)):
                reservations.reserve(slots, name, need)
                return Slot(name, lock)
        return None

    def _ahead(self) -> tuple[Path | None, int]:
        """The living ticket before this one, and how many are ahead; dead ones between are removed."""
        folder = self.path.parent
        ahead = [name for name in _names(self.root, self.slot) if name < self.path.name]
        while ahead and not _lives(folder / ahead[-1]):
            ahead.pop()
        return (folder / ahead[-1] if ahead else None), len(ahead)


def waiting(root: Path, slot: str) -> list[Path]:
    """Living tickets of a slot kind, oldest first; dead ones are removed on the way."""
    return [path for path in _tickets(root, slot) if _lives(path)]


def _lives(ticket: Path) -> bool:
    """Whether a ticket's worker lives; one whose worker does not is removed."""
    try:
        age = time.time() - ticket.stat().st_mtime
        young = -CLOCK_S < age < TICKET_GRACE_S  # one from the future proves nothing
        if young or locks.is_held(ticket):
            return True
        ticket.unlink(missing_ok=True)
    except OSError:
        pass
    return False


def _tickets(root: Path, slot: str) -> list[Path]:
    return [root / "queue" / name for name in _names(root, slot)]


def _names(root: Path, slot: str) -> list[str]:
    """Of the tickets of a slot kind, in the order in which they were drawn."""
    try:
        names = sorted(os.listdir(root / "queue"))
    except FileNotFoundError:
        return []
    return [n for n in names if n[:1].isdigit() and n.split(".", 2)[1:2] == [slot]]


def _drawn(ticket: Path) -> int:
    number = ticket.name.partition(".")[0]
    return int(number) if number.isdecimal() else 0


def is_free(root: Path, slot: str) -> bool:
    """Whether a task submitted now would start at once."""
    held = [locks.is_held(root / "slots" / f"{name}.lock") for name in slot_names(slot)]
    return not all(held) and not waiting(root, slot)


def free_gpus(root: Path) -> int:
    """How many GPUs nobody computes on; 0 where somebody waits for one."""
    held: dict[str, bool] = {}
    for name in slot_names("compute"):
        taken = locks.is_held(root / "slots" / f"{name}.lock")
        held[device_of(name)] = held.get(device_of(name), False) or taken
    free = [device for device, taken in held.items() if device.startswith("cuda") and not taken]
    return len(free) if free and not waiting(root, "compute") else 0
