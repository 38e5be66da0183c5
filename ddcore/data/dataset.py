"""`Dataset`: decoded arrays of a finished task, split and with their preprocessing."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ddcore.base import rng
from ddcore.base.errors import DataError
from ddcore.data.decode import channel_scale
from ddcore.data.preprocess import Preprocess
from ddcore.data.spec import IMAGENET, DataSpec, dataset_task, zca_task
from ddcore.data.splits import held_out, quota_by_fraction
from ddcore.tasks.store import Store

if TYPE_CHECKING:
    from ddcore.tasks.worker import Context


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images uint8 `(N, C, H, W)` and labels int64 `(N,)` in three parts, and how to preprocess them."""

    train_images: np.ndarray  # without the validation part
    train_labels: np.ndarray
    val_images: np.ndarray
    val_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...]
    mean: np.ndarray  # float32 (C,), on the [0, 1] scale
    std: np.ndarray
    label: str  # what to write beside figures, e.g. "CIFAR-10 (JPEG)"
    spec: DataSpec
    zca: dict[str, np.ndarray] | None = None  # mean (D,), matrix (D, D), inverse (D, D)

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return tuple(self.train_images.shape[1:])

    @functools.cached_property
    def preprocessing(self) -> Preprocess:
        """The map between pixels and what networks see."""
        zca = {f"zca_{name}": array for name, array in (self.zca or {}).items()}
        return Preprocess(self.mean, self.std, **zca)

    def preprocess(self, images: np.ndarray) -> np.ndarray:
        """uint8 images to preprocessed float32."""
        return self.preprocessing.forward(images)

    def pixels(self, images: np.ndarray) -> np.ndarray:
        """Preprocessed images to pixels: 0..1 for real ones, never clamped."""
        return self.preprocessing.inverse(images)


def validation_mask(
    labels: np.ndarray, classes: int, val_fraction: float, split_seed: int
) -> np.ndarray:
    """Which training pictures `(N,)` are kept for validation: a fixed share of every class."""
    quota = quota_by_fraction(labels, classes, val_fraction)
    return held_out(labels, quota, rng.numpy_generator(split_seed, "validation"))


def load(store: Store, spec: DataSpec) -> Dataset:
    """The dataset from its finished tasks; `NotReady` if one has not been computed."""
    task = store.task(dataset_task(spec))
    facts, arrays = task.result(), task.arrays()
    zca = store.task(zca_task(spec)).arrays() if spec.preprocess == "zca" else None
    images, labels = arrays["train_images"], arrays["train_labels"]
    names = tuple(facts["class_names"])
    held = validation_mask(labels, len(names), spec.val_fraction, spec.split_seed)
    test_images, test_labels = arrays["test_images"], arrays["test_labels"]
    mean, std = facts["mean"], facts["std"]
    if spec.classes:
        # Read class by class: what the others hold cannot change anything from here on.
        held, images, labels = _of_classes(labels, spec.classes, held, images)
        _, test_images, test_labels = _of_classes(test_labels, spec.classes, None, test_images)
        names = tuple(names[c] for c in spec.classes)
        mean, std = channel_scale(images)
    if spec.preprocess == "scale":
        mean = std = [0.5] * images.shape[1]
    elif spec.preprocess == "imagenet":
        mean, std = (c if images.shape[1] == 3 else [sum(c) / 3] for c in map(list, IMAGENET))
    return Dataset(
        train_images=images[~held],
        train_labels=labels[~held],
        val_images=images[held],
        val_labels=labels[held],
        test_images=test_images,
        test_labels=test_labels,
        class_names=names,
        mean=np.array(mean, dtype=np.float32),
        std=np.array(std, dtype=np.float32),
        label=facts["label"] + spec.part_title(),
        spec=spec,
        zca=zca,
    )


def some(store: Store, spec: DataSpec, places: Sequence[int]) -> Dataset:
    """The classes at these places among those of `spec`, preprocessed as all of them are.

    Unlike `load` with `classes`, where nothing of the others is known. Of images only theirs are read, unless
    the spec itself names classes. `DataError` for whitened data.
    """
    if spec.preprocess == "zca":
        raise DataError("Whitening knows no single classes: choose normalise.")
    numbers = spec.classes or range(len(store.task(dataset_task(spec)).result()["class_names"]))
    own = load(store, spec.replace(classes=tuple(numbers[p] for p in places)))
    if spec.preprocess != "normalise":
        return dataclasses.replace(own, spec=spec)
    if spec.classes:
        whole = load(store, spec)
        return dataclasses.replace(own, spec=spec, mean=whole.mean, std=whole.std)
    facts = store.task(dataset_task(spec)).result()
    mean, std = (np.array(facts[name], np.float32) for name in ("mean", "std"))
    return dataclasses.replace(own, spec=spec, mean=mean, std=std)


def _of_classes(
    labels: np.ndarray, classes: tuple[int, ...], held: np.ndarray | None, images: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mask, images and labels of some classes, whose labels are their places among these."""
    rows = np.flatnonzero(np.isin(labels, classes))
    mask = np.zeros(len(rows), bool) if held is None else held[rows]
    return mask, images[rows], np.searchsorted(classes, labels[rows]).astype(np.int64)


def images(store: Store, spec: DataSpec, part: str, rows: np.ndarray) -> np.ndarray:
    """uint8 (n, C, H, W) of some rows of `load(store, spec).<part>_images`; the others are not read.

    `part` is "train", "val" or "test"; `NotReady` if the dataset has not been computed.
    """
    if spec.classes:  # places among these classes are no rows of what is stored
        return getattr(load(store, spec), f"{part}_images")[rows]
    task = store.task(dataset_task(spec))
    if part == "test":
        return task.rows("test_images", rows)
    labels, classes = task.rows("train_labels"), len(task.result()["class_names"])
    held = validation_mask(labels, classes, spec.val_fraction, spec.split_seed)
    return task.rows("train_images", np.flatnonzero(held if part == "val" else ~held)[rows])


def ensure(context: Context, spec: DataSpec) -> Dataset:
    """Like `load`, inside a task: whatever is missing is computed first."""
    context.need(dataset_task(spec))
    if spec.preprocess == "zca":
        context.need(zca_task(spec))
    return load(context.store, spec)
