"""The settings of a machine, from environment variables: read here, and refused here in one sentence.

They change where and how fast something is computed, never what comes out. Places (`DD_CACHE`,
`DD_DATA`) are in `paths`.
"""

from __future__ import annotations

import math
import os
import re

from ddcore.base import paths
from ddcore.base.errors import SpecError

DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?")  # it becomes part of the name of a lock file
MAX_THREADS = 4096
MAX_CHECKPOINT_S = 86400.0


def device() -> str:
    """`DD_DEVICE`: the only device that computes, or "auto"."""
    value = os.environ.get("DD_DEVICE") or "auto"
    if not DEVICE.fullmatch(value):
        raise SpecError("DD_DEVICE", value, "auto, cpu, mps, cuda or cuda:N, N being a number")
    return value


def threads() -> int:
    """`DD_THREADS`: CPU threads of a computing worker; all there are without it."""
    value = os.environ.get("DD_THREADS") or str(os.cpu_count() or 1)
    if not (value.isascii() and value.isdigit() and 1 <= int(value[:9]) <= MAX_THREADS):
        raise SpecError("DD_THREADS", value, f"a whole number from 1 to {MAX_THREADS}")
    return int(value)


def checkpoint_seconds() -> float:
    """`DD_CHECKPOINT_S`: seconds between the checkpoints of a run, 5 without it."""
    value = os.environ.get("DD_CHECKPOINT_S") or "5"
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= MAX_CHECKPOINT_S:
        raise SpecError("DD_CHECKPOINT_S", value, f"seconds from 0 to {MAX_CHECKPOINT_S:.0f}")
    return seconds


def measures() -> bool:
    """`DD_MEASURE`: whether a worker measures the machine's speed after its first result."""
    value = os.environ.get("DD_MEASURE") or "1"
    if value not in ("0", "1"):
        raise SpecError("DD_MEASURE", value, "0 or 1")
    return value == "1"


def check() -> None:
    """`SpecError` on the first variable whose value is not allowed."""
    for read in (
        device,
        threads,
        checkpoint_seconds,
        measures,
        paths.store_root,
        paths.data_root,
    ):
        read()
