"""Labels of a set as an evaluation chooses them: hard, a teacher's, or a teacher asked on every batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ddcore.base.specs import TaskSpec
from ddcore.measure.regimes import ONLINE, SOFT, LabelRegime
from ddcore.pools.networks import load
from ddcore.tasks.store import Task
from ddcore.training.protocols import Protocol
from ddcore.training.teacher import RefiningTeacher, Teach, Teacher, as_given


@dataclass(frozen=True)
class ChosenLabels:
    """Labels of a set's images, and who is asked for others on every batch."""

    labels: Tensor
    teach: Teach = as_given


def labelled(
    regime: LabelRegime | None,
    protocol: Protocol,
    images: Tensor,
    labels: Tensor,
    need: Callable[[TaskSpec], Task],
    device: str | torch.device,
) -> ChosenLabels:
    """Labels for images (M, C, H, W) or (N, M, C, H, W) whose own are (M,), (M, K) or (N, M, K).

    Hard labels are classes (M,), of soft ones the largest entry; a teacher's are (M, K) or (N, M, K).
    """
    if regime is None:
        return ChosenLabels(labels)
    classes = labels.argmax(-1) if labels.is_floating_point() else labels
    if regime.teacher is None:
        return ChosenLabels(classes)
    nets = load(need(regime.teacher), device)
    if protocol.loss == "cosine":
        teach = RefiningTeacher(nets).teach
        fixed = regime.kind == SOFT
        return ChosenLabels(teach(images, classes)) if fixed else ChosenLabels(classes, teach)
    teacher = Teacher(nets, protocol.temperature)
    if regime.kind == SOFT:
        return ChosenLabels(teacher.labels(images))
    assert regime.kind == ONLINE
    return ChosenLabels(classes, teacher.teach)
