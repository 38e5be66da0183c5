"""What there is to look at: runs and their evaluations as small records, read from their folders."""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from analysis.runs import ORDER
from ddcore.base import paths
from ddcore.base.errors import DDError
from ddcore.base.specs import canonical_json
from ddcore.data.registry import datasets
from ddcore.distil.contract import DistillSpec, methods
from ddcore.sets.distilled import KINDS
from ddcore.tasks import jobs, notes, stamps, trash
from ddcore.tasks.store import Store, Task

PARTS = {"labels": " labels", "parametrization": ""}  # of a run; what follows the name
COMPARED = 10  # images per class of the sets that are compared most


@dataclass(frozen=True)
class Card:
    """A run in few words. `validation` is a share (None while it is not finished).

    `imported` names the layout of a set that was made elsewhere, `made_by` the method that its files or
    somebody named; "" for runs. Sets with the same `form` are for the very same images, each of `numbers`
    values (0 while it is not finished). `name` is what people call it, "" where nobody gave it a name.
    """

    key: str
    method: str  # registry name, for colours
    method_title: str
    dataset: str
    ipc: int
    seed: int
    variant: str  # such as "fixed setting"; "" for most methods
    shipped: bool
    started: float
    validation: float | None = None
    imported: str = ""
    made_by: str = ""
    parts: str = ""  # labels and parametrization where they are not the usual ones
    form: str = ""
    numbers: int = 0
    steps: tuple[int, ...] = ()  # at which images were kept, of a finished one
    name: str = ""

    @property
    def made(self) -> str:
        """Method, and variant; a file's name for a set made elsewhere."""
        return f"{self.method_title}, {self.variant}" if self.variant else self.method_title

    @property
    def title(self) -> str:
        """The name people gave it, else method on dataset."""
        return self.name or f"{self.made} on {self.dataset}"

    @property
    def facts(self) -> str:
        """Size and seed, or where it comes from; what it is first, where it has a name of its own."""
        origin = f"seed {self.seed}"
        if self.imported:
            origin = f"{self.made_by or 'method unknown'}, from a file ({self.imported})"
        made = f"{self.made} on {self.dataset}" if self.name else ""
        return ", ".join(filter(None, (made, f"{self.ipc} per class", self.parts, origin)))

    @property
    def line(self) -> str:
        """One line for lists."""
        score = "" if self.validation is None else f" · validation {100 * self.validation:.1f} %"
        origin = " · shipped" if self.shipped else ""
        return f"{self.title} · {self.facts}{score}{origin} · {self.key[:8]}"


def card(task: Task) -> Card:
    """The card of a run folder, finished or not, read anew."""
    return _named(_card(task), notes.read(paths.store_root(), task.key))


def _named(card: Card, note: notes.Note) -> Card:
    return dataclasses.replace(card, name=note.name) if note.name else card


def _card(task: Task) -> Card:
    spec = task.document()["spec"]
    if task.kind == "import":
        return _imported(task, spec)
    known = methods().get(spec["method"])
    names = known.variants if known else {}
    variant = ", ".join(f"{spec['params'].get(n)} {n}" for n in names)
    result = task.result() if task.is_done() else {}
    return Card(
        key=task.key,
        method=spec["method"],
        method_title=known.title if known else spec["method"],
        dataset=data_title(spec["data"]),
        ipc=spec["ipc"],
        seed=spec["seed"],
        variant=variant,
        shipped=task.shipped,
        started=(task.folder / "spec.json").stat().st_mtime,
        validation=(result.get("validation") or {}).get("mean"),
        parts=", ".join(f"{spec[n]}{word}" for n, word in PARTS.items() if unusual(spec, n)),
        form=canonical_json(spec["data"]),
        numbers=math.prod(result.get("shape", (0,))),
        steps=tuple(task.snapshot_steps()) if result else (),
    )


def unusual(spec: dict[str, Any], name: str) -> bool:
    """Whether a field of a stored run differs from its default."""
    default = DistillSpec.__dataclass_fields__[name].default
    return spec.get(name, default) != default


def _imported(task: Task, spec: dict[str, Any]) -> Card:
    from ddcore.sets.imported import names_of
    from ddcore.sets.importers import importer

    layout, names = importer(spec["format"]).title, names_of(task)
    return Card(
        key=task.key,
        method="",  # no method of ours made it
        method_title=f"File {names[0]}" if names else layout,
        dataset=data_title(spec["data"]),
        ipc=spec["ipc"],
        seed=0,
        variant="",
        shipped=task.shipped,
        started=(task.folder / "spec.json").stat().st_mtime,
        imported=layout,
        made_by=spec["method"],
    )


def readable(task: Task) -> Card | None:
    """The card, or None for a folder that is damaged or has just been deleted (for lists).

    That of a finished run is read once, until its folder changes.
    """
    done = stamps.finished(task)
    return _finished(task, done) if done else _readable(task)


