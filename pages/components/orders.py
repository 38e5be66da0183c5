"""Orders of a set's images: by class, by how much is clipped, how near real ones are, what each is worth."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from analysis.single.nearest import NearestTask
from ddcore.base.texts import percent
from ddcore.tasks.store import Store, Task
from pages.components import runs
from pages.components.evolution import Evolution, outside_each

CLASS, CLIPPED, NEAREST, WORTH = "class", "clipped", "nearest", "worth"
TITLES = {
    CLASS: "By class",
    CLIPPED: "Most clipped first",
    NEAREST: "Nearest to a real image first",
    WORTH: "Worth most first",
}


def offered(movie: Evolution, store: Store) -> dict[str, str]:
    """Orders that make sense for a run: some need a finished set, or an analysis of it."""
    known = {CLASS, CLIPPED}
    if movie.made is not None:
        known.add(NEAREST)
        if influence_of(store, movie.task.key):
            known.add(WORTH)
    return {name: title for name, title in TITLES.items() if name in known}


def nearest_task(store: Store, run_key: str) -> Task:
    """The folder of a run's nearest real images, finished or not."""
    return store.task(NearestTask(run_key=run_key))


def influence_of(store: Store, run_key: str) -> Task | None:
    """A finished analysis that says what each image of a run is worth."""
    done = (t for t in store.tasks("influence") if t.is_done())
    return next((t for t in done if run_key in runs.spec_of(t).get("run_keys", ())), None)


def values(movie: Evolution, order: str, step: int, store: Store) -> np.ndarray | None:
    """(M,) what the images are ordered by; None for the order of classes and for what is not there yet."""
    if order == CLIPPED:
        return outside_each(movie.pixels(step))
    if order == NEAREST and (task := nearest_task(store, movie.task.key)).is_done():
        return _distances(str(task.folder), _written(task))
    if order == WORTH and (task := influence_of(store, movie.task.key)):
        return _worth(str(task.folder), _written(task), movie.task.key)
    return None


def text(order: str, value: float) -> str:
    """A value in few letters, for the line below an image."""
    if order == CLIPPED:
        return percent(value)
    return f"{value:+.3f}" if order == WORTH else f"{value:.2f}"


def words(order: str, value: float) -> str:
    """A value in words."""
    about = {
        CLIPPED: "of its values outside 0..1",
        NEAREST: "from the nearest training image",
        WORTH: "of the mean test loss when it is left out",
    }
    return f"{text(order, value)} {about[order]}"


def ranked(order: str, value: np.ndarray) -> np.ndarray:
    """The images, those first that the order is about; equal ones as they come."""
    return np.argsort(value if order == NEAREST else -value, kind="stable")


@functools.lru_cache(maxsize=32)
def _distances(folder: str, written: int) -> np.ndarray:
    return Task(Path(folder)).arrays()["distances"][:, 0]


@functools.lru_cache(maxsize=32)
def _worth(folder: str, written: int, run_key: str) -> np.ndarray:
    return Task(Path(folder)).arrays()[f"value.{run_key}"].mean(0)


def _written(task: Task) -> int:
    return (task.folder / "done.json").stat().st_mtime_ns
