"""Memory of a device that a task will need and does not hold yet: two that start together see it.

A worker that has just taken a slot imports libraries for many seconds before the driver tells any of its
memory. What its estimate says stands in a file beside the slot's lock until then.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from ddcore.base.errors import Damaged, StoreUnusable
from ddcore.tasks import gpus, locks
from ddcore.tasks.files import remove, write_json
from ddcore.tasks.records import read_json

SHOWN_S = (
    300.0  # a process that the driver does not tell of (in a container, say) has its memory by then
)


def reserve(slots: Path, name: str, need: float) -> None:
    """Keep `need` bytes for this process, which holds the slot."""
    if not need:
        remove(_file(slots, name))
        return
    with contextlib.suppress(StoreUnusable):  # then others see its memory when the driver does
        write_json(_file(slots, name), {"need": need, "pid": os.getpid(), "at": time.time()})


def reserved(slots: Path, names: Iterable[str], used: Mapping[int, float]) -> dict[str, float]:
    """Bytes of each device that slots in use still wait for, given what each process holds."""
    held = [name for name in names if locks.is_held(slots / f"{name}.lock")]
    found: dict[str, float] = {}
    for name in held:
        device, document = gpus.device_of(name), _read(slots, name)
        if document:
            found[device] = found.get(device, 0.0) + _missing(document, used)
    return found


def _missing(document: dict[str, float], used: Mapping[int, float]) -> float:
    if (own := used.get(int(document["pid"]))) is not None:
        return max(document["need"] - own, 0.0)
    return document["need"] if abs(time.time() - document["at"]) < SHOWN_S else 0.0


def _file(slots: Path, name: str) -> Path:
    return slots / f"{name}.need"


def _read(slots: Path, name: str) -> dict[str, float]:
    """What a slot's file says; {} without one, or for one that says nothing sensible."""
    try:
        found = read_json(_file(slots, name))
        numbers = [isinstance(found.get(k), (int, float)) for k in ("need", "pid", "at")]
    except (FileNotFoundError, Damaged, AttributeError):
        return {}
    return found if all(numbers) else {}
