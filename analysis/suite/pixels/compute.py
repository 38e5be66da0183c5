"""The task `pixels`: from sets and pools to a result and arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.contract import Arrays
from analysis.suite.pixels.maths import density, extremes
from analysis.suite.pixels.result import PixelsFound
from analysis.suite.pixels.spec import GRID, LEVEL, REAL, PixelsTask
from analysis.task import opened, save
from ddcore.base import rng

if TYPE_CHECKING:
    from ddcore.data import Dataset
    from ddcore.sets.distilled import DistilledSet
    from ddcore.tasks.store import Task
    from ddcore.tasks.worker import Context


def run(context: Context[PixelsTask]) -> None:
    """Task `pixels`: exact extremes and densities of every set, and the pixels for single images."""
    spec = context.spec
    given = opened(context)
    rounded = [k for k, made in given.sets.items() if eight_bit(context.store.find(k), made)]
    rows = real_sample(given.dataset, spec.real_images, spec.seed)
    arrays: Arrays = {
        "real_labels": given.dataset.test_labels[rows],
    }
    values = {REAL: given.dataset.test_images[rows].astype(np.float64) / 255}
    for key, made in given.sets.items():
        arrays[f"pixels.{key}"] = made.pixels()
        arrays[f"labels.{key}"] = made.hard_labels
        values[key] = arrays[f"pixels.{key}"].astype(np.float64)
    channels = given.chosen.shape[0]
    low, high = min(map(np.min, values.values())), max(map(np.max, values.values()))
    margin = 0.3 * (high - low)
    grid = np.linspace(low - margin, high + margin, GRID)
    arrays["grid"], facts = grid, {}
    for step, (key, pixels) in enumerate(values.items()):
        context.progress(step, len(values))
        parts = [pixels, *(pixels[:, c] for c in range(channels) if channels > 1)]
        arrays[f"density.{key}"] = np.stack([density(p.ravel(), grid) for p in parts])
        facts[key] = [extremes(p) for p in parts]
    context.progress(len(values), len(values))
    shown = {"real_images": ("test", rows)}
    found = PixelsFound(channels=channels, sets=facts, eight_bit=tuple(rounded))
    save(context, given, found, arrays, shown)


def eight_bit(task: Task, made: DistilledSet) -> bool:
    """Whether a set came from 8-bit pixels: it was opened as such, or all its pixels are among the 256."""
    if task.document()["spec"].get("scale") == "byte":
        return True
    levels = 255 * made.pixels().astype(np.float64)
    near = np.abs(levels - np.rint(levels).clip(0, 255)) < LEVEL
    return bool(near.all())


def real_sample(dataset: Dataset, per_class: int, seed: int) -> np.ndarray:
    """Sorted rows of `per_class` test images of every class, fewer where there are not so many."""
    found = []
    for c in range(dataset.num_classes):
        members = np.flatnonzero(dataset.test_labels == c)
        found.append(rng.numpy_generator(seed, "pixels", c).permutation(members)[:per_class])
    return np.sort(np.concatenate(found))
