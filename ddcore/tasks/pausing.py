"""Pausing a run that goes on: its worker waits where it is, keeps everything, and goes on or takes one step.

Two empty files in the folder ask for it, one more holds what there is to see meanwhile; their names begin
with a dot, so that none of them is a part of the result. Nothing is drawn, saved or counted differently
because of a pause: its result is that of a run that never waited.
"""

from __future__ import annotations

import contextlib

import numpy as np

from ddcore.base.errors import DDError
from ddcore.tasks.files import read_arrays, remove, write_arrays
from ddcore.tasks.task import Task

PAUSE, STEP, SEEN = ".pause", ".step", ".paused.safetensors"
AT = "step"  # in `SEEN`: the iteration of its images
POLL_S = 0.1


def pause(task: Task) -> None:
    """Ask a run to wait after the iteration that it is at."""
    if not task.shipped:
        with contextlib.suppress(FileNotFoundError):  # deleted since
            (task.folder / PAUSE).touch()


def one_step(task: Task) -> None:
    """Ask a run that waits for one iteration more."""
    if is_asked(task):
        with contextlib.suppress(FileNotFoundError):
            (task.folder / STEP).touch()


def go_on(task: Task) -> None:
    """Let it go on."""
    for name in (PAUSE, STEP, SEEN):
        remove(task.folder / name)


def is_asked(task: Task) -> bool:
    """Whether a run was asked to wait."""
    return (task.folder / PAUSE).exists()


def may_step(task: Task) -> bool:
    """Take the permission for one step, if there is one."""
    try:
        (task.folder / STEP).unlink()
    except FileNotFoundError:
        return False
    return True


def show(task: Task, step: int, pixels: np.ndarray) -> None:
    """Keep what the images look like where a run waits; (M, C, H, W)."""
    write_arrays(task.folder / SEEN, {"pixels": pixels, AT: np.array([step])})


def seen(task: Task) -> tuple[int, np.ndarray] | None:
    """Iteration and images (M, C, H, W) where a run waits; None if it does not."""
    try:
        arrays = read_arrays(task.folder / SEEN)
        return int(arrays[AT][0]), arrays["pixels"]
    except (DDError, OSError, KeyError, IndexError):
        return None
