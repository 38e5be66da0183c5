"""All figures of several analyses in one zip: each panel drawn and in numbers, and what they are."""

from __future__ import annotations

import functools
import io
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

from analysis.contract import Analysis, Arrays, of_spec, seen
from analysis.export import csv_text
from analysis.printed import panel, provenance, table
from analysis.printed.panel import Panel
from analysis.results import Result
from analysis.settings import picked
from analysis.shared import drawing
from analysis.task import load_arrays
from ddcore.base.foreign_text import plain, unescaped
from ddcore.sets.card import slug
from ddcore.tasks.store import Store, Task

README = "README.txt"


def panels(
    analysis: Analysis[Any, Any],
    result: Result[Any],
    arrays: Arrays,
    options: dict[str, str] | None = None,
) -> list[Panel]:
    """Everything that the page of an analysis draws, with its options or the usual ones."""
    chosen = picked(analysis, result) if options is None else options
    drawn = analysis.figures(seen(result, plain), arrays, chosen)
    return [Panel(d.title, d.figure, drawing.typeset(d.caption)) for d in drawn]


def of_tasks(
    store: Store, tasks: Sequence[Task], format: str, width: str, *, named: bool = True
) -> bytes:
    """The zip of finished analyses, a folder for each; `named` writes the line about runs below panels.

    Its files are dated 1980, so that the same figures are the same file.
    """
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        words = []
        for task in sorted(tasks, key=lambda each: of_spec(each.spec()).order):
            analysis = of_spec(task.spec())
            result, arrays = analysis.result(task), load_arrays(store, task)
            line = provenance.of_analysis(store, task)
            own = panels(analysis, result, arrays)
            files = _files(own, format, width, line if named else "")
            rows = functools.partial(analysis.table, result, arrays)
            files["numbers.csv"] = functools.partial(_csv, rows)
            for name, content in files.items():
                _write(file, f"{analysis.name}/{name}", content())
            words += [analysis.question, line, *_said(analysis.name, own), ""]
        _write(file, README, "\n".join(words).encode())
    return out.getvalue()


def of_panels(shown: Sequence[Panel], format: str, width: str, line: str) -> bytes:
    """The zip of some panels, drawn and in numbers; `line` is written below each unless it is ""."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in _files(shown, format, width, line).items():
            _write(file, name, content())
    return out.getvalue()


def file_name(place: int, shown: Panel) -> str:
    """The name of a panel's files, without an ending: its number on the page and its title."""
    return f"{place + 1}-{slug(unescaped(shown.title))[:60] or 'panel'}"


def _files(
    shown: Sequence[Panel], format: str, width: str, line: str
) -> dict[str, Callable[[], bytes]]:
    """Contents by file name, made when they are asked for."""
    found: dict[str, Callable[[], bytes]] = {}
    for place, each in enumerate(shown):
        stem = file_name(place, each)
        found[f"{stem}.{format}"] = functools.partial(panel.content, each, format, width, line)
        if table.rows(each.figure):
            found[f"{stem}.csv"] = functools.partial(
                _csv, functools.partial(table.rows, each.figure)
            )
    return found


def _csv(rows: Callable[[], list[dict[str, Any]]]) -> bytes:
    return csv_text(rows()).encode()


def _said(folder: str, shown: Sequence[Panel]) -> list[str]:
    return [f"{folder}/{file_name(i, p)}: {unescaped(p.text)}" for i, p in enumerate(shown)]


def _write(file: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = 0o644 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    file.writestr(entry, content)
