"""From files that anybody may have written to a report on the set in them, in a process of its own.

What comes back is checked: figures and sentences as JSON, and arrays that are seen through memory, so that
the process that asks does not grow with the files. The other process does `open_file` and `examine`.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ddcore.base import isolated
from ddcore.base.errors import DataError
from ddcore.sets.distilled import DistilledSet
from ddcore.sets.importers import importer, scales
from ddcore.sets.importers.base import ReadSet
from ddcore.sets.importers.facts import Report, SetFacts
from ddcore.sets.importers.files import base_name, check_size

_SET = "set."  # arrays of a set of our own
_FOUND = "found."


def read(files: Sequence[tuple[str, Any]], format: str = "", experiment: int = 0) -> Report:
    """The report on files given as (name, bytes or path); `DataError` with one sentence if they are no set.

    `format` names a layout, "" finds out; `experiment` is which of several sets in the files.
    """
    if format:
        importer(format)
    names = [base_name(name) for name, _ in files]
    sizes = [_size(name, given) for name, (_, given) in zip(names, files)]
    check_size(sum(sizes))
    with tempfile.TemporaryDirectory(prefix="dd-open-", ignore_cleanup_errors=True) as text:
        folder = Path(text)
        request = {
            "paths": [_path(folder / f"given-{i}", given) for i, (_, given) in enumerate(files)],
            "names": names,
            "format": format,
            "experiment": experiment,
        }
        function = "ddcore.sets.importers.reading:_examine"
        limits = isolated.for_files(sum(sizes))
        told = isolated.call(function, request, folder, limits, what=" and ".join(names))
        return _report(told, isolated.arrays(folder))


def _size(name: str, given: Any) -> int:
    if isinstance(given, Path) and given.exists() and not given.is_file():
        raise DataError(f"{given} is not a file.")  # a device would never end
    try:
        size = given.stat().st_size if isinstance(given, Path) else len(given)
    except OSError as error:
        raise DataError(f"{name} cannot be read ({error.strerror or error}).") from error
    check_size(size, name)
    return size


def _path(place: Path, given: Any) -> str:
    """Where the other process finds a file: where it is, or written there."""
    if isinstance(given, Path):
        return str(given.resolve())
    place.write_bytes(given)
    return str(place)


def _examine(request: dict[str, Any], folder: Path, progress: Any) -> dict[str, Any]:
    """What the other process does."""
    from ddcore.sets.importers import examine, open_file

    files = [open_file(Path(p), n) for p, n in zip(request["paths"], request["names"])]
    report = examine(files, request["format"], request["experiment"])
    found = report.found
    told = {
        "importer": report.importer.name,
        "files": report.files,
        "experiment": report.experiment,
        "facts": dataclasses.asdict(report.facts),
        "guess": dataclasses.asdict(report.guess),
        "found": {n: getattr(found, n) for n in ("steps", "experiments", "notes")},
    }
    if found.made:
        arrays, meta = found.made.to_arrays()
        isolated.write_arrays(folder, {_SET + n: a for n, a in arrays.items()})
        return told | {"made": meta}
    arrays = {n: getattr(found, n) for n in ("images", "labels", "lrs")}
    isolated.write_arrays(folder, {_FOUND + n: a for n, a in arrays.items() if a is not None})
    return told


def _report(told: dict[str, Any], arrays: dict[str, np.ndarray]) -> Report:
    """The report as the other process had it."""
    few = told["found"] | {"notes": tuple(told["found"]["notes"])}
    if "made" in told:
        parts = {n.removeprefix(_SET): a for n, a in arrays.items()}
        made = DistilledSet.from_arrays(parts, told["made"])
        few |= {"images": made.images, "labels": made.labels, "lrs": made.lrs, "made": made}
    else:
        few |= {n.removeprefix(_FOUND): a for n, a in arrays.items()}
    facts = told["facts"] | {"values": scales.Values(**told["facts"]["values"])}
    return Report(
        importer=importer(told["importer"]),
        files=tuple((name, sha256) for name, sha256 in told["files"]),
        found=ReadSet(**few),
        facts=SetFacts(**facts | {"shape": tuple(facts["shape"])}),
        guess=scales.Guess(**told["guess"]),
        experiment=told["experiment"],
    )
