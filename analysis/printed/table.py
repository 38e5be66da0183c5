"""The numbers that a panel shows, as rows: what a reader needs to draw it again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from analysis.printed import texts

Numbers = dict[str, Any]


def rows(figure: Any) -> list[Numbers]:
    """A row for each point, bar, value of a distribution or cell of a plotly figure, in its order.

    `series` is what the legend calls it, `part` the title above the axes where there are several. Bands are
    rows with `low` and `high`. Pictures have no rows.
    """
    parts = _parts(figure)
    found: list[Numbers] = []
    for place, trace in enumerate(figure.data):
        if trace.type == "image" or trace.opacity == 0:
            continue
        known = {"series": _series(figure, place)}
        if len(parts) > 1:
            known["part"] = parts[trace.xaxis or "x"]
        own = _cells(trace) if trace.type == "heatmap" else _points(trace)
        found += [known | row for row in own]
    return found


def _parts(figure: Any) -> dict[str, str]:
    """The titles of subplots by the name of their x axis."""
    names = list(dict.fromkeys(t.xaxis or "x" for t in figure.data if "xaxis" in t))
    titles = [n.text for n in figure.layout.annotations if n.xref == n.yref == "paper"]
    padded = [*titles, *names[len(titles) :]]
    return {name: _line(title) for name, title in zip(names, padded)}


def _series(figure: Any, place: int) -> str:
    """The name of a trace; a band has that of the nearest one before or after it that goes with it."""
    traces = list(figure.data)
    own = traces[place]
    for other in sorted(range(len(traces)), key=lambda i: (abs(i - place), i < place)):
        same = own.legendgroup is None or traces[other].legendgroup == own.legendgroup
        if traces[other].name and same:
            return _line(traces[other].name)
    return ""


def _points(trace: Any) -> Iterator[Numbers]:
    if trace.x is None or trace.y is None:
        return
    if trace.type == "scatter" and trace.fill == "toself":
        yield from _band(trace)
        return
    errors = {
        f"{letter}_error": trace[f"error_{letter}"].array
        for letter in "xy"
        if f"error_{letter}" in trace
    }
    for i, (x, y) in enumerate(zip(trace.x, trace.y)):
        if x is not None and y is not None:
            row = {"x": _plain(x), "y": _plain(y)}
            yield row | {n: _plain(e[i]) for n, e in errors.items() if e is not None}


def _band(trace: Any) -> Iterator[Numbers]:
    """A polygon that goes along one edge and back along the other."""
    half = len(trace.x) // 2
    for x, one, other in zip(trace.x[:half], trace.y[:half], list(trace.y)[::-1]):
        yield {"x": _plain(x), "low": _plain(min(one, other)), "high": _plain(max(one, other))}


def _cells(trace: Any) -> Iterator[Numbers]:
    for i, row in enumerate(trace.z):
        for j, value in enumerate(row):
            x = j if trace.x is None else trace.x[j]
            y = i if trace.y is None else trace.y[i]
            if value is not None and np.isfinite(value):
                yield {"x": _plain(x), "y": _plain(y), "value": _plain(value)}


def _plain(value: Any) -> Any:
    return _line(value) if isinstance(value, str) else np.asarray(value).item()


def _line(text: str) -> str:
    return " ".join(texts.read(text).split())
