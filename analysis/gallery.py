"""The analyses that are shipped: of four methods on digits, ten images per class, the race with KIP, the uses
of `analysis.uses.shipped`, and what recipes have made so far.

Made by `python -m analysis gallery` after the runs (`python -m ddcore gallery`). Pools of networks are not
shipped, nor real images: results keep the rows of those only.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from analysis import analyses, thumbnail
from analysis.runs import choose
from analysis.settings import make_spec
from analysis.single.race import RaceTask
from analysis.task import packed, without_sets
from analysis.uses import shipped
from ddcore.base import paths
from ddcore.base.errors import SpecError
from ddcore.base.specs import TaskSpec
from ddcore.data import resolve
from ddcore.distil.contract import DistillSpec
from ddcore.recipes import gallery, recipes, table
from ddcore.tasks import jobs
from ddcore.tasks.files import write_arrays
from ddcore.tasks.store import Store, Task

ARRAYS = "arrays.safetensors"
METHODS = ("bptt", "dm", "dc", "mtt")  # the four families of Yang et al. 2024
IPC = 10
PRESETS = ("quick",)


def runs() -> list[DistillSpec]:
    """The shipped runs that are analysed."""
    return [r for r in gallery.runs() if r.method in METHODS and r.ipc == IPC]


def tasks(store: Store, only: Collection[str] = ()) -> list[TaskSpec]:
    """Every analysis of these runs under each shipped preset, race and uses, or those of `only`.

    For analyses the runs must be there; those that are about other data are a recipe's.
    """
    about = [of for of in analyses().values() if not only or of.spec.KIND in only]
    others: list[TaskSpec] = [RaceTask(data=resolve("digits")), *shipped.tasks()]
    found = [spec for spec in others if not only or spec.KIND in only]
    if about:
        chosen = choose(store, tuple(run.key for run in runs()))
        about = [of for of in about if not of.lacking(chosen.data)]
        found += [make_spec(of, chosen, preset) for preset in PRESETS for of in about]
    return found


def build(
    wait: Callable[[Store, Task], Task],
    target: Path = paths.GALLERY,
    only: Collection[str] = (),
    missing: bool = False,
) -> list[str]:
    """Compute what is missing in the user's store and copy it to `target`; returns the keys.

    `only` names analyses that are made anew, the others stay as they are; `SpecError` names one that is not
    shipped. With `missing` what `target` has stays as it is, too.
    """
    kinds = shipped_kinds()
    for name in only:
        if name not in kinds:
            raise SpecError("only", name, "one of " + ", ".join(kinds))
    if missing:
        return _build_missing(wait, target, only)
    store = Store(gallery=None)  # what is shipped already is made again
    wanted = tasks(store, only)
    found = [wait(store, jobs.submit(store, [spec])[0]) for spec in wanted]
    kept = {task.key for task in of_recipes(Store(target, gallery=None))}
    for kind in {spec.KIND for spec in wanted}:  # last, so that a stopped one leaves all as it was
        for folder in (target / kind).glob("*"):
            if folder.name not in kept:
                shutil.rmtree(folder)
    for task in found:
        _ship(task, target)
    return [*(task.key for task in found), *build_recipes(target)]


def _build_missing(
    wait: Callable[[Store, Task], Task], target: Path, only: Collection[str]
) -> list[str]:
    """Ship each as soon as it is there, so that a long series can be stopped and gone on with."""
    store, there = Store(gallery=target), Store(target, gallery=None)
    wanted = [spec for spec in tasks(store, only) if not there.task(spec).is_done()]
    for spec in wanted:
        _ship(wait(store, jobs.submit(store, [spec])[0]), target)
    return [spec.key for spec in wanted]


def build_recipes(target: Path = paths.GALLERY) -> list[str]:
    """Copy the analyses that recipes have made in the user's store, and `target` lacks, computing nothing."""
    there = Store(target, gallery=None)
    found = [
        task for task in of_recipes(Store(gallery=target)) if not there.task(task.spec()).is_done()
    ]
    for task in found:
        _ship(task, target)
    return [task.key for task in found]


def _ship(task: Task, target: Path) -> None:
    """Copy a folder without copies of shipped sets, large tables in 8 bits, and draw its small picture.

    No real images are in it.
    """
    gallery.ship(task, target)
    store = Store(target, gallery=None)
    copied = store.find(task.key)
    if (copied.folder / ARRAYS).exists():
        write_arrays(copied.folder / ARRAYS, packed(without_sets(store, task.arrays())))
        copied.finish()
    if task.kind not in (RaceTask.KIND, *shipped.KINDS):
        thumbnail.of_task(store, copied)


def of_recipes(store: Store) -> list[Task]:
    """The finished analyses of a recipe's sets, all of them together, under any preset."""
    runs = table.finished(store, "distill")
    found: dict[str, Task] = {}
    for each in recipes().values():
        own = [runs.get(table.without_files(row.run().to_dict())) for row in each.rows]
        if own and all(own):
            keys = {run.key for run in own if run}
            found |= {task.key: task for task in _analyses(store) if _asked(task) == keys}
    return list(found.values())


def _analyses(store: Store) -> Iterator[Task]:
    return (task for kind in shipped_kinds() for task in store.tasks(kind) if task.opens())


def _asked(task: Task) -> set[str]:
    """Keys of the runs that an analysis is about, in whatever order they were named."""
    return set(task.document()["spec"].get("run_keys", ()))


def shipped_kinds() -> list[str]:
    """Kinds of tasks that analyses are."""
    return sorted({RaceTask.KIND, *shipped.KINDS, *(of.spec.KIND for of in analyses().values())})
