"""The table of all finished runs and opened sets: its rows, and what filters, sorts and groups them.

What is read of a folder is kept until the folder changes, so that a look at a store of hundreds of runs
of which nothing has changed reads nothing but file times. Nothing is drawn in here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ddcore.base import spread
from ddcore.base.errors import DDError
from ddcore.tasks import notes, stamps, trash
from ddcore.tasks.records import read_json
from ddcore.tasks.store import Store
from ddcore.tasks.task import DONE, Task
from pages.components import run_views, runs

FREE = ("random", "class_mean")  # sets that cost nothing
MOST_GROUPS = 40  # a setting with more values groups nothing
Figure = Mapping[str, Any]  # mean, std and n of test accuracies, as stored


@dataclass(frozen=True)
class Measured:
    """An evaluation in the run's own network: stored figures by subject, under a protocol."""

    protocol: Mapping[str, Any]
    figures: Mapping[str, Figure]

    @property
    def nets(self) -> int:
        """How many networks were trained on the set."""
        return self.figures["distilled"]["n"]


@dataclass(frozen=True)
class Facts:
    """What a finished folder says of itself; `settings` are the stored ones by their dotted names."""

    seconds: float | None  # of distilling; None for a set made elsewhere
    device: str
    finished: float
    bytes: int  # of the set's file
    protocol: Mapping[str, Any]
    settings: Mapping[str, str]
    words: str  # what a search looks in, in small letters


@dataclass(frozen=True)
class Row:
    """A run as the table shows it."""

    task: Task
    card: runs.Card
    note: notes.Note
    facts: Facts
    measured: Measured | None

    @property
    def key(self) -> str:
        """The run's key."""
        return self.card.key

    def figure(self, subject: str) -> Figure | None:
        """The test accuracy with the set ("distilled") or one of `FREE`; None if it was not measured."""
        return self.measured.figures.get(subject) if self.measured else None

    def mean(self, subject: str) -> float | None:
        """The mean of `figure`, as a share."""
        figure = self.figure(subject)
        return figure["mean"] if figure else None

    @property
    def gain(self) -> float | None:
        """By how much it beats random real images, as a share; None if either was not measured."""
        own, random = self.mean("distilled"), self.mean("random")
        return None if own is None or random is None else own - random

    @property
    def words(self) -> str:
        """Everything that a search looks in."""
        return "\n".join(
            (self.facts.words, self.note.name, self.note.text, *self.note.tags)
        ).lower()


# --- reading --------------------------------------------------------------------------------------


def rows(store: Store) -> list[Row]:
    """All finished runs and opened sets, own ones newest first, then shipped ones."""
    written, measured = notes.every(store.root), measurements(store)
    found = []
    for task, card, done in runs.sealed(store):
        if facts := _facts(task, done):
            best = _best(measured.get(task.key, ()), facts.protocol)
            note = written.get(task.key, notes.NOTHING)
            found.append(Row(task, card, note, facts, best))
    return found


def measurements(store: Store) -> dict[str, list[Measured]]:
    """Finished evaluations by the key of the run they are about."""
    found: dict[str, list[Measured]] = {}
    for task in store.tasks("evaluate"):
        if (done := stamps.finished(task)) and (known := _measured(task, done)):
            run, measured = known
            found.setdefault(run, []).append(measured)
    return found


def _best(found: Sequence[Measured], protocol: Mapping[str, Any]) -> Measured | None:
    """The evaluation under the run's own protocol, of several the one with most networks."""
    return max(found, key=lambda m: (m.protocol == protocol, m.nets), default=None)


@functools.lru_cache(maxsize=16_384)
def _measured(task: Task, _stamp: stamps.Stamp) -> tuple[str, Measured] | None:
    try:
        result = task.result()
        figures = runs.by_subject(result["rows"])
        if "distilled" not in figures:
            return None
        kept = {
            subject: {name: row[name] for name in ("mean", "std", "n")}
            for subject, row in figures.items()
            if subject in ("distilled", *FREE)
        }
        return trash.subject(task), Measured(result["protocol"], kept)
    except (DDError, OSError, KeyError, IndexError, TypeError):
        return None


@functools.lru_cache(maxsize=16_384)
def _facts(task: Task, _stamp: stamps.Stamp) -> Facts | None:
    try:
        spec, result = task.document()["spec"], task.result()
        card = runs.readable(task)
        settings = {n: v for n, v in run_views.flat(spec) if n not in run_views.HIDDEN}
        manifest = read_json(task.folder / DONE)
        words = (card.made, card.dataset, card.facts, *(f"{n}={v}" for n, v in settings.items()))
        return Facts(
            seconds=None if card.imported else result["seconds"],
            device=result["device"],
            finished=float(manifest["finished"]),
            bytes=manifest["files"]["set.safetensors"]["size"],
            protocol=spec["protocol"],
            settings=settings,
            words="\n".join((*words, task.key)).lower(),
        )
    except (DDError, OSError, KeyError, TypeError, ValueError, AttributeError):
        return None


