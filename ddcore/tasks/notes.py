"""What people write about a task: a name, a text, tags, a star. Part of no key and of no result.

    <root>/notes/<key>.json   one small file per task, beside the folders, also for shipped tasks

A file that cannot be read is no note: lists never fail on it. Changes read and write under one lock, so
that two dashboards that change different things of one task both keep theirs.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ddcore.base.errors import Damaged, NotReady, SpecError
from ddcore.tasks import locks
from ddcore.tasks.files import write_json
from ddcore.tasks.records import read_json
from ddcore.tasks.store import KEY_PATTERN, Store

FOLDER = "notes"
MOST_NAME, MOST_TEXT, MOST_TAG, MOST_TAGS = 80, 2000, 30, 12
LOCK_LIMIT_S = 10.0


@dataclass(frozen=True)
class Note:
    """What is written about one task; tags are sorted."""

    name: str = ""
    text: str = ""
    tags: tuple[str, ...] = ()
    starred: bool = False


NOTHING = Note()


def read(root: Path, key: str) -> Note:
    """The note of a task in the store at `root`; an empty one if there is none."""
    path = root / FOLDER / f"{key}.json"
    try:
        facts = path.stat()
    except OSError:
        return NOTHING
    return _read(path, (facts.st_mtime_ns, facts.st_size))


def every(root: Path) -> dict[str, Note]:
    """All notes by key."""
    found = {}
    try:
        with os.scandir(root / FOLDER) as entries:
            for entry in entries:
                key = entry.name.removesuffix(".json")
                if KEY_PATTERN.fullmatch(key) and (note := read(root, key)) != NOTHING:
                    found[key] = note
    except OSError:
        pass
    return found


def change(
    store: Store,
    key: str,
    *,
    name: str | None = None,
    text: str | None = None,
    starred: bool | None = None,
    add: Iterable[str] = (),
    drop: Iterable[str] = (),
) -> Note:
    """Change what is given and leave the rest as somebody else may just have written it.

    `add` and `drop` are tags. `SpecError` says which value is not allowed, `NotReady` that there is no
    task with this key.
    """
    store.find(key)
    given: dict[str, Any] = {}
    if name is not None:
        given["name"] = _line("name", name, MOST_NAME)
    if text is not None:
        given["text"] = _text(text)
    if starred is not None:
        given["starred"] = bool(starred)
    add, drop = {tag(t) for t in add}, set(drop)
    with locks.holding(store.root / "slots" / "notes.lock", LOCK_LIMIT_S) as free:
        if not free:
            raise NotReady("Others have been writing notes for long: try again in a moment.")
        old = read(store.root, key)
        tags = tuple(sorted({*old.tags, *add} - drop))
        if len(tags) > MOST_TAGS:
            raise SpecError("tags", f"{len(tags)} tags", f"at most {MOST_TAGS} for each run")
        new = dataclasses.replace(old, **given, tags=tags)
        if new == NOTHING:
            forget(store, key)
        elif new != old:
            write_json(store.root / FOLDER / f"{key}.json", dataclasses.asdict(new))
    return new


def forget(store: Store, key: str) -> None:
    """Remove the note of a task."""
    (store.root / FOLDER / f"{key}.json").unlink(missing_ok=True)


def tag(text: str) -> str:
    """A tag as it is kept: one line without commas, since links and command lines separate by them."""
    line = _line("tag", text, MOST_TAG)
    if not line or "," in line:
        raise SpecError("tag", text, f"1 to {MOST_TAG} letters without commas")
    return line


def _line(field: str, text: str, most: int) -> str:
    line = " ".join(text.split())
    if len(line) > most or not _writable(line):
        raise SpecError(field, text, f"one line of at most {most} letters")
    return line


def _text(text: str) -> str:
    text = text.replace("\r\n", "\n").strip()
    if len(text) > MOST_TEXT or not _writable(text.replace("\n", " ").replace("\t", " ")):
        raise SpecError("note", text, f"a text of at most {MOST_TEXT} letters")
    return text


def _writable(text: str) -> bool:
    """Whether there are no control characters and no halves of characters in it."""
    return not any(unicodedata.category(c) in ("Cc", "Cs") for c in text)


@functools.lru_cache(maxsize=4096)
def _read(path: Path, _stamp: tuple[int, int]) -> Note:
    """Fields of another type than ours are left out: the file may have been edited by hand."""
    try:
        found = read_json(path)
    except (Damaged, OSError):
        return NOTHING
    if not isinstance(found, dict):
        return NOTHING
    name, text, tags = found.get("name"), found.get("text"), found.get("tags")
    return Note(
        name=name if isinstance(name, str) else "",
        text=text if isinstance(text, str) else "",
        tags=tuple(sorted({t for t in tags if isinstance(t, str)}))
        if isinstance(tags, list)
        else (),
        starred=found.get("starred") is True,
    )
