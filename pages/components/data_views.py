"""What the Data page shows: a loaded dataset, rows of its images, counts, means; and dataset choices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from ddcore.base import paths
from ddcore.base.errors import DDError
from ddcore.data.registry import OWN, datasets
from ddcore.data.spec import DatasetTask, DataSpec, dataset_task
from ddcore.tasks.store import Store, Task
from pages.components import links, shell

if TYPE_CHECKING:
    from ddcore.data.dataset import Dataset

PER_CLASS = 12
CLASSES_SHOWN = 20


@dataclass(frozen=True)
class Choice:
    """A dataset that can be distilled now."""

    id: str  # a registered name, or the key of a decoded set
    title: str
    spec: DataSpec
    shape: tuple[int, int, int]
    classes: int
    images: int | None = None  # that it has for training; None if that is not known


def choices(store: Store) -> dict[str, Choice]:
    """Registered sets whose files are here, then decoded sets that are the user's own or changed."""
    from ddcore.data.lookup import resolve

    found = {}
    for name, source in datasets().items():
        if source.available(paths.data_root()):
            found[name] = Choice(
                name,
                source.title,
                resolve(name),
                source.shape,
                len(source.classes),
                source.train_size,
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
    shape, images = tuple(facts["shape"]), sum(facts["counts"]["train"])
    return Choice(
        task.key, facts["label"], data_spec(spec), shape, len(facts["class_names"]), images
    )


def data_spec(task: DatasetTask) -> DataSpec:
    """The data of a decoding task with the usual split and scaling."""
    return DataSpec(**task.to_dict())


def how_to_get(name: str) -> str:
    """The sentence for a registered set that is not here."""
    source, root = datasets()[name], paths.data_root()
    if source.folders:
        return (
            f"{source.title} is not in `{root}`. Put a folder of pictures for each class into `{name}/train` "
            f"and `{name}/val` there, or start the dashboard with `DD_DATA` set to a folder that holds them."
        )
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


# --- views ----------------------------------------------------------------------------------------


def show(task: Task, spec: DataSpec) -> None:
    """Class rows, means, facts and counts of a decoded dataset."""
    data = load(task, spec)
    numbers = counts(data)
    pictures = st.container()
    shown = _classes_shown(data.num_classes)
    names = [data.class_names[i] for i in shown]
    draw = links.number(
        "Draw",
        "draw",
        low=0,
        high=999,
        value=0,
        width=160,
        help="0 shows the first images of each class; others are random draws.",
    )
    with pictures:
        _pictures(data, shown, names, draw)
    _facts(task.result(), data, numbers)
    with st.expander("Images per class", icon=":material/table_rows:", key="data.per_class"):
        rows = {"class": list(data.class_names), **numbers}
        st.dataframe(rows, hide_index=True, alt="Images per class in each part", key="data.counts")


def _facts(facts: dict, data: Dataset, numbers: dict[str, list[int]]) -> None:
    c, h, w = data.shape
    cells = {
        "Classes": f"{data.num_classes:,}",
        "Training images": f"{sum(numbers['training']):,}",
        "Validation images": f"{sum(numbers['validation']):,}",
        "Test images": f"{sum(numbers['test']):,}",
        "Size": f"{h} × {w}, {'grey' if c == 1 else 'colour'}",
    }
    for column, (label, value) in zip(st.columns(5), cells.items()):
        column.metric(label, value)
    scale = ", ".join(f"{m:.3f} ± {s:.3f}" for m, s in zip(facts["mean"], facts["std"]))
    published = facts["scale"] == "published"
    kind = "published values" if published else "computed from the training images"
    st.caption(
        f"Mean ± standard deviation per channel: {scale} ({kind}). Validation images are a tenth of the "
        "training pictures, kept aside to choose the best set; test images are only ever used to report."
    )


def _pictures(data: Dataset, shown: list[int], names: list[str], draw: int) -> None:
    """Class rows and, at the same scale so that rows meet, the mean of each class."""
    from pages.components import sheet

    room = 620 - sheet.gutter(names)
    scale = sheet.fit(data.shape[-1], PER_CLASS, room, 10)
    left, right = st.columns([7, 3], gap="medium")
    with left:
        st.markdown("**Real images**")
        sheet.show(
            class_rows(data, shown, PER_CLASS, draw),
            columns=PER_CLASS,
            left=names,
            scale=scale,
            key="data.rows",
            alt=f"{PER_CLASS} training images for each of the classes {', '.join(names)}",
        )
    with right:
        st.markdown("**Class means**")
        sheet.show(
            class_means(data, shown),
            columns=1,
            left=names,
            scale=scale,
            key="data.means",
            alt=f"The mean image of each of the classes {', '.join(names)}",
            caption="One image per class for free: a distilled set has to beat it.",
        )


def _classes_shown(count: int) -> list[int]:
    """All classes, or a page of them."""
    if count <= CLASSES_SHOWN:
        return list(range(count))
    pages = -(-count // CLASSES_SHOWN)
    page = st.pagination(pages, key="classes", bind="query-params")
    start = (int(page) - 1) * CLASSES_SHOWN
    return list(range(start, min(count, start + CLASSES_SHOWN)))


# --- numbers --------------------------------------------------------------------------------------


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
