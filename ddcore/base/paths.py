"""Where things live: the store, the shipped gallery and the user's data, all movable by environment.

`DD_CACHE` moves the writable store, `DD_DATA` names a folder that already holds datasets.
"""

from __future__ import annotations

import os
from pathlib import Path

from ddcore.base.errors import SpecError

PROJECT = Path(__file__).resolve().parents[2]
GALLERY = PROJECT / "cache" / "gallery"


def store_root() -> Path:
    """The writable store: `DD_CACHE`, else `cache/` beside the code."""
    return _folder("DD_CACHE") or PROJECT / "cache"


def data_root() -> Path:
    """Where datasets are looked for and downloaded to: `DD_DATA`, else `data/` in the store."""
    return _folder("DD_DATA") or store_root() / "data"


def typed(text: str, field: str = "path") -> Path:
    """The path that a person typed; `~` and `~name` are home folders."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise SpecError(field, text, "a path; there is no such home folder") from None


def _folder(variable: str) -> Path | None:
    """The folder a variable names, absolute at once: workers run in another working folder."""
    value = os.environ.get(variable)
    if not value:
        return None
    path = Path(os.path.abspath(typed(value, variable)))
    try:
        there = next(p for p in (path, *path.parents) if p.exists())
    except OSError as error:
        raise SpecError(variable, value, f"a folder ({error.strerror})") from None
    if not there.is_dir():
        raise SpecError(variable, value, f"a folder; {there} is a file")
    return path
