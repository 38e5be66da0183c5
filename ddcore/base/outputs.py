"""Files that people ask for by name: nothing of theirs is overwritten unless they say so."""

from __future__ import annotations

from pathlib import Path

from ddcore.base import paths
from ddcore.base.errors import DataError


def file(text: str | Path, *, force: bool = False) -> Path:
    """The absolute path of a file to be written; an existing one needs `force`.

    `DataError` for one that is there already, and always for folders, devices, pipes and sockets,
    which a file would take the place of.
    """
    out = absolute(text)
    if out.is_dir():
        raise DataError(f"{out} is a folder: expected the name of a file.")
    if not out.exists():
        return out
    if not out.is_file():
        raise DataError(f"{out} is a device or a pipe: expected the name of a file.")
    if not force:
        raise DataError(
            f"{out} is there already: choose another name, or add --force to replace it."
        )
    return out


def absolute(text: str | Path) -> Path:
    """The absolute path that a person typed; `DataError` if it lies below a file."""
    out = paths.typed(str(text)).resolve()
    above = next(p for p in out.parents if p.exists())
    if not above.is_dir():
        raise DataError(f"{out} cannot be written: {above} is not a folder.")
    return out