# --- filtering ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wanted:
    """What a visitor looks for; empty parts ask for nothing."""

    text: str = ""
    methods: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    ipc: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    starred: bool = False

    def matches(self, row: Row) -> bool:
        """All words of the text, one of the chosen values of each kind, all of the chosen tags."""
        words = row.words if self.text else ""
        return (
            (not self.starred or row.note.starred)
            and (not self.methods or method(row) in self.methods)
            and (not self.data or row.card.dataset in self.data)
            and (not self.ipc or str(row.card.ipc) in self.ipc)
            and set(self.tags) <= set(row.note.tags)
            and all(word in words for word in self.text.lower().split())
        )


def method(row: Row) -> str:
    """What the method filter goes by: ours by title, else what the file or somebody named."""
    card = row.card
    return card.method_title if not card.imported else card.made_by or "unknown"


def values(found: Iterable[Row], of: Callable[[Row], Iterable[str]]) -> dict[str, int]:
    """The values there are of something, with how many rows have each, in their order."""
    counts: dict[str, int] = {}
    for row in found:
        for value in of(row):
            counts[value] = counts.get(value, 0) + 1
    return dict(sorted(counts.items(), key=lambda vc: _natural(vc[0])))


def _natural(text: str) -> tuple:
    """Numbers by size, before texts by letters."""
    try:
        return 0, float(text), ""
    except ValueError:
        return 1, 0.0, text.lower()


# --- sorting --------------------------------------------------------------------------------------

# How to sort: words, the value (None goes last), whether the largest comes first.
ORDERS: dict[str, tuple[str, Callable[[Row], Any], bool]] = {
    "newest": ("newest first", lambda r: (not r.card.shipped, r.facts.finished), True),
    "accuracy": ("test accuracy", lambda r: r.mean("distilled"), True),
    "gain": ("points over random", lambda r: r.gain, True),
    "name": ("name", lambda r: (r.card.title.lower(), r.card.ipc, r.card.seed), False),
    "method": ("method", lambda r: (r.card.made.lower(), r.card.dataset, r.card.ipc), False),
    "data": ("data and size", lambda r: (r.card.dataset, r.card.ipc, r.card.made), False),
    "cost": ("cheapest first", lambda r: r.facts.seconds, False),
    "starred": ("starred first", lambda r: (r.note.starred, r.facts.finished), True),
}


def ordered(found: Iterable[Row], by: str) -> list[Row]:
    """The rows in one of `ORDERS`; equal ones stay as they were."""
    _, value, largest = ORDERS[by]
    known, unknown = [], []
    for row in found:
        (unknown if value(row) is None else known).append(row)
    return [*sorted(known, key=value, reverse=largest), *unknown]


# --- grouping -------------------------------------------------------------------------------------

FIRST = ("method", "data.name", "ipc", "seed", "protocol.name")  # offered first


@dataclass(frozen=True)
class Group:
    """Rows that share a value of a setting; the accuracies are means of runs, as shares."""

    value: str
    rows: tuple[Row, ...]

    @property
    def accuracies(self) -> list[float]:
        """Of those that were measured."""
        return [mean for row in self.rows if (mean := row.mean("distilled")) is not None]

    @property
    def over_runs(self) -> Figure | None:
        """Mean, spread and number of the runs' accuracies."""
        return spread.summary(self.accuracies) if self.accuracies else None


def groupable(found: Sequence[Row]) -> list[str]:
    """Settings in which the rows differ, but not in all of them."""
    seen: dict[str, set[str]] = {}
    for row in found:
        for name, value in row.facts.settings.items():
            seen.setdefault(name, set()).add(value)
    absent = {n for n in seen if any(n not in row.facts.settings for row in found)}
    differ = [n for n, v in seen.items() if 1 < len(v) + (n in absent) <= MOST_GROUPS]
    return sorted(differ, key=lambda n: (FIRST.index(n) if n in FIRST else len(FIRST), n))


def setting(row: Row, name: str) -> str:
    """The value of a setting in words; a dash where the run has no such setting."""
    if name == "method":
        return method(row)
    if name == "data.name":
        return row.card.dataset
    return row.facts.settings.get(name, "–")


def groups(found: Iterable[Row], name: str) -> list[Group]:
    """The rows by their value of a setting."""
    parts: dict[str, list[Row]] = {}
    for row in found:
        parts.setdefault(setting(row, name), []).append(row)
    return [Group(value, tuple(parts[value])) for value in sorted(parts, key=_natural)]
