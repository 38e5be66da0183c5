"""What networks are trained on: the sets, and what has their size without any distilling."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.contract import AnalysisTask
from analysis.shared.sources import MEAN, MORE, RANDOM, SET, KindOfSource
from analysis.task import Opened
from ddcore.measure.spec import BaselineTask
from ddcore.training.protocols import Protocol

if TYPE_CHECKING:
    from ddcore.tasks.worker import Context

WORDS = {RANDOM: "Random real images", MEAN: "Class means", MORE: "More real images"}


@dataclass(frozen=True)
class TrainedOn:
    """A set that all networks share, or real images of its own for each network."""

    facts: KindOfSource
    images: np.ndarray  # (M, C, H, W), or (nets, M, C, H, W); preprocessed
    labels: np.ndarray  # (M,) or (M, K)


def trained_on(
    context: Context[AnalysisTask],
    given: Opened,
    protocol: Protocol,
    nets: int,
    kinds: Collection[str],
    more: int = 0,
) -> list[TrainedOn]:
    """The sets in the order of figures, then random real images and class means for each size of set.

    Of random images each network has a draw of its own. `more` random images per class come last, as many
    as the smallest class has; 0 for none.
    """
    chosen, found = given.chosen, []
    for own in chosen.runs:
        facts = KindOfSource(SET, own.key, own.method, own.label, own.ipc)
        found.append(TrainedOn(facts, *given.sets[own.key].for_training(protocol)))
    wanted = [(kind, ipc) for kind in kinds for ipc in chosen.sizes]
    if more:
        least = int(np.bincount(given.dataset.train_labels, minlength=chosen.classes).min())
        wanted.append((MORE, min(more, least)))
    for kind, ipc in wanted:
        many = kind == MORE or len(chosen.sizes) > 1
        label = WORDS[kind] + (f", {ipc} per class" if many else "")
        facts = KindOfSource(kind, f"{kind}.{ipc}", "", label, ipc)
        found.append(TrainedOn(facts, *_replacement(context, given, kind, ipc, nets)))
    return found


def _replacement(
    context: Context[AnalysisTask], given: Opened, kind: str, ipc: int, nets: int
) -> tuple[np.ndarray, np.ndarray]:
    from ddcore.measure import baselines

    one = kind == MEAN
    name = MEAN if one else RANDOM
    wanted = BaselineTask(
        name=name,
        data=given.chosen.data,
        ipc=ipc,
        seed=context.spec.seed,
        draws=1 if one else nets,
    )
    task = context.need(wanted)
    images, labels = (x.numpy() for x in baselines.sets(task, given.dataset, "cpu"))
    return (images[0] if one else images), labels
