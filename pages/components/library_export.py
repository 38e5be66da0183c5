"""Many sets in one zip, with a table of what they are."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ddcore.base import spread
from ddcore.base.foreign_text import cell
from ddcore.base.texts import size
from ddcore.sets.distilled import DistilledSet
from pages.components import library

MOST_BYTES = 1e9  # of sets: the file is made in memory
SUBJECTS = ("distilled", *library.FREE)


def refused(rows: Sequence[library.Row]) -> str:
    """Why these cannot be exported at once; "" if they can."""
    count = sum(row.facts.bytes for row in rows)
    if count > MOST_BYTES:
        return f"These are {size(count)}: export at most {size(MOST_BYTES)} at once."
    return ""


def archive(rows: Sequence[library.Row], format: str) -> bytes:
    """The zip: each set in one of `FORMATS`, and `runs.csv`; its files are dated 1980."""
    from ddcore.sets import exports

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as file:
        table = []
        for row in rows:
            made = DistilledSet.from_task(row.task)
            content, name, _ = exports.export_bytes(made, format)
            _write(file, name, content)
            table.append({"file": name, **facts(row)})
        _write(file, "runs.csv", _csv(table))
    return out.getvalue()


def facts(row: library.Row) -> dict[str, Any]:
    """A line of the table; accuracies are shares, and empty where they were not measured."""
    card, note = row.card, row.note
    line = {
        "key": row.key,
        "name": note.name,
        "method": card.made,
        "data": card.dataset,
        "images_per_class": card.ipc,
        "seed": "" if card.imported else card.seed,
    }
    for subject in SUBJECTS:
        figure = row.figure(subject)
        std = spread.of(figure) if figure else None
        line[f"{subject}_mean"] = figure["mean"] if figure else ""
        line[f"{subject}_std"] = "" if std is None else std
        line[f"{subject}_n"] = figure["n"] if figure else ""
    return line | {
        "protocol": row.measured.protocol["name"] if row.measured else "",
        "seconds": "" if row.facts.seconds is None else row.facts.seconds,
        "device": row.facts.device,
        "finished": datetime.fromtimestamp(row.facts.finished, UTC).isoformat(timespec="seconds"),
        "starred": int(note.starred),
        "tags": ",".join(note.tags),
        "note": note.text,
    }


def _csv(table: list[dict[str, Any]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(table[0]))
    writer.writeheader()
    writer.writerows({name: cell(value) for name, value in line.items()} for line in table)
    return out.getvalue().encode()


def _write(file: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = 0o644 << 16
    file.writestr(entry, content)
