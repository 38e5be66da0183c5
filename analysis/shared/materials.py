"""What networks are trained on: sets, and as many real images in their place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.runs import Chosen
from analysis.shared.colours import REAL as REAL_COLOUR
from analysis.shared.colours import SYMBOLS, Style, styles
from analysis.shared.sources import SourceFacts
from ddcore.base.errors import SpecError

if TYPE_CHECKING:
    from analysis.task import Opened
    from ddcore.data.tensors import DeviceData
    from ddcore.training.protocols import Protocol

RANDOM, MEAN, REAL = "random", "class_mean", "real"  # the last: all there are
STAND_INS = {RANDOM: "Random real images", MEAN: "Class means"}
LOOKS = {RANDOM: ("dot", "diamond"), MEAN: ("dash", "cross"), REAL: ("solid", "circle")}


@dataclass(frozen=True)
class Material:
    """Preprocessed images (M, C, H, W) for all networks, or (nets, M, C, H, W); labels (M,) or (M, K)."""

    facts: SourceFacts
    images: np.ndarray
    labels: np.ndarray


def sizes(chosen: Chosen) -> list[int]:
    """Images per class of the sets, each size once, from the smallest on."""
    return sorted({run.ipc for run in chosen.runs})


def images_of(chosen: Chosen) -> list[int]:
    """Images of every material, in their order."""
    real = [ipc * chosen.classes for _ in STAND_INS for ipc in sizes(chosen)]
    return [run.images for run in chosen.runs] + real


def stands_for(kind: str, ipc: int) -> str:
    """The key of real images in place of sets with so many images per class."""
    return f"{kind}.{ipc}"


def looks(sources: Sequence[SourceFacts]) -> dict[str, Style]:
    """The look of each source by its key: sets as ever, real images grey, each size with its marker."""
    own = iter(styles([s.method for s in sources if s.method]))
    found: dict[str, Style] = {}
    seen: Counter[str] = Counter()
    for source in sources:
        if source.method:
            found[source.key] = next(own)
            continue
        kind = source.key.partition(".")[0]
        dash, symbol = LOOKS[kind]
        turn = SYMBOLS[seen[kind] % len(SYMBOLS)]
        found[source.key] = Style(REAL_COLOUR, dash, symbol + turn)
        seen[kind] += 1
    return found


def materials(
    given: Opened, data: DeviceData, protocol: Protocol, nets: int, seed: int
) -> list[Material]:
    """The sets in the order of figures, then random real images and class means of every size of set.

    Random images are drawn anew for each network. `SpecError` if a class has not so many images.
    """
    found = []
    for run in given.chosen.runs:
        facts = SourceFacts(run.key, run.method, run.label, run.ipc)
        found.append(Material(facts, *given.sets[run.key].for_training(protocol)))
    least = int(np.bincount(given.dataset.train_labels, minlength=data.num_classes).min())
    for kind, title in STAND_INS.items():
        for ipc in sizes(given.chosen):
            if ipc > least:
                raise SpecError("run_keys", ipc, f"sets with at most {least} images per class")
            several = len(sizes(given.chosen)) > 1
            label = title + (f", {ipc} per class" if several else "")
            facts = SourceFacts(stands_for(kind, ipc), "", label, ipc)
            labels = np.arange(data.num_classes).repeat(ipc)
            found.append(Material(facts, _real(kind, data, ipc, nets, seed), labels))
    return found


def _real(kind: str, data: DeviceData, ipc: int, nets: int, seed: int) -> np.ndarray:
    import torch

    from ddcore.measure import baselines

    if kind == MEAN:
        return baselines.class_means(data, ipc, seed)
    rows = baselines.random_rows(data, ipc, nets, seed)
    images = data.batch(torch.from_numpy(rows.ravel())).cpu().numpy()
    return images.reshape(*rows.shape, *data.shape)
