"""What the synthetic images are trained towards."""

from __future__ import annotations

import torch
from torch import Tensor


class HardLabels:
    """Fixed integer classes, in class order within each step: 0, 0, ..., 1, 1, ..."""

    def __init__(self, classes: int, ipc: int, steps: int = 1) -> None:
        per_step = torch.arange(classes).repeat_interleave(ipc // steps)
        self.values = per_step.repeat(steps)  # (M,), step-major

    def targets(self) -> Tensor:
        """(M,) int64."""
        return self.values
