"""Opening a set from elsewhere: its files become a finished task, with the set that every page reads."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ddcore.base.errors import Damaged, DataError
from ddcore.data import Dataset, ensure
from ddcore.data.preprocess import Preprocess
from ddcore.sets.distilled import DistilledSet
from ddcore.sets.imported_spec import ImportTask, constants, require_fit
from ddcore.sets.importers import ReadSet, Report
from ddcore.sets.importers.facts import class_order
from ddcore.sets.importers.files import base_name
from ddcore.sets.importers.reading import read
from ddcore.sets.importers.scales import to_pixels, to_preprocessed
from ddcore.tasks.files import write_atomic, write_json
from ddcore.tasks.records import read_json
from ddcore.tasks.store import Store, Task

if TYPE_CHECKING:
    from ddcore.tasks.worker import Context

FOLDER = "upload"
NAMES = "names.json"


def bring(store: Store, spec: ImportTask, contents: Sequence[bytes], names: Sequence[str]) -> Task:
    """Put the files where the task will find them; returns its folder, which is still to be queued.

    `contents` are bytes, or what has them at hand (a memoryview).
    """
    task = store.task(spec)
    if task.is_done():
        return task
    task = store.create(spec)
    for i, content in enumerate(contents):
        write_atomic(task.folder / FOLDER / str(i), content)
    write_json(task.folder / FOLDER / NAMES, [base_name(name) for name in names])
    return task


def names_of(task: Task) -> list[str]:
    """What the files were called; empty if that is not known."""
    try:
        names = read_json(task.folder / FOLDER / NAMES)
    except (OSError, Damaged):
        return []
    return [str(name) for name in names] if isinstance(names, list) else []


def run(context: Context[ImportTask]) -> None:
    """Task `import`: read, check against the dataset, store the set."""
    spec = context.spec
    context.progress(0, 3, message="reading the files")
    names = names_of(context.task)
    report = read(_files(context.task, spec, names), spec.format, spec.experiment)
    for (name, digest), expected in zip(report.files, spec.files):
        if digest != expected:
            raise DataError(f"{name} has changed since it was opened: open it again.")
    context.progress(1, 3, message="reading the dataset")
    dataset = ensure(context, spec.data)
    require_fit(report, dataset.shape, dataset.num_classes, dataset.label)
    context.progress(2, 3, message="putting it in order")
    made = build(report, spec, dataset)
    context.save_result(
        {
            "set": made.write(context),
            "files": names,
            "evidence": dataclasses.asdict(report.facts),
            "notes": list(report.found.notes),
            "alike": alike(made, dataset),
            "validation": None,
            "best_step": 0,
            "iterations": 0,
            "halvings": 0,
            "seconds": context.seconds,
            "cpu_seconds": context.cpu_seconds,
            "device": context.device,
            "shape": list(dataset.shape),
            "data_label": dataset.label,
        }
    )
    context.progress(3, 3)


def _files(task: Task, spec: ImportTask, names: Sequence[str]) -> list[tuple[str, Path]]:
    files = []
    for i in range(len(spec.files)):
        path = task.folder / FOLDER / str(i)
        if not path.is_file() or len(names) <= i:
            raise DataError("The files of this set are not here any more: open them again.")
        files.append((names[i], path))
    return files


# --- from numbers to a set ------------------------------------------------------------------------


def build(report: Report, spec: ImportTask, dataset: Dataset) -> DistilledSet:
    """The set in the dataset's own terms: what networks see, class order within each step."""
    found = report.found
    if spec.protocol.ordered and found.lrs is None and not spec.lr:
        raise DataError(f"Protocol {spec.protocol.name} needs learned step sizes: choose another.")
    labels = soften(found.labels, spec.labels)
    order, _ = class_order(labels, dataset.num_classes, found.steps)
    _check_counts(spec, len(order) // dataset.num_classes, found.steps)
    common = {
        "class_names": dataset.class_names,
        "preprocess": dataset.preprocessing,
        "net": spec.net,
        "protocol": spec.protocol,
        "run_key": spec.key,
        "data": spec.data.to_dict(),
        "lrs": np.array([spec.lr], np.float32) if spec.lr else found.lrs,
        "metrics": {"imported": spec.format},
    }
    if found.made:
        made = _rebuilt(found.made, spec, labels, common)
    else:
        made = _foreign(found, spec, labels, order, common)
    if not np.isfinite(made.images).all():
        raise DataError("Its numbers are too large: preprocessed, they are not finite any more.")
    return made


def _foreign(
    found: ReadSet, spec: ImportTask, labels: np.ndarray, order: np.ndarray, common: dict[str, Any]
) -> DistilledSet:
    """A set of another program: nothing but images, labels and step sizes."""
    preprocess = common["preprocess"]
    images = to_preprocessed(found.images, spec.scale, constants(spec), preprocess)[order]
    labels, stored = labels[order], {}
    if spec.tiles > 1:
        stored = {"images": images}
        images = split(images, spec.tiles, preprocess)
        labels = labels.repeat(spec.tiles**2, axis=0)
    return DistilledSet(
        images=images,
        labels=labels,
        method=spec.method or "unknown",
        steps=found.steps,
        parametrization="tiles" if stored else "pixels",
        stored=stored,
        params=spec.params.to_dict(),
        **common,
    )


def _rebuilt(
    own: DistilledSet, spec: ImportTask, labels: np.ndarray, common: dict[str, Any]
) -> DistilledSet:
    """A set of this program: as it is, with all it knows. Its images are in order already."""
    preprocess = common["preprocess"]
    as_it_is = same(own.preprocess, preprocess)
    return dataclasses.replace(
        own,
        images=own.images if as_it_is else preprocess.forward(own.pixels()),
        labels=labels,
        init_weights=own.init_weights if spec.net == own.net else {},
        **common,
    )


def _check_counts(spec: ImportTask, per_class: int, steps: int) -> None:
    asked = spec.per_class or spec.ipc
    if (asked, spec.steps) != (per_class * spec.tiles**2, steps):
        raise DataError(
            f"It has {per_class} images per class in {steps} steps, not what was asked for: open it again."
        )


def same(one: Preprocess, other: Preprocess) -> bool:
    """Whether two preprocessings are the same numbers."""
    a, b = one.arrays(), other.arrays()
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def soften(labels: np.ndarray, how: str) -> np.ndarray:
    """Labels as they are to be used; hard ones stay."""
    if labels.ndim == 1 or how == "keep":
        return labels
    if how == "argmax":
        return labels.argmax(1)
    scores = np.exp(labels - labels.max(1, keepdims=True))
    return scores / scores.sum(1, keepdims=True)


def split(images: np.ndarray, factor: int, preprocess: Preprocess) -> np.ndarray:
    """The factor x factor images that lie in each stored one (IDC), each enlarged to full size.

    Sides that are no multiple are filled up with middle grey at the right and below (Kim et al. 2022).
    Normalising commutes with enlarging, so it may come first.
    """
    import torch

    from ddcore.sets.tiling import split as split_tensors

    grey = preprocess.forward(np.full((1, *images.shape[1:]), 0.5, np.float32))[0]
    fill = torch.from_numpy(np.ascontiguousarray(grey[:, :1, :1]))
    return split_tensors(torch.from_numpy(images), factor, fill).numpy()


def alike(made: DistilledSet, dataset: Dataset) -> dict[str, int]:
    """Evidence on the order of the labels: for how many classes the mean image looks most like that class.

    Means of both are compared by their correlation, so brightness and contrast do not matter. `other` is
    the same count for the order that fits half of each class's images best, counted on the other half.
    """
    groups = range(made.num_classes)
    labels = made.hard_labels
    own = [made.images[labels == c] for c in groups]
    if any(len(part) == 0 for part in own):
        return {"same": 0, "classes": 0}
    real = [dataset.train_images[dataset.train_labels == c].mean(0) / 255 for c in groups]
    theirs = _standard(list(dataset.preprocess(np.stack(real).astype(np.float32))))
    likeness = _standard([part.mean(0) for part in own]) @ theirs.T
    found = {"same": _matches(likeness, np.arange(len(own))), "classes": len(own)}
    if min(map(len, own)) > 1:
        from scipy.optimize import linear_sum_assignment

        halves = [_standard([part[i::2].mean(0) for part in own]) @ theirs.T for i in (0, 1)]
        found["other"] = _matches(halves[1], linear_sum_assignment(-halves[0])[1])
    return found


def _matches(likeness: np.ndarray, order: np.ndarray) -> int:
    """For how many classes c, real class order[c] is the one most like it, by (K, K) likeness."""
    return int((likeness.argmax(1) == order).sum())


def chance(same: int, classes: int) -> float:
    """How often a random order of the classes has at least `same` of them in their place (exact)."""
    total = 0.0
    for k in range(same, classes + 1):
        rest = sum((-1) ** j / math.factorial(j) for j in range(min(classes - k, 20) + 1))
        total += rest / math.factorial(k) if k < 150 else 0.0
    return min(1.0, total)


def _standard(images: list[np.ndarray]) -> np.ndarray:
    """(K, D) with the mean over classes taken off and unit length."""
    flat = np.stack(images).reshape(len(images), -1).astype(np.float64)
    flat -= flat.mean(0)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)


def preview(report: Report, rows: np.ndarray, scale: str, mean: Any, std: Any) -> np.ndarray | None:
    """Some of the images as pixels before anything is stored; None where that takes what is not known."""
    found = report.found
    if found.made:
        return found.made.preprocess.inverse(found.made.images[rows])
    return to_pixels(found.images[rows], scale, mean, std)
