"""Training on a part of the images first, then on more of them, as sets are used that were learned in parts.

Du, Shi & Zhou 2023 (SeqMatch), as their code does it: networks learn from the first part, then go on with the
first two together, and so on, with an optimiser and a schedule that begin anew each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.training.protocols import Protocol


@dataclass(frozen=True)
class Stage:
    """What is learned from for all epochs of a protocol, and where that stands in the whole training."""

    images: Tensor  # (M, C, H, W), or (N, M, C, H, W) with a set of its own for each network
    labels: Tensor  # (M,) integers, (M, K) soft, or (N, M, K)
    seeds: Sequence[int]
    steps_before: int
    epochs_before: int
    steps: int  # of all stages


def stages(
    images: Tensor, labels: Tensor, classes: int, protocol: Protocol, seeds: Sequence[int]
) -> Iterator[Stage]:
    """One after the other; a single one takes all images as they are, and the seeds themselves."""
    count = images.shape[-4]
    if protocol.stages == 1:
        yield Stage(images, labels, seeds, 0, 0, protocol.epochs * _steps(protocol, count))
        return
    kept = [first_parts(labels, classes, protocol.stages, k + 1) for k in range(protocol.stages)]
    steps = [protocol.epochs * _steps(protocol, len(index)) for index in kept]
    of_labels = -2 if labels.is_floating_point() else -1
    for k, index in enumerate(kept):
        yield Stage(
            images.index_select(images.ndim - 4, index),
            labels.index_select(of_labels, index),
            [rng.derive(s, "stage", k) if k else s for s in seeds],
            sum(steps[:k]),
            k * protocol.epochs,
            sum(steps),
        )


def _steps(protocol: Protocol, count: int) -> int:
    """In an epoch on so many images."""
    return -(-count // min(protocol.batch or count, count))


def first_parts(labels: Tensor, classes: int, parts: int, count: int) -> Tensor:
    """Indices (m,) of the images in the first `count` of so many equal parts of every class, in their order.

    labels (M,) or soft (..., M, K), of which the largest entry of the first network's is the class.
    """
    named = labels.argmax(-1) if labels.is_floating_point() else labels
    named = named.reshape(-1, named.shape[-1])[0]
    kept = torch.zeros(len(named), dtype=torch.bool, device=labels.device)
    for c in range(classes):
        own = (named == c).nonzero()[:, 0]
        if len(own) % parts:
            raise SpecError("stages", parts, f"a divisor of the {len(own)} images of a class")
        kept[own[: len(own) // parts * count]] = True
    return kept.nonzero()[:, 0]
