"""Tiny tasks that exercise queue, progress, cancel and recovery without any numerics."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ddcore.base.errors import DDError
from ddcore.base.fields import number, seed
from ddcore.base.specs import TaskSpec
from ddcore.tasks.worker import Context


@dataclass(frozen=True, kw_only=True)
class SleepyTask(TaskSpec):
    """Steps that only take time; may crash or fail at one, or need another such task."""

    KIND: ClassVar[str] = "sleepy"
    RUNNER: ClassVar[str] = "ddcore.tasks.testing:run_sleepy"

    steps: int = number(5, 0, 10_000_000, "How many.")
    pause: float = number(0.0, 0, 3600, "How long each takes.", unit="seconds")
    crash_at: int = number(-1, -1, 10_000_000, "The step at which the process ends; -1: none.")
    fail_at: int = number(-1, -1, 10_000_000, "The step that fails; -1: none.")
    need: int = number(0, 0, 10_000_000, "Steps of a task that is needed first; 0: none is.")
    seed: int = seed()

    def title(self) -> str:
        """Line for lists."""
        return f"sleepy {self.seed}"


def run_sleepy(context: Context[SleepyTask]) -> None:
    """Count, with a checkpoint at every step."""
    spec = context.spec
    if spec.need:
        context.need(SleepyTask(steps=spec.need, pause=spec.pause, seed=spec.seed + 1))
    found = context.load_checkpoint()
    print(f"{spec.key} computed here")  # into the worker's log, so that tests can count
    total, start = (float(found[0]["total"]), found[1]["step"]) if found else (0.0, 0)
    for step in range(start, spec.steps):
        if step == spec.crash_at and not found:
            os._exit(9)
        if step == spec.fail_at and not found:
            raise DDError("The sleepy task failed as asked.")
        time.sleep(spec.pause)
        total += step
        context.save_checkpoint(step + 1, {"total": np.array(total)}, {})
        context.progress(step + 1, spec.steps, value=total)
    context.save_result({"total": total, "resumed_from": start})
    context.save_arrays({"total": np.array([total])})
