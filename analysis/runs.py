"""What an analysis is about: runs and opened sets that stand for the same data."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ddcore.base.errors import DDError, SpecError
from ddcore.data.registry import OWN, get
from ddcore.data.spec import DataSpec, dataset_task
from ddcore.distil.contract import methods
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import Shape
from ddcore.pools.real_spec import Counts
from ddcore.sets.distilled import KINDS
from ddcore.tasks.store import Store, Task

if TYPE_CHECKING:
    from ddcore.distil.contract import DistillSpec

ORDER = ("bptt", "dm", "dc", "mtt")  # of the paper's figures; other methods follow


@dataclass(frozen=True)
class Run:
    """A set in few words; `label` tells it from the others in a figure."""

    key: str
    method: str
    label: str
    ipc: int
    images: int


@dataclass(frozen=True)
class Chosen:
    """The runs of an analysis in the order of figures, and the data they all stand for.

    `nets` are the networks that the sets were made with, by the run's key.
    """

    runs: tuple[Run, ...]
    data: DataSpec
    class_names: tuple[str, ...]
    shape: Shape
    nets: dict[str, NetSpec] = field(default_factory=dict)

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    @property
    def sizes(self) -> list[int]:
        """Images per class of the sets, each number once, from the smallest on."""
        return sorted({run.ipc for run in self.runs})


def choose(store: Store, keys: Iterable[str]) -> Chosen:
    """The finished runs with these keys; `SpecError` names a key that is none, or data that differ."""
    tasks = [_finished(store, key) for key in keys]
    facts = [(t, t.document()["spec"], t.result()) for t in tasks]
    first, spec, result = facts[0]
    for task, other, found in facts[1:]:
        same = DataSpec.from_dict(other["data"]) == DataSpec.from_dict(spec["data"])
        if not same or found["set"]["class_names"] != result["set"]["class_names"]:
            theirs = f"{task.key} ({_data_text(other['data'])})"
            allowed = f"sets for the data of {first.key} ({_data_text(spec['data'])})"
            raise SpecError("run_keys", theirs, allowed)
    runs = _labelled([_facts(*fact) for fact in facts])
    nets = {task.key: NetSpec.from_dict(found["set"]["net"]) for task, _, found in facts}
    return Chosen(
        runs=runs,
        data=DataSpec.from_dict(spec["data"]),
        class_names=tuple(result["set"]["class_names"]),
        shape=tuple(result["shape"]),
        nets={run.key: nets[run.key] for run in runs},
    )


def planned(specs: Sequence[DistillSpec], shape: Shape) -> Chosen:
    """What `choose` will give for runs on a registered dataset, which need not be there yet."""
    data, names = specs[0].data, tuple(get(specs[0].data.name).classes)
    facts = [_described(s.key, s.to_dict(), s.method, len(names)) for s in specs]
    runs, nets = _labelled(facts), {s.key: s.net for s in specs}
    return Chosen(runs, data, names, shape, {run.key: nets[run.key] for run in runs})


def _finished(store: Store, key: str) -> Task:
    try:
        task = store.find(key)
    except DDError:
        task = None
    if task is None or task.kind not in KINDS or not task.is_done():
        raise SpecError("run_keys", key, "keys of finished runs or opened sets")
    return task


def _data_text(data: dict[str, Any]) -> str:
    spec = DataSpec.from_dict(data)
    notes = [f"{spec.resolution} px"] if spec.resolution else []
    notes += ["grey"] if spec.grey else []
    return ", ".join([spec.title(), *notes, spec.preprocess])


def _labelled(facts: list[tuple[tuple, Run, tuple[str, ...]]]) -> tuple[Run, ...]:
    """In the order of figures; where the method does not tell runs apart, what differs is added."""
    rows = sorted(facts, key=lambda row: row[0])
    labels = [run.label for _, run, _ in rows]
    for part in zip(*(details for *_, details in rows)):
        differ = {text: {p for p, own in zip(part, labels) if own == text} for text in labels}
        labels = [f"{t}, {p}" if len(differ[t]) > 1 else t for t, p in zip(labels, part)]
    return tuple(dataclasses.replace(run, label=text) for (_, run, _), text in zip(rows, labels))


def _facts(task: Task, spec: dict, result: dict) -> tuple[tuple, Run, tuple[str, ...]]:
    made, files = result["set"], result.get("files")
    return _described(task.key, spec, str(made["method"]), len(made["class_names"]), files)


def _described(
    key: str, spec: dict, name: str, classes: int, files: list[str] | None = None
) -> tuple[tuple, Run, tuple[str, ...]]:
    """Rank in figures, the run under its method's name, and what may tell it from others of that name."""
    known = methods().get(name)
    title = known.title if known else name.capitalize()
    if files:
        title = f"File {files[0]}"
    params = spec.get("params", {})
    variant = ", ".join(f"{params.get(v)} {v}" for v in (known.variants if known else ()))
    details = (variant, f"{spec['ipc']} per class", f"seed {spec.get('seed', 0)}", key[:6])
    rank = ORDER.index(name) if name in ORDER else len(ORDER)
    run = Run(key, name, title, spec["ipc"], spec["ipc"] * classes)
    return (rank, name, spec["ipc"], key), run, details


def counts(store: Store, data: DataSpec) -> Counts:
    """Training images (without the validation part) and test images, as far as they are known."""
    task = store.task(dataset_task(data))
    if task.is_done():
        found = task.result()["counts"]
        which = data.classes or range(len(found["train"]))
        train, test = (sum(found[part][c] for c in which) for part in ("train", "test"))
    elif data.name in OWN:
        train, test = 1000, 500
    else:
        source = get(data.name)
        train, test = source.train_size, source.test_size
    return Counts(round(train * (1 - data.val_fraction)), test)
