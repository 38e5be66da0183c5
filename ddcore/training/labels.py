"""Labels as tensors: one-hot, step after step, or changed by an attack."""

from __future__ import annotations

import torch
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
    """Classes (...) as (..., K) float32. The library's own looks at the values, which no graph can."""
    return (classes[..., None] == torch.arange(count, device=classes.device)).float()


def smoothed(classes: Tensor, count: int, share: float) -> Tensor:
    """Classes (...) as (..., K): what is left of one after all classes alike got `share` of it."""
    return (1 - share) * one_hot(classes, count) + share / count


def step_major_labels(classes: int, per_class: int, steps: int = 1) -> Tensor:
    """(M,) int64: within each step 0, 0, ..., 1, 1, ..."""
    return torch.arange(classes).repeat_interleave(per_class // steps).repeat(steps)
