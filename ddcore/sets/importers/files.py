"""Files to what importers look at: plain arrays, or a set of our own."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from ddcore.base.errors import DataError
from ddcore.sets import foreign_files, loading
from ddcore.sets.artefact import FORMAT
from ddcore.sets.importers.base import MAX_UPLOAD, Stored

LONGEST = 40  # letters of a name in messages


def open_file(given: bytes | Path, name: str) -> Stored:
    """The contents of one file; `DataError` if it is no file of arrays, damaged or too large."""
    name = base_name(name)
    check_size(len(given) if isinstance(given, bytes) else given.stat().st_size, name)
    try:
        content = foreign_files.content(given, name)
        tree = foreign_files.tree(content)
        sha256 = hashlib.sha256(content.data).hexdigest()
        return Stored(name, sha256, loading.understood(tree, name) if _is_ours(tree) else tree)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # whatever a reader meets in bytes that anybody may have written
        raise DataError(
            f"{name} is damaged or not what its first bytes say ({short(error)})."
        ) from error


def short(error: BaseException) -> str:
    """An error of a library, for the middle of a sentence."""
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


def base_name(name: str) -> str:
    """The last part of a file's name on either system, at most 100 printable characters of it."""
    last = PurePath(name.replace("\\", "/")).name[-100:]
    return "".join(c if c.isprintable() else "?" for c in last) or "The file"


def check_size(size: int, name: str = "The upload") -> None:
    """Refuse more bytes than are read."""
    if size > MAX_UPLOAD:
        raise DataError(f"{name} has {size / 2**20:,.0f} MB: at most {MAX_UPLOAD >> 20} are read.")
    if size == 0:
        raise DataError(f"{name} is empty.")


def describe(files: Sequence[Stored]) -> str:
    """What was given, for messages: names and outer structure."""
    return " and ".join(f"{f.name} holds {_structure(f.content)}" for f in files)


def _structure(content: Any) -> str:
    if isinstance(content, np.ndarray):
        return f"one array of shape {content.shape}"
    if isinstance(content, dict):
        names = [str(name)[:LONGEST] for name in content]
        return "entries called " + ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    if isinstance(content, list):
        return f"a list of {len(content)}"
    return "no array"


def _is_ours(tree: Any) -> bool:
    meta = tree.get("meta") if isinstance(tree, dict) else None
    return isinstance(meta, np.ndarray) and f'"{FORMAT}"'.encode() in meta.tobytes()
