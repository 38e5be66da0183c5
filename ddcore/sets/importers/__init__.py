"""Distilled sets that other programs wrote. Adding a layout is adding a file here that defines `IMPORTER`.

    report = reading.read([(name, path or bytes), ...])     # or DataError: one sentence on why it is no set
    report.importer, report.found, report.facts, report.guess

Files are read in a process of their own (`reading`). Nothing here needs torch; no pickled code is ever run.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ddcore.base.errors import DataError
from ddcore.base.registry import Registry
from ddcore.sets.importers.base import Importer, ReadSet, Stored
from ddcore.sets.importers.facts import Report, report
from ddcore.sets.importers.files import describe, open_file

__all__ = [
    "Importer",
    "ReadSet",
    "Report",
    "Stored",
    "examine",
    "importer",
    "importers",
    "open_file",
]


IMPORTERS: Registry[Importer] = Registry(
    "format",
    "ddcore.sets.importers",
    "IMPORTER",
    order=lambda i: (i.rank, i.name),  # in which files are shown to them
)
importers, importer = IMPORTERS.all, IMPORTERS.get


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
