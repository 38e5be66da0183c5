"""Figures of a sweep: every cell's accuracy along two axes, or seed by seed."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.contract import Drawn
from analysis.shared import colours, drawing
from analysis.sweeps.maths import SweepRow, values_of
from analysis.sweeps.tables import label
from ddcore.base.foreign_text import plain
from ddcore.base.spread import figure_text
from ddcore.sweeps.axes import Axes

LEAST, ROW, AROUND = 320, 34, 100  # height: of a figure, of a row, of what stands around the rows
MANY, CLOSE = 12, 28  # from so many rows on a row is lower, so that the table below is not far away
MOST = 60  # rows of a figure: more of them are the table's


def drawn(axes: Axes, rows: Sequence[SweepRow], columns: str = "") -> Drawn:
    """A heat map with the values of `columns` side by side, or dots where that is no axis."""
    if columns in axes.varied and len(axes.varied) > 1:
        return heat(axes, rows, columns)
    return dots(axes, rows)


def heat(axes: Axes, rows: Sequence[SweepRow], columns: str) -> Drawn:
    """Mean test accuracy over seeds: the values of one axis beside each other, everything else below."""
    across = values_of(rows, columns)
    below = list(dict.fromkeys(label(axes, row.place, without=[columns]) for row in rows))[:MOST]
    found = {(label(axes, r.place, without=[columns]), r.at[columns]): r for r in rows if r.test}
    cells = [[found.get((name, value)) for value in across] for name in below]
    means = [[_mean(row) for row in line] for line in cells]
    each = ROW if len(below) < MANY else CLOSE
    height = max(LEAST, AROUND + each * len(below))
    figure = drawing.new_figure(plain(columns), height=height, legend=False)
    figure.add_heatmap(
        z=means,
        x=[plain(value) for value in across],
        y=[plain(name) for name in below],
        colorscale="Viridis",
        colorbar={"title": "test", "thickness": 12, "tickformat": ".0%"},
        text=[[_short(row) for row in line] for line in cells],
        texttemplate="%{text}",
        textfont={"size": 13},
        customdata=[[figure_text(r.test) if r and r.test else "–" for r in line] for line in cells],
        hovertemplate="%{y}, %{x}<br>%{customdata}<extra></extra>",
        hoverongaps=False,
    )
    # Above, as the head of a table: below it would be out of sight where there are many rows.
    figure.update_xaxes(type="category", side="top", automargin=True)
    figure.update_yaxes(autorange="reversed", type="category")
    told = _beyond(len({label(axes, row.place, without=[columns]) for row in rows}))
    caption = f"Test accuracy in per cent, mean over seeds ± standard deviation.{told}"
    return Drawn("Test accuracy", figure, caption)


def dots(axes: Axes, rows: Sequence[SweepRow]) -> Drawn:
    """A dot for every seed, a mark at the mean; random real images of the same size in grey."""
    shown = [row for row in rows if row.results][:MOST]
    height = max(LEAST, AROUND + ROW * len(shown))
    figure = drawing.new_figure("test accuracy", height=height, legend=False)
    for row in shown:
        name, test = plain(label(axes, row.place)), row.test or {}
        colour = colours.style(row.at["method"]).colour
        seeds = list(row.results)
        figure.add_scatter(
            x=[row.results[seed].test for seed in seeds],
            y=[name] * len(seeds),
            mode="markers",
            marker={"color": colour, "size": 9, "opacity": 0.75},
            text=seeds,
            hovertemplate="%{y}, seed %{text}: %{x:.1%}<extra></extra>",
        )
        for mean, shade in ((test["mean"], colour), (_random(row), colours.REAL)):
            if mean is not None:
                mark = {"symbol": "line-ns", "size": 22, "color": shade}
                mark |= {"line": {"width": 3, "color": shade}}
                figure.add_scatter(x=[mean], y=[name], mode="markers", marker=mark)
    figure.update_xaxes(tickformat=".0%")
    figure.update_yaxes(autorange="reversed", type="category")
    told = _beyond(sum(bool(row.results) for row in rows))
    caption = (
        "A dot is one seed, the mark in its colour their mean, the grey mark random real images of the same "
        f"size.{told}"
    )
    return Drawn("Test accuracy", figure, caption)


def _beyond(there: int) -> str:
    return f" The first {MOST} of {there} rows; all are in the table." if there > MOST else ""


def _mean(row: SweepRow | None) -> float | None:
    return row.test["mean"] if row and row.test else None


def _random(row: SweepRow) -> float | None:
    return row.random["mean"] if row.random else None


def _short(row: SweepRow | None) -> str:
    if not (row and row.test):
        return "–"
    spread = "" if row.test["std"] is None else f" ± {100 * row.test['std']:.1f}"
    return f"{100 * row.test['mean']:.1f}{spread}"
