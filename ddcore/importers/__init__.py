"""Distilled sets that other programs wrote. Adding a layout is adding a file here that defines `IMPORTER`.

    report = reading.read([(name, path or bytes), ...])     # or DataError: one sentence on why it is no set
    report.importer, report.found, report.facts, report.guess

Files are read in a process of their own (`reading`). Nothing here needs torch; no pickled code is ever run.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Sequence

import numpy as np

from ddcore.errors import DataError, SpecError
from ddcore.importers.base import Found, Importer, Stored
from ddcore.importers.facts import Report, report
from ddcore.importers.files import describe, open_file

__all__ = ["Found", "Importer", "Report", "Stored", "examine", "importer", "importers", "open_file"]


@functools.cache
def importers() -> dict[str, Importer]:
    """All importers by name, in the order in which files are shown to them."""
    found = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        if hasattr(module, "IMPORTER"):
            found[module.IMPORTER.name] = module.IMPORTER
    return dict(sorted(found.items(), key=lambda item: (item[1].rank, item[0])))


def importer(name: str) -> Importer:
    """The importer of that name; an unknown name lists the known ones."""
    if name not in importers():
        raise SpecError("format", name, "one of " + ", ".join(importers()))
    return importers()[name]


def examine(files: Sequence[Stored], format: str = "", experiment: int = 0) -> Report:
    """What the files are, checked; `DataError` with one sentence if they are no set.

    `format` names a layout, "" finds out; `experiment` is which of several sets in the files.
    """
    chosen = importer(format) if format else _recognised(files)
    if not chosen.fits(files):
        raise DataError(f"{describe(files)} is not laid out as {chosen.title}: {chosen.files}")
    found = chosen.read(files, experiment)
    if experiment and found.experiments == 1:
        raise DataError(f"experiment = {experiment} is not allowed: {chosen.title} files hold one.")
    return report(chosen, files, found, experiment)


def _recognised(files: Sequence[Stored]) -> Importer:
    for candidate in importers().values():
        if candidate.fits(files):
            return candidate
    if all(isinstance(f.content, np.ndarray) for f in files):
        raise DataError(
            f"{describe(files)}: give images and labels together, two files such as images_best.pt and "
            "labels_best.pt."
        )
    titles = "; ".join(i.title for i in importers().values())
    raise DataError(f"{describe(files)}, which is none of the known layouts ({titles}).")
