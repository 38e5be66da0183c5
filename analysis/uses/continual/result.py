"""What a finished task of continual learning found, as it was counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.uses.continual.spec import ContinualTask
from ddcore.base.errors import Outdated
from ddcore.tasks.store import Task


@dataclass(frozen=True)
class Learned:
    """Test images called right, and what the memory took.

    `correct` (O orders, n networks, T steps, T): after step t, those of the classes of step i, -1 where i has
    not come. `counts` (O, T): how many there are. `groups`: classes of every order's steps. `memory_bytes`
    (O, T): after each step. `makers`: keys of the tasks that made the memory, and their CPU seconds where
    something was distilled. `cpu_seconds`: of this task, with those of makers that were not there yet.
    `pixels` (M, C, H, W) of 8 bits and `classes` (M,): the first order's memory, none where it holds real
    images.
    """

    key: str
    spec: ContinualTask
    data_label: str
    class_names: tuple[str, ...]
    groups: list[list[list[int]]]
    correct: np.ndarray
    counts: np.ndarray
    memory_bytes: np.ndarray
    makers: dict[str, float | None]
    cpu_seconds: float
    device: str
    pixels: np.ndarray
    classes: np.ndarray

    @property
    def distil_seconds(self) -> float:
        """CPU seconds of all distillations behind it, each once; 0 where there were none."""
        return sum(seconds or 0.0 for seconds in self.makers.values())


def read(task: Task) -> Learned:
    """The result of a finished task; `Outdated` where another version computed it."""
    if old := task.outdated():
        raise Outdated(old)
    stored, arrays = task.result(), task.arrays()
    return Learned(
        key=task.key,
        spec=task.spec_as(ContinualTask),
        data_label=stored["data_label"],
        class_names=tuple(stored["class_names"]),
        groups=stored["groups"],
        correct=arrays["correct"],
        counts=arrays["counts"],
        memory_bytes=np.array(stored["memory_bytes"]),
        makers=stored["makers"],
        cpu_seconds=stored["cpu_seconds"],
        device=stored["device"],
        pixels=arrays.get("pixels", np.empty((0, 1, 1, 1), np.uint8)),
        classes=arrays.get("classes", np.empty(0, np.int64)),
    )
