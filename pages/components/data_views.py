"""What the Data page shows: a loaded dataset, rows of its images, counts, means; and dataset choices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from ddcore import paths
from ddcore.data.registry import OWN, datasets
from ddcore.data.spec import DatasetTask, DataSpec, dataset_task
from ddcore.errors import DDError
from ddcore.store import Store, Task
from pages.components import shell

if TYPE_CHECKING:
    from ddcore.data.dataset import Dataset


@dataclass(frozen=True)
class Choice:
    """A dataset that can be distilled now."""

    id: str  # a registered name, or the key of a decoded set
    title: str
    spec: DataSpec
    shape: tuple[int, int, int]
    classes: int


def choices(store: Store) -> dict[str, Choice]:
    """Registered sets whose files are here, then decoded sets that are the user's own or changed."""
    from ddcore.data.lookup import resolve

    found = {}
    for name, source in datasets().items():
        if source.available(paths.data_root()):
            found[name] = Choice(
                name, source.title, resolve(name), source.shape, len(source.classes)
            )
    known = {dataset_task(choice.spec).key for choice in found.values()}
    for task in store.tasks("dataset"):
        if task.key not in known and task.is_done() and (choice := _decoded(task)):
            found[task.key] = choice
    return found


def _decoded(task: Task) -> Choice | None:
    try:
        spec, facts = task.spec(), task.result()
    except DDError:
        return None
    if spec.name not in OWN and not (spec.grey or spec.resolution):
        return None  # the same registered set, read from other files than the present ones
    shape = tuple(facts["shape"])
    return Choice(task.key, facts["label"], data_spec(spec), shape, len(facts["class_names"]))


def data_spec(task: DatasetTask) -> DataSpec:
    """The data of a decoding task with the usual split and scaling."""
    return DataSpec(**task.to_dict())


def how_to_get(name: str) -> str:
    """The sentence for a registered set that is not here."""
    source, root = datasets()[name], paths.data_root()
    return (
        f"{source.title} is not in `{root}`. Download it with the button below (or "
        f"`python -m ddcore download {name}`), or start the dashboard with `DD_DATA` set to a folder "
        f"that already holds it, in torchvision's layout or as parquet files in `{name}/`."
    )


def load(task: Task, spec: DataSpec) -> Dataset:
    """The decoded dataset, kept in memory (the last three) and shared read-only by all visitors."""
    mtime = (task.folder / "done.json").stat().st_mtime_ns
    return _load(str(task.folder), mtime, spec.to_dict())


@st.cache_resource(max_entries=3, show_spinner="Reading the images ...")
def _load(folder: str, mtime: int, fields: dict) -> Dataset:
    from ddcore.data.dataset import load as load_dataset

    return load_dataset(shell.store(), DataSpec.from_dict(fields))


def class_rows(data: Dataset, classes: list[int], per_class: int, draw: int) -> np.ndarray:
    """`per_class` training images of each class as pixels (rows * columns, C, H, W), class-sorted.

    Draw 0 takes the first ones in file order. Classes that have fewer images repeat none: the row is
    filled with mid-grey.
    """
    generator = np.random.default_rng(draw)
    rows = []
    for c in classes:
        members = np.flatnonzero(data.train_labels == c)
        if draw:
            members = generator.permutation(members)
        images = data.train_images[members[:per_class]] / np.float32(255)
        missing = per_class - len(images)
        rows.append(np.pad(images, ((0, missing), *[(0, 0)] * 3), constant_values=0.5))
    return np.concatenate(rows)


def class_means(data: Dataset, classes: list[int]) -> np.ndarray:
    """The mean training image of each class as pixels (K, C, H, W)."""
    means = [data.train_images[data.train_labels == c].mean(0) / 255 for c in classes]
    return np.stack(means).astype(np.float32)


def counts(data: Dataset) -> dict[str, list[int]]:
    """Images per class of the three parts."""
    parts = {
        "training": data.train_labels,
        "validation": data.val_labels,
        "test": data.test_labels,
    }
    return {n: np.bincount(v, minlength=data.num_classes).tolist() for n, v in parts.items()}


def files_here(path: str) -> bool:
    """Whether a typed path is a folder (so that a dead path is said at once)."""
    return bool(path.strip()) and Path(path).expanduser().is_dir()
