"""What networks are trained on: sets, and as many real images in their place. Imports no torch by itself."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.runs import Chosen
from analysis.shared.sources import MEAN, MORE, RANDOM, SET, TITLES, KindOfSource, key_of
from ddcore.base.errors import SpecError
from ddcore.pools.real_spec import Counts

if TYPE_CHECKING:
    from analysis.task import Opened
    from ddcore.data.tensors import DeviceData
    from ddcore.training.protocols import Protocol

STAND_INS = (RANDOM, MEAN)  # one of each for every size of set
# Training rows (nets, K * ipc), sorted by class, from data, images per class, nets and seed.
DrawRows = Callable[["DeviceData", int, int, int], np.ndarray]


@dataclass(frozen=True)
class TrainedOn:
    """A set that all networks share, or real images; of random ones each network has its own."""

    facts: KindOfSource
    images: np.ndarray  # (M, C, H, W), or (nets, M, C, H, W); preprocessed
    labels: np.ndarray  # (M,) or (M, K)


def image_counts(
    chosen: Chosen,
    counts: Counts,
    kinds: Collection[str] = STAND_INS,
    more: int = 0,
) -> list[int]:
    """Images of every source of `trained_on`, in their order."""
    real = [ipc * chosen.classes for _ in kinds for ipc in chosen.sizes]
    larger = [min(more * chosen.classes, counts.train)] if more else []
    return [*(run.images for run in chosen.runs), *real, *larger]


def trained_on(
    given: Opened,
    data: DeviceData,
    protocol: Protocol,
    nets: int,
    seed: int,
    kinds: Collection[str] = STAND_INS,
    more: int = 0,
    draw: DrawRows | None = None,
) -> list[TrainedOn]:
    """The sets in the order of figures, then real images of every kind in place of each size of set.

    `more` random images per class come last, as many as the smallest class has; 0 for none. `draw` chooses
    random images, as baselines do if none is given. `SpecError` if a class has fewer images than a set.
    """
    chosen, found = given.chosen, []
    for run in chosen.runs:
        facts = KindOfSource(run.key, run.method, run.label, run.ipc, SET)
        found.append(TrainedOn(facts, *given.sets[run.key].for_training(protocol)))
    wanted = [(kind, ipc) for kind in kinds for ipc in chosen.sizes]
    if more:
        wanted.append((MORE, min(more, smallest_class(data))))
    for kind, ipc in wanted:
        several = kind == MORE or len(chosen.sizes) > 1
        label = TITLES[kind] + (f", {ipc} per class" if several else "")
        facts = KindOfSource(key_of(kind, ipc), "", label, ipc, kind)
        images = real_images(kind, data, ipc, nets, seed, draw)
        found.append(TrainedOn(facts, images, np.arange(data.num_classes).repeat(ipc)))
    return found


def real_images(
    kind: str, data: DeviceData, ipc: int, nets: int, seed: int, draw: DrawRows | None = None
) -> np.ndarray:
    """Preprocessed images sorted by class: class means (M, C, H, W), random ones (nets, M, C, H, W)."""
    from ddcore.measure import baselines

    least = smallest_class(data)
    if ipc > least:
        raise SpecError("run_keys", ipc, f"sets with at most {least} images per class")
    if kind == MEAN:
        return baselines.class_means(data, ipc, seed)
    rows = (draw or baselines.random_rows)(data, ipc, nets, seed)
    images = data.dataset.preprocess(data.dataset.train_images[rows.ravel()])
    return images.reshape(*rows.shape, *data.shape)


def smallest_class(data: DeviceData) -> int:
    """Training images of the class that has fewest."""
    return int(np.bincount(data.dataset.train_labels, minlength=data.num_classes).min())


def nested_rows(data: DeviceData, ipc: int, nets: int, seed: int) -> np.ndarray:
    """A `DrawRows` in which a network's rows of a smaller size are part of those of every larger one."""
    from ddcore.base import rng
    from ddcore.pools.real import first_per_class, per_class_orders

    labels = data.dataset.train_labels
    return np.stack(
        [
            first_per_class(
                per_class_orders(labels, data.num_classes, rng.derive(seed, "random real", i)), ipc
            )
            for i in range(nets)
        ]
    )
