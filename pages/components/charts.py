"""Plotly figures in the project's colours. Plotly is imported when the first one is drawn.

One colour per method (of `analysis.shared.colours`), one per subject on every page; those of subjects reach
a contrast of 3 : 1 on the light and the dark background, and series differ by dash or marker too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from analysis.shared.colours import SERIES as COLOURS
from ddcore.base.foreign_text import unescaped
from pages.components import views

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

GREY = COLOURS[-1]
SUBJECTS = {
    "distilled": ("Distilled", COLOURS[0], "circle"),
    "before": ("Before: not trained on any set", COLOURS[6], "circle-open"),
    "other_inits": ("Distilled, other initialisations", COLOURS[8], "circle-open"),
    "random": ("Random real images", GREY, "square"),
    "random_labelled": ("Random real images, same teacher", GREY, "square-open"),
    "class_mean": ("Class means", COLOURS[5], "diamond"),
    "optimised_random": ("Best of many random draws", COLOURS[7], "square-open"),
    "kmeans": ("k-means centroids", COLOURS[4], "diamond-open"),
    "herding": ("Herding", COLOURS[2], "triangle-up"),
    "kcenter": ("k-center", COLOURS[6], "triangle-down"),
    "easiest": ("Easiest for a teacher", COLOURS[2], "triangle-left"),
    "medium": ("Medium for a teacher", COLOURS[7], "pentagon"),
    "hardest": ("Hardest for a teacher", COLOURS[1], "triangle-right"),
    "el2n": ("Largest early error (EL2N)", COLOURS[8], "hexagon"),
    "forgetting": ("Most often forgotten", COLOURS[4], "cross"),
    "whole": ("All training images", COLOURS[3], "star"),
}
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
CONFIG = {"displayModeBar": False, "scrollZoom": False}


@dataclass(frozen=True)
class Series:
    """One line or row of dots. `spread` is drawn as error bars."""

    name: str
    x: Sequence[Any]
    y: Sequence[Any]
    colour: str = COLOURS[0]
    dash: str = "solid"
    markers: bool = False
    spread: Sequence[float] | None = None
    symbol: str = "circle"


def method_style(name: str) -> tuple[str, str]:
    """(colour, dash) of a method, the same everywhere; no two methods have both in common."""
    from analysis.shared.colours import style

    look = style(name)
    return look.colour, look.dash


def subject(name: str) -> tuple[str, str, str]:
    """(label, colour, marker symbol) of a row of an evaluation."""
    return SUBJECTS.get(name, (name.replace("_", " ").capitalize(), GREY, "x"))


def new_figure() -> Figure:
    """An empty figure; every figure starts here.

    Plotly asks pandas what kind of array it got, as soon as pandas is *being* loaded, and fails when
    another visitor's page is half-way through that: so pandas is loaded first, which waits for it.
    """
    import pandas  # noqa: F401
    import plotly.graph_objects as go

    return go.Figure()


def lines(
    series: Sequence[Series],
    *,
    x: str,
    y: str,
    log_y: bool = False,
    per_cent: bool = False,
    height: int = 300,
) -> Figure:
    """Lines over a common axis. `per_cent` formats y values that are shares."""
    figure = new_figure()
    for s in series:
        figure.add_scatter(
            name=s.name,
            x=list(s.x),
            y=list(s.y),
            mode="lines+markers" if s.markers else "lines",
            line={"color": s.colour, "dash": s.dash, "width": 2},
            marker={"color": s.colour, "symbol": s.symbol, "size": 7},
            error_y={"array": list(s.spread), "thickness": 1} if s.spread else None,
        )
    figure = _framed(figure, x, y, log_y, per_cent, height, legend=len(series) > 1)
    values = {v for s in series for v in s.y}
    if per_cent and len(values) == 1:  # plotly would show -50 % to 150 % around a single value
        value = values.pop()
        figure.update_yaxes(range=[max(0.0, value - 0.05), min(1.0, value + 0.05)])
    return figure


def dots(
    rows: Sequence[tuple[str, Sequence[float], str, str]],
    *,
    x: str,
    per_cent: bool = True,
    height: int | None = None,
) -> Figure:
    """One row of dots per (label, values, colour, symbol) with the mean as a line, first row on top."""
    figure = new_figure()
    for label, values, colour, symbol in rows:
        mean = sum(values) / len(values)
        marker = {"color": colour, "symbol": symbol, "size": 9, "opacity": 0.75}
        figure.add_scatter(
            x=list(values), y=[label] * len(values), mode="markers", marker=marker, name=label
        )
        bar = {"symbol": "line-ns", "size": 22, "color": colour}
        bar |= {"line": {"width": 3, "color": colour}}
        figure.add_scatter(x=[mean], y=[label], mode="markers", marker=bar, name=f"mean of {label}")
    figure.update_yaxes(autorange="reversed", type="category")
    figure = _framed(figure, x, "", False, False, height or 70 + 44 * len(rows), legend=False)
    return figure.update_xaxes(tickformat=".0%") if per_cent else figure


def show(figure: Figure, *, key: str, alt: str) -> None:
    """Draw a figure; `alt` says in a sentence what it shows."""
    views.legible(figure)
    st.plotly_chart(figure, key=key, theme="streamlit", config=CONFIG, alt=unescaped(alt))


def _framed(
    figure: Figure, x: str, y: str, log_y: bool, per_cent: bool, height: int, legend: bool
) -> Figure:
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 28 if legend else 8, "b": 8},
        showlegend=legend,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        hovermode="closest",
    )
    figure.update_xaxes(title=x)
    figure.update_yaxes(title=y or None, type="log" if log_y else None)
    if per_cent:
        figure.update_yaxes(tickformat=".0%")
    return figure
