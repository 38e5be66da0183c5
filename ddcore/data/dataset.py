"""`Dataset`: decoded arrays of a finished task, split and with their preprocessing."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ddcore.base import rng
from ddcore.data.preprocess import Preprocess
from ddcore.data.spec import DataSpec, dataset_task, zca_task
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
    return Dataset(
        train_images=images[~held],
        train_labels=labels[~held],
        val_images=images[held],
        val_labels=labels[held],
        test_images=arrays["test_images"],
        test_labels=arrays["test_labels"],
        class_names=names,
        mean=np.array(facts["mean"], dtype=np.float32),
        std=np.array(facts["std"], dtype=np.float32),
        label=facts["label"],
        spec=spec,
        zca=zca,
    )


def ensure(context: Context, spec: DataSpec) -> Dataset:
    """Like `load`, inside a task: whatever is missing is computed first."""
    context.need(dataset_task(spec))
    if spec.preprocess == "zca":
        context.need(zca_task(spec))
    return load(context.store, spec)
