"""Devices of this machine, and which of several to take: by the memory that is free on each. No torch."""

from __future__ import annotations

import functools
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ddcore.base import environment

Reserved = Callable[[Mapping[int, float]], Mapping[str, float]]

MORE = "+"  # between a device and the number of a slot that shares it
ANSWER_LIMIT_S = 10.0
VALID_S = 2.0  # asking takes the driver a part of a second, and who waits looks four times in one
OF_PROCESSES = [
    "nvidia-smi",
    "--query-compute-apps=pid,used_memory",
    "--format=csv,noheader,nounits",
]
ASKED = ["nvidia-smi", "--query-gpu=index,uuid,memory.free", "--format=csv,noheader,nounits"]


def devices() -> list[str]:
    """Compute devices of this machine, found without importing torch. `DD_DEVICE` overrides."""
    chosen = environment.device()
    if chosen != "auto":
        return [chosen]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        count = len([v for v in visible.split(",") if v.strip() not in ("", "-1")])
    else:
        count = len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
    return [f"cuda:{i}" for i in range(count)] or ["cpu"]


def device_of(name: str) -> str:
    """The device that a slot of the compute queue stands for."""
    return name.partition("-")[2].partition(MORE)[0]


def ordered(names: Sequence[str], need: float, reserved: Reserved = lambda used: {}) -> list[str]:
    """Slots in the order in which to try them: devices that nobody shares first, most free memory first.

    A slot that shares a device is left out where `need` bytes are not known to be free on it: programs of
    others count, and what is `reserved` for those that have just started, given the bytes that each process
    holds. On a CPU memory is not looked at.
    """
    shared = any(MORE in name for name in names)
    if not (shared or len(names) > 1) or not any(device_of(n).startswith("cuda") for n in names):
        return list(names)
    used, told = _lately(int(time.monotonic() / VALID_S))
    kept = reserved(used)
    free = {device: left - kept.get(device, 0.0) for device, left in told.items()}
    fitting = [n for n in names if MORE not in n or free.get(device_of(n), -1.0) >= need]
    return sorted(fitting, key=lambda n: (n.partition(MORE)[2], -free.get(device_of(n), 0.0)))


@functools.lru_cache(maxsize=1)
def _lately(_moment: int) -> tuple[dict[int, float], dict[str, float]]:
    used = memory_of_processes()  # first: what is used by then is not free a moment later
    return used, free_memory()


def free_memory() -> dict[str, float]:
    """Free bytes of each device, as the driver tells them; {} where it does not."""
    try:
        done = subprocess.run(ASKED, capture_output=True, text=True, timeout=ANSWER_LIMIT_S)
        rows = [[part.strip() for part in line.split(",")] for line in done.stdout.splitlines()]
        found = {name: float(free) * 2**20 for index, uuid, free in rows for name in (index, uuid)}
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return {}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    physical = visible.split(",") if visible else [index for index, *_ in rows]
    named = ((f"cuda:{i}", found.get(p.strip())) for i, p in enumerate(physical))
    return {name: free for name, free in named if free is not None}


def memory_of_processes() -> dict[int, float]:
    """Bytes that each process holds on all devices, by its id; {} where the driver does not tell."""
    found: dict[int, float] = {}
    try:
        done = subprocess.run(OF_PROCESSES, capture_output=True, text=True, timeout=ANSWER_LIMIT_S)
        for line in done.stdout.splitlines():
            pid, used = line.split(",")
            found[int(pid)] = found.get(int(pid), 0.0) + float(used) * 2**20
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return {}
    return found