def _readable(task: Task) -> Card | None:
    try:
        return _card(task)
    except (DDError, OSError, KeyError, TypeError):
        return None


@functools.lru_cache(maxsize=16_384)
def _finished(task: Task, _stamp: stamps.Stamp) -> Card | None:
    return _readable(task)


def data_title(data: dict[str, Any]) -> str:
    """What people call the dataset of a stored spec."""
    source = datasets().get(data["name"])
    text = source.title if source else data.get("path", "").rstrip("/").rpartition("/")[2]
    notes = [f"{data['resolution']} px"] if data.get("resolution") else []
    notes += ["grey"] if data.get("grey") else []
    if classes := [str(c) for c in data.get("classes", ())]:
        notes.append(f"class{'es' * (len(classes) > 1)} {', '.join(classes)}")
    return f"{text} ({', '.join(notes)})" if notes else text


def _sets(store: Store) -> Iterator[Task]:
    return (task for kind in KINDS for task in store.tasks(kind))


def finished(store: Store) -> list[Card]:
    """Finished runs and opened sets: own ones newest first, then the shipped ones in a fixed order."""
    return [c for _, c, _ in sealed(store)]


def sealed(store: Store) -> list[tuple[Task, Card, stamps.Stamp]]:
    """The same with their folders and the stamps under which more can be kept of them."""
    named = notes.every(store.root)
    found = [
        (t, _named(c, named.get(t.key, notes.NOTHING)), done)
        for t in _sets(store)
        if (done := stamps.finished(t)) and (c := _finished(t, done))
    ]
    return sorted(found, key=lambda tcd: (tcd[1].shipped, *_rank(tcd[1])))


def _rank(c: Card) -> tuple:
    return (c.dataset != "Digits", c.dataset, c.ipc, c.made, c.seed) if c.shipped else (-c.started,)


def recent(store: Store, limit: int = 12) -> list[tuple[Task, dict[str, Any]]]:
    """Runs and opened sets of every state with their state, newest first, shipped ones last."""
    cards = [(t, c) for t in _sets(store) if (c := readable(t))]
    newest = sorted(cards, key=lambda tc: (tc[1].shipped, -tc[1].started))[:limit]
    return [(t, jobs.state(t)) for t, _ in newest]


def count(store: Store) -> int:
    """How many runs and opened sets there are, in every state."""
    return sum(1 for _ in _sets(store))


def featured(store: Store) -> Card | None:
    """The run that the Start page shows: shipped, a film of the largest images there are, usable from any
    initialisation.

    Which dataset that is follows from what is there. Of several runs one of the paper's methods comes first,
    then one that shows its beginning; the most accurate method, but never the best of several seeds.
    """
    cards = [c for c in finished(store) if not c.imported]

    def rank(c: Card) -> tuple:
        return (
            not c.shipped,
            len(c.steps) < 2,
            c.parts != "",  # stored otherwise, networks may see more images than that
            "fixed" in c.variant,
            c.method not in ORDER,
            -c.numbers,
            abs(c.ipc - COMPARED),
            c.steps[:1] != (0,),
            c.seed,
            -(c.validation or 0.0),
            f"{c.made} on {c.dataset}",
        )

    return min(cards, key=rank, default=None)


def evaluations(store: Store, run_key: str) -> Iterator[Task]:
    """Evaluations of a run, in any state."""
    return (task for task in store.tasks("evaluate") if subject_of(task) == run_key)


def subject_of(task: Task) -> str:
    """The key of the run that a task is about; "" if it is about none or cannot be read."""
    return trash.subject(task)


def spec_of(task: Task) -> dict[str, Any]:
    """The fields of a task's spec; none for a folder that is damaged or has just been deleted (for lists)."""
    try:
        return task.document()["spec"]
    except DDError:
        return {}


def accuracies(evaluation: Task, arch: str = "") -> dict[str, dict[str, Any]]:
    """Rows of a finished evaluation by subject, for one architecture ("" for the first)."""
    return by_subject(evaluation.result()["rows"], arch)


def by_subject(rows: list[dict[str, Any]], arch: str = "") -> dict[str, dict[str, Any]]:
    """The rows of an evaluation's result for one architecture ("" for the first)."""
    arch = arch or rows[0]["arch"]
    return {row["subject"]: row for row in rows if row["arch"] == arch}


def labels_of(spec: dict[str, Any], images: int, classes: int) -> list[int]:
    """The class of each of a run's images: class order within each of the method's ordered steps."""
    steps = spec["params"].get("steps", 1) or 1
    per_class = images // (classes * steps)
    return [c for c in range(classes) for _ in range(per_class)] * steps


def ago(then: float) -> str:
    """ "3 min ago", "2 days ago"."""
    seconds = max(0.0, time.time() - then)
    for size, unit in ((86400, "day"), (3600, "h"), (60, "min")):
        if seconds >= size:
            count = int(seconds / size)
            return f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''} ago"
    return "just now"
