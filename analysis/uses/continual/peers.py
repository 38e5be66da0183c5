"""Finished tasks of continual learning that belong into one figure: same data, steps, orders and networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.uses.continual.result import Learned, read
from analysis.uses.continual.spec import ContinualTask
from ddcore.base.errors import DDError
from ddcore.tasks.store import Store, Task


@dataclass(frozen=True)
class Setting:
    """What tasks in one figure have in common."""

    key: str
    title: str
    short: str
    steps: int
    tasks: tuple[Learned, ...]

    def whole(self, parts: Learned, everything: Sequence[Setting]) -> Learned | None:
        """The same source made of all classes at once, if it has been computed."""
        wanted = parts.spec.replace(steps=1)
        tasks = (each for setting in everything for each in setting.tasks)
        return next((each for each in tasks if each.spec == wanted), None)

    def costs(self, everything: Sequence[Setting]) -> list[tuple[Learned, Learned]]:
        """Distilled memories beside the same distilled from all classes at once."""
        pairs = [(each, self.whole(each, everything)) for each in self.tasks if each.spec.distill]
        return [(each, whole) for each, whole in pairs if whole is not None]


def key_of(spec: ContinualTask) -> str:
    """The same for tasks that belong together, and short enough for a link."""
    common = ContinualTask(
        strategy="joint",
        data=spec.data,
        steps=spec.steps,
        orders=spec.orders,
        net=spec.net,
        nets=spec.nets,
        seed=spec.seed,
    )
    return common.key


def title_of(spec: ContinualTask) -> str:
    """ "Digits in 5 steps, ConvNet-2 w16, 5 orders with 3 networks each"."""
    networks = "one network" if spec.nets == 1 else f"{spec.nets} networks"
    each = f"{len(spec.orders)} orders with {networks} each"
    return f"{short_title(spec)}, {each}"


def short_title(spec: ContinualTask) -> str:
    """ "Digits in 5 steps, ConvNet-2 w16"."""
    return f"{spec.data.title()} in {spec.steps} steps, {spec.net.label()}"


def settings(store: Store) -> list[Setting]:
    """All that there are, those with the most tasks first."""
    found: dict[str, list[Learned]] = {}
    for task in store.tasks(ContinualTask.KIND):
        if task.is_done() and (learned := _read(task)):
            found.setdefault(key_of(learned.spec), []).append(learned)
    made = [
        Setting(
            key=key,
            title=title_of(tasks[0].spec),
            short=short_title(tasks[0].spec),
            steps=tasks[0].spec.steps,
            tasks=tuple(tasks),
        )
        for key, tasks in found.items()
    ]
    return sorted(made, key=lambda each: (-len(each.tasks), each.title))


def of_task(store: Store, task: Task) -> tuple[Setting, list[Setting]]:
    """The setting of a finished task, and all there are."""
    everything = settings(store)
    key = key_of(task.spec_as(ContinualTask))
    return next(each for each in everything if each.key == key), everything


def sized(setting: Setting, ipc: int) -> list[Learned]:
    """Those that keep so many images of each class, with the floor and the ceiling."""
    return [t for t in setting.tasks if t.spec.source == "none" or t.spec.ipc == ipc]


def sizes(setting: Setting) -> list[int]:
    """Images per class that memories hold."""
    return sorted({t.spec.ipc for t in setting.tasks if t.spec.source != "none"})


def usual_size(setting: Setting) -> int:
    """The one with the most memories."""
    return max(sizes(setting), key=lambda ipc: (len(sized(setting, ipc)), -ipc), default=1)


def _read(task: Task) -> Learned | None:
    try:
        return read(task)
    except DDError:  # of another version, or damaged: what it is stands on the page Jobs
        return None
