"""Figures of sets too large to ship, `large.json` beside what is shipped: what others know of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ddcore.base.errors import Damaged
from ddcore.tasks.files import write_json
from ddcore.tasks.records import read_json
from ddcore.tasks.store import Store

FILE, VERSION = "large.json", 1
FIGURES = ("ours", "random", "class_mean", "quoted", "data", "device", "seconds")  # of a line


def read(store: Store) -> dict[str, dict[str, Any]]:
    """What is shipped of every such line, by its key; `Damaged` for a file of another kind."""
    file = (store.gallery or store.root) / FILE
    try:
        found = read_json(file)
    except FileNotFoundError:
        return {}
    try:
        if found["version"] != VERSION:
            raise ValueError(f"version {found['version']}, expected {VERSION}")
        return {row["key"]: {f: row[f] for f in FIGURES} for row in found["rows"]}
    except (KeyError, TypeError, ValueError) as error:
        raise Damaged(f"{file} is not a file of figures ({error}).") from error


def keep(target: Path, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Write these lines down beside those that are there."""
    known = read(Store(target, gallery=None))
    if not found or found == {key: known.get(key) for key in found}:
        return
    rows = [{"key": key, **figures} for key, figures in sorted({**known, **found}.items())]
    write_json(target / FILE, {"version": VERSION, "rows": rows})
