"""The settings of a machine, from environment variables: read here, and refused here in one sentence.

They change where and how fast something is computed, never what comes out. Places (`DD_CACHE`,
`DD_DATA`) are in `paths`.
"""

from __future__ import annotations

import contextlib
import math
import os
import platform
import re
import shlex
from pathlib import Path

from ddcore.base import paths
from ddcore.base.errors import SpecError

DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?")  # it becomes part of the name of a lock file
MAX_THREADS, MAX_SLOTS = 4096, 64
MAX_CHECKPOINT_S = 86400.0
MAX_DECODED_GB, MAX_PARTS = 1 << 14, 1000
LOCAL = "local"
LAUNCHERS = (LOCAL, "slurm", "ray")
RAY = "http://127.0.0.1:8265"


def device() -> str:
    """`DD_DEVICE`: the only device that computes, or "auto"."""
    value = os.environ.get("DD_DEVICE") or "auto"
    if not DEVICE.fullmatch(value):
        raise SpecError("DD_DEVICE", value, "auto, cpu, mps, cuda or cuda:N, N being a number")
    return value


def threads() -> int:
    """`DD_THREADS`: CPU threads of a computing worker; all there are without it."""
    return _whole("DD_THREADS", os.cpu_count() or 1, MAX_THREADS)


def processor() -> str:
    """The processor's name, where the system tells it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def slots_per_device() -> int:
    """`DD_SLOTS_PER_DEVICE`: how many tasks may share a device, if its memory allows; 1 without it."""
    return _whole("DD_SLOTS_PER_DEVICE", 1, MAX_SLOTS)


def split() -> int:
    """`DD_SPLIT`: into how many tasks the work of one is shared out; 0 (auto): as many as GPUs are free."""
    value = os.environ.get("DD_SPLIT") or "auto"
    if value == "auto":
        return 0
    if not (value.isascii() and value.isdigit() and 1 <= int(value[:9]) <= MAX_SLOTS):
        raise SpecError("DD_SPLIT", value, f"auto, or a whole number from 1 to {MAX_SLOTS}")
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


def decoded_bytes() -> int:
    """`DD_DECODED_GB`: to how many GiB pictures of a dataset may decode, 4 without it; in bytes."""
    return _whole("DD_DECODED_GB", 4, MAX_DECODED_GB) << 30


def selection_parts() -> int:
    """`DD_SELECTION_PARTS`: into how many tasks a selection by class is divided; one without it."""
    return _whole("DD_SELECTION_PARTS", 1, MAX_PARTS)


def _whole(name: str, default: int, most: int) -> int:
    value = os.environ.get(name) or str(default)
    if not (value.isascii() and value.isdigit() and 1 <= int(value[:9]) <= most):
        raise SpecError(name, value, f"a whole number from 1 to {most}")
    return int(value)


def measures() -> bool:
    """`DD_MEASURE`: whether a worker measures the machine's speed after its first result."""
    value = os.environ.get("DD_MEASURE") or "1"
    if value not in ("0", "1"):
        raise SpecError("DD_MEASURE", value, "0 or 1")
    return value == "1"


def compiling() -> str:
    """`DD_COMPILE`: "1" compiles the steps of all tasks, "0" of none, "auto" those of long ones."""
    value = os.environ.get("DD_COMPILE") or "auto"
    if value not in ("auto", "0", "1"):
        raise SpecError("DD_COMPILE", value, "auto, 0 or 1")
    return value


def launcher() -> str:
    """`DD_LAUNCHER`: who starts workers, this machine or the scheduler of a cluster."""
    value = os.environ.get("DD_LAUNCHER") or LOCAL
    if value not in LAUNCHERS:
        raise SpecError("DD_LAUNCHER", value, "one of " + ", ".join(LAUNCHERS))
    return value


def slurm_options() -> list[str]:
    """`DD_SLURM`: options of sbatch that a site asks for, such as `--partition=gpu --account=lab`."""
    value = os.environ.get("DD_SLURM") or ""
    try:
        words = shlex.split(value)
    except ValueError:
        words = ["?"]
    if words and not words[0].startswith("-"):
        raise SpecError("DD_SLURM", value, "options of sbatch, such as --partition=gpu")
    return words


def ray_address() -> str:
    """`DD_RAY`: where Ray's dashboard answers; it runs whatever it is sent, so it is never open to others."""
    value = (os.environ.get("DD_RAY") or RAY).rstrip("/")
    if not re.fullmatch(r"https?://[^\s/]+", value):
        raise SpecError("DD_RAY", value, f"an address such as {RAY}")
    return value


def launched() -> str:
    """`DD_LAUNCHED`: which scheduler has started this worker; "" for none. Launchers set it."""
    value = os.environ.get("DD_LAUNCHED") or ""
    if value not in ("", *LAUNCHERS[1:]):
        raise SpecError("DD_LAUNCHED", value, "one of " + ", ".join(LAUNCHERS[1:]))
    return value


def check() -> None:
    """`SpecError` on the first variable whose value is not allowed."""
    for read in (
        device,
        threads,
        slots_per_device,
        split,
        checkpoint_seconds,
        decoded_bytes,
        selection_parts,
        measures,
        compiling,
        launcher,
        slurm_options,
        ray_address,
        launched,
        paths.store_root,
        paths.data_root,
    ):
        read()
