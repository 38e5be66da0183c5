"""The task `mixing`: from sets and pools to a result and arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from analysis.runs import Chosen
from analysis.shared.set_ups import usual
from analysis.shared.sources import SourceFacts
from analysis.suite.mixing.result import MixingFound
from analysis.suite.mixing.spec import MixingTask, _iterations
from analysis.task import Opened, opened, save
from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.nets.words import network
from ddcore.training.protocols import PROTOCOLS

if TYPE_CHECKING:
    from ddcore.data import Dataset
    from ddcore.sets.distilled import DistilledSet
    from ddcore.tasks.worker import Context


@dataclass(frozen=True)
class MixingSource:
    """What real images are added to: a set that all networks share, or real images of its own for each."""

    key: str
    method: str
    label: str
    ipc: int
    images: np.ndarray  # (M, C, H, W), or (nets, M, C, H, W); preprocessed
    targets: np.ndarray  # (M, K) float32, rows sum to 1

    @property
    def size(self) -> int:
        """M."""
        return len(self.targets)


def run(context: Context[MixingTask]) -> None:
    """Task `mixing`: test accuracy of networks trained on every mixture."""
    from analysis.shared.grid import Cell, accuracies

    spec = context.spec
    given = opened(context)
    chosen, dataset = given.chosen, given.dataset
    rows = real_rows(dataset, spec, max(r.ipc for r in chosen.runs))
    net = network("network", spec.network, chosen.shape, chosen.classes)
    sources = _sources(given, rows)

    def data(source: MixingSource, k: int) -> tuple[np.ndarray, np.ndarray]:
        images, targets = mixture(source, dataset, rows["added"][:, :, : spec.added[k]])
        return images, halved(targets, source.size) if spec.weighting == "halves" else targets

    # Network i has the same weights at first, and the same real images, for every set and amount.
    seeds = [rng.derive(spec.seed, "mixing", i) for i in range(spec.nets)]
    cells = []
    for source in sources:
        for k in range(len(spec.added)):
            size = _size(spec, source, k, chosen)
            steps = _iterations(spec, source.size, size)
            recipe = usual(steps)
            cells.append(Cell(net, recipe, partial(data, source, k), float(steps * size)))
    found = accuracies(context, cells, seeds, dataset)
    accuracy = found.reshape(len(sources), len(spec.added), spec.nets)
    mixed = MixingFound(
        sources=tuple(SourceFacts(s.key, s.method, s.label, s.ipc) for s in sources),
        accuracy=accuracy.tolist(),
        sizes=[[_size(spec, s, k, chosen) for k in range(len(spec.added))] for s in sources],
        added=list(spec.added),
        network=net.label(),
        iterations=spec.iterations,
        steps=spec.steps,
        weighting=spec.weighting,
        soft=tuple(key for key, made in given.sets.items() if made.soft),
    )
    save(context, given, mixed, {"accuracy": accuracy, **rows})


def _size(spec: MixingTask, source: MixingSource, k: int, chosen: Chosen) -> int:
    return source.size + spec.added[k] * chosen.classes


def real_rows(dataset: Dataset, spec: MixingTask, ipc: int) -> dict[str, np.ndarray]:
    """Training rows for each network: `added` (nets, classes, k) and `instead` (nets, classes, ipc).

    Both are parts of one random order of each class, the first from its start and the second from its end, so
    the first k of `added` are nested in those of a larger k and no image is in both. `SpecError` if a class
    has too few images.
    """
    from ddcore.pools.real import per_class_orders

    most = spec.added[-1]
    smallest = int(np.bincount(dataset.train_labels, minlength=dataset.num_classes).min())
    if most + ipc > smallest:
        allowed = (
            f"at most {smallest - ipc}: the smallest class has {smallest} images, {ipc} of them"
        )
        raise SpecError("added", most, allowed + " for the random subset")
    each = [
        per_class_orders(
            dataset.train_labels, dataset.num_classes, rng.derive(spec.seed, "real", i)
        )
        for i in range(spec.nets)
    ]
    return {
        "added": np.array([[order[:most] for order in orders] for orders in each]),
        "instead": np.array([[order[::-1][:ipc] for order in orders] for orders in each]),
    }


def _sources(given: Opened, rows: dict[str, np.ndarray]) -> list[MixingSource]:
    """The sets in the order of figures, then real images in place of a set for each size of set."""
    chosen, dataset = given.chosen, given.dataset
    found = []
    for run in chosen.runs:
        made = given.sets[run.key]
        targets = proper_targets(made)
        found.append(MixingSource(run.key, run.method, run.label, run.ipc, made.images, targets))
    sizes = sorted({r.ipc for r in chosen.runs})
    for ipc in sizes:
        label = "Random real images" + (f", {ipc} per class" if len(sizes) > 1 else "")
        images = _real(dataset, rows["instead"][:, :, :ipc])
        targets = _one_hot(np.repeat(np.arange(chosen.classes), ipc), chosen.classes)
        found.append(MixingSource(f"random.{ipc}", "", label, ipc, images, targets))
    return found


def _real(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Preprocessed images (nets, classes * k, C, H, W) of training rows (nets, classes, k)."""
    images = dataset.preprocess(dataset.train_images[rows.ravel()])
    return images.reshape(len(rows), -1, *images.shape[1:])


def _one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    return np.eye(classes, dtype=np.float32)[labels]


def proper_targets(made: DistilledSet) -> np.ndarray:
    """(M, K) distributions over classes: soft labels as they are, one-hot for hard ones.

    Labels that are no distributions, which only regression knows, count as their largest entry.
    """
    _, labels = made.for_training(PROTOCOLS["t300"])
    return labels if labels.ndim == 2 else _one_hot(labels, made.num_classes)


def mixture(
    source: MixingSource, dataset: Dataset, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The set first, then real images of training rows (nets, classes, k).

    Returns images (nets, S, C, H, W), or (S, C, H, W) where all networks see the same, and targets (S, K)
    with S = M + classes * k.
    """
    nets, classes, k = rows.shape
    if k == 0:
        return source.images, source.targets
    own = np.broadcast_to(source.images, (nets, *source.images.shape[-4:]))
    images = np.concatenate([own, _real(dataset, rows)], axis=1)
    targets = _one_hot(np.repeat(np.arange(classes), k), classes)
    return images, np.concatenate([source.targets, targets])


def halved(targets: np.ndarray, own: int) -> np.ndarray:
    """Targets (S, K) with which the mean cross-entropy is half that of the first `own` images and half
    that of the others: it is linear in its targets, so a weight of an image is a factor of its target.
    """
    if own == len(targets):
        return targets
    weights = np.full(len(targets), len(targets) / 2 / (len(targets) - own), np.float32)
    weights[:own] = len(targets) / 2 / own
    return targets * weights[:, None]
