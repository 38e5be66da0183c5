"""Labels by a teacher: what networks trained on real data say about images.

A fixed label is made once for an image as it is stored; a teacher that is asked on every batch sees what the
learning network sees, after augmentation and CutMix (Shen & Xing 2022 keep such labels, "fast knowledge
distillation"; here they are made when they are needed).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ddcore.training.labels import one_hot
from ddcore.training.trained import TrainedNets

Teach = Callable[[Tensor, Tensor], Tensor]  # images of a batch, labels they have -> labels to learn


def as_given(images: Tensor, labels: Tensor) -> Tensor:
    """The labels that images have: no teacher."""
    return labels


@dataclass(frozen=True)
class Teacher:
    """Networks whose mean prediction, at a temperature, is a label."""

    nets: TrainedNets
    temperature: float = 1.0

    def labels(self, images: Tensor) -> Tensor:
        """Distributions (..., K) float32 for preprocessed images (..., C, H, W), on their device.

        The mean over the teacher's networks of softmax(z / T).
        """
        said = (outputs(self.nets, images) / self.temperature).softmax(-1)
        return said.mean(0)

    def teach(self, images: Tensor, labels: Tensor) -> Tensor:
        """A teacher asked on every batch: whatever `labels` say, its own for these images."""
        return self.labels(images)


@dataclass(frozen=True)
class RefiningTeacher:
    """Networks whose mean outputs, refined by the class, are a target for the cosine (GIFT, ICLR 2025).

    t = z / ‖z‖ + 0.1 s / ‖s‖ with outputs z and smoothed classes s: 0.9 for the class, 0.1 shared by the
    others. As its code does it; its text weighs the two otherwise.
    """

    nets: TrainedNets
    smooth: float = 0.1
    weight: float = 0.1

    def teach(self, images: Tensor, labels: Tensor) -> Tensor:
        """Targets (..., K) for images (..., C, H, W) whose labels are classes (...) or shares of them."""
        said = outputs(self.nets, images).mean(0)
        count = said.shape[-1]
        y = labels if labels.is_floating_point() else one_hot(labels, count)
        smooth = (1 - self.smooth) * y + self.smooth / (count - 1) * (1 - y)
        return F.normalize(said, dim=-1) + self.weight * F.normalize(smooth, dim=-1)


def outputs(nets: TrainedNets, images: Tensor) -> Tensor:
    """What networks say about preprocessed images (..., C, H, W), in testing: (N, ..., K) on their device."""
    with torch.no_grad():
        found = [
            nets.network.logits(nets.params, part, nets.stats, training=False)
            for part in images.flatten(0, -4).split(nets.at_once)
        ]
    return torch.cat(found, dim=1).unflatten(1, images.shape[:-3])
