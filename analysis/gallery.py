"""The analyses that are shipped: of four methods on digits, ten images per class, and the race with KIP.

Made by `python -m analysis gallery` after the runs (`python -m ddcore gallery`). Pools of networks are not
shipped, nor real images: results keep the rows of those only.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from pathlib import Path

from analysis import analyses
from analysis.runs import choose
from analysis.settings import make_spec
from analysis.single.race import RaceTask
from ddcore.base import paths
from ddcore.base.errors import SpecError
from ddcore.base.specs import TaskSpec
from ddcore.data import resolve
from ddcore.distil.contract import DistillSpec
from ddcore.recipes import gallery
from ddcore.tasks import jobs
from ddcore.tasks.store import Store, Task

METHODS = ("bptt", "dm", "dc", "mtt")  # the four families of Yang et al. 2024
IPC = 10
PRESETS = ("quick",)


def runs() -> list[DistillSpec]:
    """The shipped runs that are analysed."""
    return [r for r in gallery.runs() if r.method in METHODS and r.ipc == IPC]


def tasks(store: Store) -> list[TaskSpec]:
    """Every analysis of these runs under each shipped preset, and the race; the runs must be there."""
    chosen = choose(store, tuple(run.key for run in runs()))
    found: list[TaskSpec] = [RaceTask(data=resolve("digits"))]
    for preset in PRESETS:
        found += [make_spec(of, chosen, preset) for of in analyses().values()]
    return found


def build(
    wait: Callable[[Store, Task], Task], target: Path = paths.GALLERY, only: Collection[str] = ()
) -> list[str]:
    """Compute what is missing in the user's store and copy it to `target`; returns the keys.

    `only` names analyses that are made anew, the others stay as they are; `SpecError` names one that is not
    shipped.
    """
    kinds = sorted({RaceTask.KIND, *(of.spec.KIND for of in analyses().values())})
    for name in only:
        if name not in kinds:
            raise SpecError("only", name, "one of " + ", ".join(kinds))
    store = Store(gallery=None)  # what is shipped already is made again
    wanted = [spec for spec in tasks(store) if not only or spec.KIND in only]
    found = [wait(store, jobs.submit(store, [spec])[0]) for spec in wanted]
    for kind in {spec.KIND for spec in wanted}:  # last, so that a stopped one leaves all as it was
        shutil.rmtree(target / kind, ignore_errors=True)
    for task in found:
        gallery.ship(task, target)
    return [task.key for task in found]
