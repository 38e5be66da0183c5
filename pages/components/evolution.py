"""The images of a run over its iterations: snapshots while it goes on, the exact kept set afterwards."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st

from ddcore.sets import benchmarks
from ddcore.sets.artefact import HALF_STEP
from ddcore.sets.distilled import DistilledSet
from ddcore.sets.formats import BENCHMARKS, FORMATS, Format
from ddcore.tasks.store import Task
from pages.components import run_views, runs

FILM = 8  # pictures of a filmstrip


@dataclass(frozen=True, eq=False)
class Evolution:
    """What there is to see of a run. Images are in the order of the set, `rows` puts them by class."""

    task: Task
    steps: tuple[int, ...]  # iterations with images, ascending
    kept: int | None  # the iteration of the finished set; None while there is none
    made: DistilledSet | None
    labels: np.ndarray  # (M,)
    names: tuple[str, ...]

    @property
    def rows(self) -> np.ndarray:
        """(K, ipc) image indices by class and slot."""
        return np.argsort(self.labels, kind="stable").reshape(len(self.names), -1)

    @property
    def newest(self) -> int:
        """The iteration shown first: the kept one, else the newest."""
        return self.steps[-1] if self.kept is None else self.kept

    def pixels(self, step: int) -> np.ndarray:
        """(M, C, H, W) float32, never clamped; exact at the kept iteration, rounded elsewhere."""
        if step == self.kept:
            return self.made.pixels()
        return self.task.snapshot(step)["pixels"].astype(np.float32)

    def label(self, step: int) -> str:
        """A step in words."""
        return f"{step:,} (kept)" if step == self.kept else f"{step:,}"


def of(task: Task) -> Evolution | None:
    """The evolution of a run folder in any state; None if there is no image yet."""
    steps = task.snapshot_steps()
    if task.is_done():
        made, kept = made_by(task), task.result()["best_step"]
        every = tuple(sorted({*steps, kept}))
        return Evolution(task, every, kept, made, classes_of(made), made.class_names)
    if not steps:
        return None
    names = run_views.class_names(task)
    count = len(task.snapshot(steps[0])["pixels"])
    labels = np.array(runs.labels_of(task.document()["spec"], count, len(names)))
    return Evolution(task, tuple(steps), None, None, labels, names)


def classes_of(made: DistilledSet) -> np.ndarray:
    """(M,) the class each image stands for: its label, or its place where soft labels favour others."""
    hard, classes = made.hard_labels, made.num_classes
    counts = np.bincount(hard, minlength=classes)
    if counts.min() == counts.max():
        return hard
    per_step = np.repeat(np.arange(classes), len(hard) // (classes * made.steps))
    return np.tile(per_step, made.steps)


def made_by(task: Task) -> DistilledSet:
    """The set of a finished run, kept in memory and shared read-only by all visitors."""
    return _made(str(task.folder), _written(task))


@st.cache_resource(max_entries=8, show_spinner=False)
def _made(folder: str, mtime: int) -> DistilledSet:
    return DistilledSet.from_task(Task(Path(folder)))


def export(task: Task, format: str) -> bytes:
    """The set as a file for download; made when it is asked for, the last ones are kept."""
    return _export(str(task.folder), _written(task), format)


@functools.lru_cache(maxsize=8)
def _export(folder: str, mtime: int, format: str) -> bytes:
    from ddcore.sets import exports

    return exports.export_bytes(DistilledSet.from_task(Task(Path(folder))), format)[0]


def formats(made: DistilledSet) -> dict[str, Format]:
    """In what a set can be taken along; as files of other people's benchmarks where it can take part."""
    taking = {n: f for n, f in BENCHMARKS.items() if not benchmarks.refusal(made, n)}
    return FORMATS | taking


def file_name(made: DistilledSet, format: str) -> str:
    """The name `ddcore.sets.exports.export_bytes` gives the file."""
    from ddcore.sets import exports
    from ddcore.sets.formats import FOLDERS

    stem = exports.file_stem(made)
    return f"{stem}-{format}.zip" if format in FOLDERS else f"{stem}.{format}"


def _written(task: Task) -> int:
    return (task.folder / "done.json").stat().st_mtime_ns


# --- small numbers ----------------------------------------------------------------------------------


def film(steps: tuple[int, ...], count: int = FILM) -> list[int]:
    """At most `count` of the steps, evenly spread over them, the first and the last included."""
    places = np.unique(np.linspace(0, len(steps) - 1, min(count, len(steps))).round().astype(int))
    return [steps[i] for i in places]


def outside(pixels: np.ndarray) -> float:
    """Share of the values that no display can show: outside 0..1 by more than half a grey level."""
    return float(_beyond(pixels).mean())


def outside_each(pixels: np.ndarray) -> np.ndarray:
    """(M,) the same for each image of (M, C, H, W)."""
    return _beyond(pixels).reshape(len(pixels), -1).mean(1)


def _beyond(pixels: np.ndarray) -> np.ndarray:
    return (pixels < -HALF_STEP) | (pixels > 1 + HALF_STEP)


def following(steps: tuple[int, ...], step: int) -> int | None:
    """The next step, None after the last."""
    later = [s for s in steps if s > step]
    return later[0] if later else None


def dataset_id(name: str, title: str) -> str:
    """A registered name, or one made of the title of the user's own set."""
    from ddcore.data.registry import OWN
    from ddcore.sets.card import slug

    return slug(title) or name if name in OWN else name


def image_id(dataset: str, label: int, slot: int) -> str:
    """The stable name of an image in links."""
    return f"{dataset}-{label}-{slot:02d}"


def parse_image_id(text: str, dataset: str, classes: int, ipc: int) -> tuple[int, int] | None:
    """(class, slot) of an id from a link; None if it is not one of this set."""
    name, *numbers = text[:200].rsplit("-", 2)
    if (
        name != dataset
        or len(numbers) != 2
        or not all(n.isascii() and n.isdigit() for n in numbers)
    ):
        return None
    label, slot = map(int, numbers)
    return (label, slot) if label < classes and slot < ipc else None
