"""Deleting with a way back: folders are moved aside, restored, and removed for good after a while.

    <root>/trash/<kind>/<key>/   the folder as it was, with the time it was deleted

What was computed about a run (its evaluations, nearest images) goes and comes back with it. Parts that
several share stay. Shipped folders cannot be deleted.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ddcore.base.errors import Damaged, DDError, NotReady, StoreUnusable
from ddcore.base.specs import content_key, task_class
from ddcore.tasks import jobs, notes
from ddcore.tasks.files import remove, write_json
from ddcore.tasks.records import read_json
from ddcore.tasks.store import KEY_PATTERN, Store
from ddcore.tasks.task import Task

FOLDER = "trash"
KEEP_DAYS = 30
OF_GRAPH, GRAPH = (
    "of_run",
    "graph_run",
)  # where what is measured of a graph holds its run, and its kind
THROWN = ".thrown.json"  # in the folder: when it was deleted


@dataclass(frozen=True)
class Thrown:
    """A folder in the trash, and when it was deleted (seconds since 1970)."""

    task: Task
    at: float

    @property
    def days_left(self) -> float:
        """Until it is removed for good."""
        return KEEP_DAYS - (time.time() - self.at) / 86400


def throw(store: Store, tasks: Iterable[Task]) -> list[Task]:
    """Move folders to the trash, with what was computed about them; those that were moved.

    `NotReady` before anything is moved if one is shipped or at work. What is past its time goes for good.
    """
    tasks = list(tasks)
    for task in tasks:
        if task.shipped:
            raise NotReady(f"{task.key} is part of the shipped gallery and cannot be deleted.")
        if (state := jobs.state(task)["state"]) in jobs.ACTIVE:
            raise NotReady(f"{task.kind} {task.key} is {state}: stop it before you delete it.")
    purge(store)
    return [each for each in _with_followers(store, tasks) if _move(store, each)]


def _with_followers(store: Store, tasks: list[Task]) -> list[Task]:
    """The tasks and after them the own, idle ones that are about one of them."""
    keys = {task.key for task in tasks}
    about = [
        t
        for t in store.tasks()
        if not t.shipped and t.key not in keys and subject(t) in keys and not jobs.is_alive(t)
    ]
    return [*tasks, *about]


def subject(task: Task) -> str:
    """The key of the run that a task is about; "" if it is about none or cannot be read."""
    try:
        spec = task.document()["spec"]
        if isinstance(run := spec.get(OF_GRAPH), dict):
            return content_key(GRAPH, task_class(GRAPH).VERSION, run)
    except (DDError, ValueError):  # what is no JSON has no key either
        return ""
    key = spec.get("run_key", "")
    return key if isinstance(key, str) else ""


def _move(store: Store, task: Task) -> bool:
    place = store.root / FOLDER / task.kind / task.key
    with jobs.held(task) as free:
        if not free:
            return False
        try:
            write_json(task.folder / THROWN, {"at": time.time()})
            place.parent.mkdir(parents=True, exist_ok=True)
            _remove(place)  # deleted before, made anew and deleted again: the newer one is kept
            os.replace(task.folder, place)
        except FileNotFoundError:  # somebody else was faster
            return False
        except OSError as error:
            raise StoreUnusable(task.folder, error) from error
    return True


def thrown(store: Store) -> list[Thrown]:
    """What is in the trash, last deleted first."""
    found = [Thrown(Task(folder), _when(folder)) for folder in _folders(store)]
    return sorted(found, key=lambda each: -each.at)


def _folders(store: Store) -> Iterator[Path]:
    for folder in (store.root / FOLDER).glob("*/*"):
        if KEY_PATTERN.fullmatch(folder.name) and folder.is_dir():
            yield folder


def _when(folder: Path) -> float:
    with contextlib.suppress(Damaged, OSError, KeyError, TypeError, ValueError):
        return float(read_json(folder / THROWN)["at"])
    with contextlib.suppress(OSError):
        return folder.stat().st_mtime
    return 0.0


def restore(store: Store, keys: Iterable[str]) -> list[Task]:
    """Put folders back, with what was deleted because of them; those that are back.

    `NotReady` if there is none with a key, or if it has been made again since.
    """
    back = []
    for key in keys:
        inside = [each.task for each in thrown(store)]
        named = [task for task in inside if task.key == key]
        if not named:
            raise NotReady(f"No task {key} is in the trash of {store.root}.")
        back += [_put_back(store, task) for task in named]
        for task in (t for t in inside if t.key != key and subject(t) == key):
            with contextlib.suppress(NotReady):  # made again since
                back.append(_put_back(store, task))
    return back


def _put_back(store: Store, thrown: Task) -> Task:
    own = Task(store.root / thrown.kind / thrown.key)
    with jobs.submitting(store):  # so that nobody queues it meanwhile
        if own.exists() or jobs.is_alive(own):
            raise NotReady(
                f"{own.kind} {own.key} has been asked for again since it was deleted: delete that one first."
            )
        try:
            _remove(own.folder)  # nothing but locks
            own.folder.parent.mkdir(parents=True, exist_ok=True)
            os.replace(thrown.folder, own.folder)
        except FileNotFoundError:
            raise NotReady(f"{own.kind} {own.key} is no longer in the trash.") from None
        except OSError as error:
            raise StoreUnusable(own.folder, error) from error
    (own.folder / THROWN).unlink(missing_ok=True)
    return own


def purge(store: Store, older_than_days: float = KEEP_DAYS) -> list[str]:
    """Remove for good what was deleted so long ago, with its notes; "kind/key" of each."""
    limit = time.time() - older_than_days * 86400
    gone = [each.task for each in thrown(store) if each.at <= limit]
    for task in gone:
        _remove(task.folder)
        if not any(store.folders(key=task.key)):
            notes.forget(store, task.key)
    return [f"{task.kind}/{task.key}" for task in gone]


def _remove(folder: Path) -> None:
    """Remove a folder at once for readers, then its files."""
    if not os.path.lexists(folder):
        return
    grave = folder.with_name(f".deleted-{folder.name}-{os.getpid()}-{time.monotonic_ns()}")
    with contextlib.suppress(FileNotFoundError):
        os.replace(folder, grave)
        remove(grave)
