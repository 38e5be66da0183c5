"""The task `labels`: from sets and a teacher to a result and arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from analysis.runs import Chosen
from analysis.shared.grid import Cell, accuracies, ready
from analysis.shared.sources import MEAN, RANDOM
from analysis.suite.labels.maths import edited, softened
from analysis.suite.labels.result import LabelledSource, LabelsFound
from analysis.suite.labels.spec import (
    AS_IS,
    EDITS,
    HARD,
    ONLINE,
    ORDER,
    SOFT,
    LabelsTask,
    changes,
    net_of,
    shown_size,
    sizes_of,
)
from analysis.task import Opened, opened, save
from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.data.tensors import DeviceData
from ddcore.measure import baselines, coresets
from ddcore.nets.plan import cost as net_cost
from ddcore.pools.networks import load
from ddcore.training.teacher import Teacher, as_given, outputs

if TYPE_CHECKING:
    from ddcore.tasks.worker import Context
    from ddcore.training.trained import TrainedNets

KEPT = 10  # images per class whose labels are kept to be looked at
TITLES = {
    RANDOM: "Random images",
    MEAN: "Class means",
    "easiest": "Easiest images",
    "medium": "Medium images",
    "hardest": "Hardest images",
}


@dataclass(frozen=True)
class _Given:
    """What is trained on: facts, preprocessed images (M, ...) or (nets, M, ...), classes (M,)."""

    facts: LabelledSource
    images: np.ndarray
    classes: np.ndarray
    logits: np.ndarray  # of the teacher, (networks, M, K) or (networks, nets, M, K)


def run(context: Context[LabelsTask]) -> None:
    """Task `labels`: accuracy under every regime, and with changed labels."""
    spec = context.spec
    given = opened(context)
    data = DeviceData(given.dataset, context.device)
    teacher = load(given.pools["teacher"], context.device)
    sources = _sources(given, spec, data, teacher)
    size = shown_size(given.chosen)
    close = [s for s in sources if s.facts.ipc == size and s.facts.selection in ("", RANDOM)]
    cells = [_regime(spec, source, kind, teacher) for kind in ORDER for source in sources]
    wanted = list(changes(spec))
    cells += [_changed(spec, source, *change) for change in wanted for source in close]
    seeds = [rng.derive(spec.seed, "labels", i) for i in range(spec.nets)]
    net = net_of(spec, given.chosen)
    macs = net_cost(net.plan(given.chosen.shape, given.chosen.classes), given.chosen.shape).macs
    placed = [Cell(net, *cell[:2], work=macs * cell[2], teach=cell[3]) for cell in cells]
    found = accuracies(context, placed, seeds, given.dataset)
    first = len(ORDER) * len(sources)
    accuracy = found[:first].reshape(len(ORDER), len(sources), -1).swapaxes(0, 1)
    changed = found[first:].reshape(len(wanted), len(close), -1).swapaxes(0, 1)
    plain = [i for i, (_, edit) in enumerate(wanted) if edit == AS_IS]
    usual = next(i for i in plain if wanted[i][0] == spec.temperature)
    edits = [usual, *(i for i in range(len(wanted)) if i not in plain)]
    result = LabelsFound(
        sources=tuple(s.facts for s in sources),
        accuracy=accuracy.tolist(),
        close=tuple(s.facts.key for s in close),
        size=size,
        temperatures=spec.temperatures,
        by_temperature=changed[:, plain].tolist(),
        edits=tuple(EDITS),
        by_edit=changed[:, edits].tolist(),
        teacher=given.pools["teacher"].result()["test"]["mean"],
        temperature=spec.temperature,
        network=net.label(),
        iterations=spec.iterations,
        mixing=spec.mixing,
        nets=spec.nets,
    )
    save(context, given, result, _looked_at(close, given.chosen))


_CellParts = tuple[Any, Any, float, Any]


def _regime(spec: LabelsTask, source: _Given, kind: str, teacher: TrainedNets) -> _CellParts:
    """Protocol, data, work and teaching of a source under a regime."""
    recipe = spec.recipe(kind)
    if kind == SOFT:
        labels = softened(source.logits, spec.temperature).astype(np.float32)
        return recipe, ready(source.images, labels), _seen(source, spec), as_given
    data = ready(source.images, source.classes)
    if kind == HARD:
        return recipe, data, _seen(source, spec), as_given
    assert kind == ONLINE
    asked = 1 + teacher.network.num_nets / 3  # a third of a step is a pass forward
    return recipe, data, asked * _seen(source, spec), Teacher(teacher, spec.temperature).teach


def _changed(spec: LabelsTask, source: _Given, temperature: float, edit: str) -> _CellParts:
    """The same with fixed labels at a temperature, changed."""
    labels = edited(softened(source.logits, temperature), edit).astype(np.float32)
    images = source.images
    if edit == "no_images":
        kept = source.classes != labels.shape[-1] - 1
        images, labels = images[..., kept, :, :, :], labels[..., kept, :]
    recipe = spec.recipe(SOFT, temperature)
    return recipe, ready(images, labels), _seen(source, spec), as_given


def _seen(source: _Given, spec: LabelsTask) -> float:
    return float(source.images.shape[-4] * spec.iterations)


def _sources(
    given: Opened, spec: LabelsTask, data: DeviceData, teacher: TrainedNets
) -> list[_Given]:
    """The sets in the order of figures, then real images of every size in every selection."""
    found = []

    def add(facts: LabelledSource, images: np.ndarray, classes: np.ndarray) -> None:
        asked = outputs(teacher, torch.from_numpy(images).to(data.device)).cpu().numpy()
        found.append(_Given(facts, images, classes, asked))

    for run_ in given.chosen.runs:
        made = given.sets[run_.key]
        facts = LabelledSource(run_.key, run_.method, run_.label, run_.ipc, "")
        add(facts, made.images, np.asarray(made.hard_labels))
    least = int(np.bincount(given.dataset.train_labels, minlength=data.num_classes).min())
    if (most := max(run.ipc for run in given.chosen.runs)) > least:
        raise SpecError("run_keys", most, f"sets with at most {least} images per class")
    scores = coresets.cross_entropies(
        torch.cat(teacher.logits_in_batches(data.train), dim=1), data.train.labels.cpu()
    )
    for ipc in (n for n in sizes_of(spec, given.chosen) if n <= least):
        classes = np.arange(data.num_classes).repeat(ipc)
        for name in (RANDOM, *spec.selections):
            label = f"{TITLES[name]}, {ipc} per class"
            facts = LabelledSource(f"{name}.{ipc}", "", label, ipc, name)
            add(facts, _chosen(name, ipc, spec, data, scores), classes)
    return found


def _chosen(
    name: str, ipc: int, spec: LabelsTask, data: DeviceData, scores: torch.Tensor
) -> np.ndarray:
    """Preprocessed images (M, C, H, W) in the order of classes; random ones (nets, M, C, H, W)."""
    if name == RANDOM:
        drawn = baselines.random_rows(data, ipc, spec.nets, spec.seed)
        images = data.batch(torch.from_numpy(drawn.ravel()))
        return images.cpu().numpy().reshape(*drawn.shape, *data.shape)
    if name == MEAN:
        return baselines.class_means(data, ipc, spec.seed)
    ties = rng.generator(spec.seed, "ties")
    members = [m.cpu() for m in data.class_indices]
    rows = torch.cat([coresets.chosen(scores, m, ipc, name, ties) for m in members])
    return data.batch(rows).cpu().numpy()


def _looked_at(close: list[_Given], chosen: Chosen) -> dict[str, np.ndarray]:
    """What the teacher says of some images of each class, (networks, K, images, K) by the source's key."""
    arrays = {}
    for source in close:
        logits = source.logits if source.images.ndim == 4 else source.logits[:, 0]
        rows = [np.flatnonzero(source.classes == c)[:KEPT] for c in range(chosen.classes)]
        least = min(map(len, rows))
        if least:
            picked = np.stack([logits[:, r[:least]] for r in rows], axis=1)
            arrays[f"logits.{source.facts.key}"] = np.ascontiguousarray(picked, np.float32)
    return arrays
