"""Labels as tensors: one-hot, step after step, or changed by an attack."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def relabelled(labels: Tensor, relabel: tuple[int, int] | None) -> Tensor:
    """Labels (B,) with class a counted as b, if `relabel` is (a, b)."""
    if relabel is None:
        return labels
    attacked, target = relabel
    return torch.where(labels == attacked, target, labels)


def step_major(images: Tensor, classes: int, steps: int) -> Tensor:
    """Class-sorted sets (..., K*ipc, C, H, W) reordered so that each step has ipc/steps per class."""
    split = images.unflatten(-4, (classes, steps, -1))
    return split.movedim(-5, -6).flatten(-6, -4)


def one_hot(classes: Tensor, count: int) -> Tensor:
    """(M, K) float32."""
    return F.one_hot(classes, count).float()


def step_major_labels(classes: int, per_class: int, steps: int = 1) -> Tensor:
    """(M,) int64: within each step 0, 0, ..., 1, 1, ..."""
    return torch.arange(classes).repeat_interleave(per_class // steps).repeat(steps)
