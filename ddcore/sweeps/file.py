"""The file of a sweep, `sweeps/NAME.json` in the store: its axes and nothing that was computed.

Cells, keys and states follow from it. It is in no key, and removing it removes no result. What is shipped has
one, too, which gives way to one of the user's own.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from ddcore.base.errors import Damaged, DDError, NotReady, SpecError
from ddcore.sweeps.axes import Axes
from ddcore.tasks.files import write_json
from ddcore.tasks.records import read_json
from ddcore.tasks.store import Store

FOLDER, VERSION = "sweeps", 1
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,59}", re.ASCII)


@dataclass(frozen=True)
class Sweep:
    """A name, its axes, and when it was first asked for (seconds since 1970)."""

    name: str
    axes: Axes
    created: float


def path(store: Store, name: str) -> Path:
    """Where it is kept; `SpecError` for what is no name."""
    if not NAME.fullmatch(name):
        raise SpecError(
            "name", name, "small letters, digits, dots, dashes: at most 60, such as lr-of-dm"
        )
    return store.root / FOLDER / f"{name}.json"


def read(store: Store, name: str) -> Sweep:
    """The sweep of that name; `NotReady` if there is none, `Damaged` for a file of another kind."""
    file = path(store, name)
    if store.gallery and not file.exists() and _shipped(store, name).exists():
        file = _shipped(store, name)
    try:
        found = read_json(file)
    except FileNotFoundError:
        known = ", ".join(names(store)) or "none yet"
        raise NotReady(f"There is no sweep {name}: there are {known}.") from None
    try:
        if found["version"] != VERSION:
            raise ValueError(f"version {found['version']}, expected {VERSION}")
        return Sweep(name, Axes.from_dict(found["axes"]), float(found["created"]))
    except (KeyError, TypeError, ValueError, AttributeError, DDError) as error:
        raise Damaged(f"{file} is not the file of a sweep ({error}).") from error


def names(store: Store) -> list[str]:
    """All there are, the last one first, then those that are shipped."""
    own = sorted(_files(store.root), key=lambda file: (-file.stat().st_mtime, file.stem))
    shipped = sorted(_files(store.gallery)) if store.gallery else []
    return list(dict.fromkeys(file.stem for file in [*own, *shipped]))


def _files(root: Path) -> list[Path]:
    return [file for file in (root / FOLDER).glob("*.json") if NAME.fullmatch(file.stem)]


def _shipped(store: Store, name: str) -> Path:
    assert store.gallery is not None
    return store.gallery / FOLDER / f"{name}.json"


def keep(store: Store, name: str, axes: Axes, replace: bool = False) -> Sweep:
    """Write it down, or find it again; one of that name with other axes only gives way to `replace`."""
    file = path(store, name)
    if name in names(store) and not replace:
        there = read(store, name)
        if there.axes != axes:
            raise DDError(
                f"There is a sweep {name} with other axes ({there.axes.command(name)}): choose another "
                "name, or add --replace, which removes no result."
            )
        return there
    made = Sweep(name, axes, time.time())
    facts = {"version": VERSION, "name": name, "created": made.created, "axes": axes.to_dict()}
    write_json(file, facts)
    return made
