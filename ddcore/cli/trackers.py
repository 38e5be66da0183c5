"""`--log tensorboard`: a run's progress as TensorBoard reads it. A copy: the store stays the truth."""

from __future__ import annotations

import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ddcore.base.errors import DDError
from ddcore.cli import follow
from ddcore.tasks.store import Store, Task

TRACKERS = ("tensorboard",)
FOLDER = "tensorboard"  # in the store: one folder for each run
EVERY_S = 2.0
NO_FIGURES = ("step", "total", "note")


def check() -> None:
    """One sentence where the package is missing, before anything is computed."""
    if not find_spec("tensorboard"):
        raise DDError(
            'There is no TensorBoard here: pip install -e ".[tensorboard]", or leave --log out.'
        )


def watch(store: Store, task: Task, log: str | None) -> Task:
    """As `follow.watch`, with a tracker's files in the store where one is named."""
    if not log:
        return follow.watch(store, task)
    tracker = Tracker(store, task)
    try:
        return follow.watch(store, task, tracker.update)
    finally:
        tracker.close()
        follow.say(f"look at it with: tensorboard --logdir {tracker.folder.parent}")


class Tracker:
    """What has been written of a run so far; a new one writes all of it again."""

    def __init__(self, store: Store, task: Task) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.task, self.step, self._looked = task, -1, 0.0
        self.folder: Path = store.root / FOLDER / task.key
        # What an earlier one wrote after a checkpoint that a later one went on from is not shown.
        self._writer: Any = SummaryWriter(str(self.folder), purge_step=0)

    def update(self, status: dict[str, Any]) -> None:
        """Write what is new, at most every few seconds."""
        if status["state"] == "running" and time.monotonic() - self._looked < EVERY_S:
            return
        self._looked = time.monotonic()
        for event in self.task.events():
            if event["step"] > self.step:
                self.step = event["step"]
                for name, value in event.items():
                    if name not in NO_FIGURES:
                        self._writer.add_scalar(name, value, self.step)
        self._writer.flush()

    def close(self) -> None:
        """Nothing more comes."""
        self._writer.close()
