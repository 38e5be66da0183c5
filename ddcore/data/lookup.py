"""From what a person types (a name or a path) to a `DataSpec`."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from ddcore.base import paths
from ddcore.base.errors import DataError, SpecError, short
from ddcore.data.registry import datasets
from ddcore.data.sources._folder import picture_files
from ddcore.data.sources._parquet import parquet_files
from ddcore.data.spec import DataSpec, canonical


def resolve(
    text: str, *, resolution: int | None = None, grey: bool = False, **fields: Any
) -> DataSpec:
    """The spec of a registered dataset or of the user's own folder.

    A registered name finds its files in the data root (torchvision's layout before parquet). A path
    is a folder with parquet files, else one of class folders. `fields` are further fields of
    `DataSpec`. Raises `SpecError` for an unknown name, `DataError` for a path that is no folder.
    """
    fields |= {"resolution": resolution, "grey": grey}
    source = datasets().get(text)
    if source:
        root = paths.data_root()
        kind = source.available(root) or source.kinds[0]
        mark = fingerprint(root / text, kind, portable=True) if kind == "parquet" else ""
        return canonical(DataSpec(name=text, source=kind, fingerprint=mark, **fields))
    folder = paths.typed(text)
    if not text.strip() or not folder.exists():
        if os.sep in text or text.startswith((".", "~")):
            raise DataError(
                f"{short(str(folder))} does not exist: expected a folder of pictures or parquet files."
            )
        names = ", ".join(datasets())
        raise SpecError("data", text, f"one of {names}, or the path of a folder")
    folder = folder.resolve()
    if not folder.is_dir():
        raise DataError(f"{folder} is a file: expected a folder of pictures or parquet files.")
    kind = "parquet" if parquet_files(folder) else "folder"
    mark = fingerprint(folder, kind)
    return DataSpec(name=kind, source=kind, path=str(folder), fingerprint=mark, **fields)


def fingerprint(folder: Path, kind: str, portable: bool = False) -> str:
    """sha256 over relative path, size and (unless `portable`) modification time of every data file.

    A registered set's copy is `portable`, so that two machines with the same files agree.
    """
    files = parquet_files(folder) if kind == "parquet" else picture_files(folder)
    digest = hashlib.sha256()
    for file in files:
        facts = file.stat()
        time = "" if portable else f"\n{facts.st_mtime_ns}"
        digest.update(f"{file.relative_to(folder).as_posix()}\n{facts.st_size}{time}\n".encode())
    return digest.hexdigest()
