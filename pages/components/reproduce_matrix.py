"""Published figures against ours as a matrix: a row for each method, a column for data and images per class.

A cell holds a bullet mark for each protocol and variant: a tick where the published figure is, ours on the
same axis from 0 to 100 %, by shape and colour reached, missed, measured alone or not measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from ddcore.base import spread
from ddcore.data.registry import get
from ddcore.distil.contract import method
from ddcore.recipes.table import Line, percent
from pages.components import grid

HERE = Path(__file__)
COMPONENT = st.components.v2.component(
    "reproduce_matrix",
    html='<div class="matrix"></div>',
    css=grid.source(HERE.with_suffix(".css")),
    js=grid.source(HERE.with_suffix(".js")),
)
REACHED, MISSED, ALONE, OPEN = "reached", "missed", "alone", "open"
LEGEND = (
    (REACHED, "reaches the published figure, or misses it by less than the spread"),
    (MISSED, "misses it"),
    (ALONE, "measured, no published figure was read"),
    ("tick", "published"),
)


def kind(line: Line) -> str:
    """Whether the published figure is reached."""
    if not line.ours:
        return OPEN
    if not line.published:
        return ALONE
    near = 100 * line.ours["mean"] + margin(line) >= line.published.mean
    return REACHED if near else MISSED


def margin(line: Line) -> float:
    """In points: of our networks and of the published figure, whichever is larger; 0 if neither has one."""
    own, theirs = spread.of(line.ours), line.published.std if line.published else None
    known = [100 * own] if own is not None else []
    return max(known + ([theirs] if theirs is not None else []), default=0.0)


def show(lines: Sequence[Line], chosen: int, key: str, on_pick: Callable[[int], None]) -> None:
    """Draw the lines; `on_pick` is told the place of one that was clicked."""

    def keep() -> None:
        told = st.session_state[key].get("picked")
        if type(told) is int and 0 <= told < len(lines):
            on_pick(told)

    COMPONENT(data=describe(lines, chosen), key=key, on_picked_change=keep)


def describe(lines: Sequence[Line], chosen: int) -> dict[str, Any]:
    """What the browser is told; a mark's index is its line's place."""
    columns = sorted({(_data(line), line.row.ipc) for line in lines})
    methods = list(dict.fromkeys(line.row.method for line in lines))
    cells: dict[tuple[str, str, int], list[int]] = {}
    for index, line in enumerate(lines):
        cells.setdefault((line.row.method, _data(line), line.row.ipc), []).append(index)

    def marks(place: tuple[str, str, int]) -> list[dict[str, Any]]:
        own = cells.get(place, [])
        if not own:
            return []
        named = labels([lines[index] for index in own])
        return [_mark(lines[index], index) | {"label": name} for index, name in zip(own, named)]

    rows = [
        (method(name).title, [marks((name, *column)) for column in columns]) for name in methods
    ]
    heads = [f"{data}, {ipc} per class" for data, ipc in columns]
    return {"columns": heads, "rows": rows, "chosen": chosen, "legend": LEGEND}


def labels(lines: Sequence[Line]) -> list[str]:
    """What tells the lines of a cell apart: words of rows' names, else protocol and width, else both."""
    if len(lines) == 1:
        return [""]
    names = [line.row.name.split("-") for line in lines]
    start, end = _alike(names), _alike([name[::-1] for name in names])
    rows = ["-".join(name[start : len(name) - end]) for name in names]
    how = [_short(line) for line in lines]
    for told in (rows, how):
        if len(set(told)) == len(lines):
            return told
    return [" ".join(words) for words in zip(rows, how)]


def _alike(names: Sequence[Sequence[str]]) -> int:
    """How many words all begin with, of the shortest at most all but one."""
    most = min(len(name) for name in names) - 1
    return next((i for i in range(most) if len({name[i] for name in names}) > 1), most)


def _short(line: Line) -> str:
    """ "t300 w32" for what is judged by t300 with ConvNet-3 w32."""
    width = [word for word in line.judged_by.split() if word[0] == "w" and word[1:].isdigit()]
    return " ".join([line.judged_by.partition(",")[0], *width])


def _data(line: Line) -> str:
    return get(line.row.dataset).title


def _mark(line: Line, index: int) -> dict[str, Any]:
    ours, theirs = line.ours, line.published
    own = spread.of(ours) if ours else None
    shown = percent(ours) if ours else "not measured"
    words = f"{line.title}, protocol {line.judged_by}. Ours: {shown}."
    if theirs:
        words += f" Published: {theirs.text()} ({theirs.source})."
    return {
        "index": index,
        "kind": kind(line),
        "mean": round(100 * ours["mean"], 2) if ours else None,
        "spread": round(100 * own, 2) if own is not None else 0,
        "published": theirs.mean if theirs else None,
        "ours": f"{100 * ours['mean']:.1f}" if ours else "–",
        "theirs": f"{theirs.mean:.1f}" if theirs else "",
        "words": words,
    }
