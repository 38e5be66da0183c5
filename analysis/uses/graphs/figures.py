"""Figures of a condensed graph: nodes and links, a map with the real nodes, edges by class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.shared.colours import REAL, SERIES
from analysis.shared.drawing import faded, new_figure
from analysis.single import graphs

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

HEIGHT = 400
BINS = (0.2, 0.4, 0.6, 0.8, 1.0)  # of a link's weight, each drawn stronger than the one before
REAL_SHOWN = 3000  # points of the real graph
WEAK = 0.85  # share of the pairs that the threshold first hides


def first_threshold(edges: np.ndarray) -> float:
    """Hides most pairs, so that the strongest links can be told apart."""
    n = len(edges)
    if not edges.any():
        return 0.0
    upper = edges[np.triu_indices(n, 1)]
    return float(min(0.95, np.floor(np.quantile(upper, WEAK) * 20) / 20))


def colour(c: int) -> str:
    """Of a class."""
    return SERIES[c % len(SERIES)]


def links_and_nodes(
    edges: np.ndarray, labels: np.ndarray, names: Sequence[str], threshold: float
) -> Figure:
    """Nodes in rings of their classes; links above the threshold, the stronger the heavier."""
    places = graphs.ring_places(labels)
    figure = new_figure()
    i, j = np.nonzero(np.triu(edges > threshold, 1))
    weights, same = edges[i, j], labels[i] == labels[j]
    groups = [(-1, REAL), *((int(c), colour(int(c))) for c in np.unique(labels))]
    for c, shade in groups:
        mine = ~same if c < 0 else same & (labels[i] == c)
        for low, high in zip((0.0, *BINS), BINS):
            rows = np.flatnonzero(mine & (weights > low) & (weights <= high))
            if len(rows):
                lines = np.full((len(rows), 3, 2), np.nan)
                lines[:, 0], lines[:, 1] = places[i[rows]], places[j[rows]]
                x, y = lines.reshape(-1, 2).T
                line = {"color": faded(shade, 0.12 + 0.5 * high), "width": 0.4 + 1.4 * high}
                figure.add_scatter(
                    x=x, y=y, mode="lines", line=line, hoverinfo="skip", showlegend=False
                )
    strength = np.where(edges > threshold, edges, 0).sum(1)
    for c in np.unique(labels):
        rows = np.flatnonzero(labels == c)
        figure.add_scatter(
            x=places[rows, 0],
            y=places[rows, 1],
            mode="markers",
            name=f"class {names[c]}",
            marker={"color": colour(int(c)), "size": 10, "line": {"width": 1, "color": "white"}},
            text=[f"node {r}, class {names[c]}, links {strength[r]:.1f}" for r in rows],
            hoverinfo="text",
        )
    bare = {"visible": False, "fixedrange": True, "range": [-1.55, 1.55]}
    figure.update_layout(height=HEIGHT, margin={"l": 0, "r": 0, "t": 0, "b": 0}, showlegend=False)
    figure.update_xaxes(**bare)
    return figure.update_yaxes(**bare, scaleanchor="x")


def map_of(
    real: dict[str, np.ndarray] | None,
    places: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
) -> Figure:
    """P²X of the real nodes, pale, and of the condensed ones, in the same two directions."""
    figure = new_figure()
    if real is not None:
        shown = np.flatnonzero(real["labels"] >= 0)[:REAL_SHOWN]
        for c in range(len(names)):
            rows = shown[real["labels"][shown] == c]
            figure.add_scattergl(
                x=real["places"][rows, 0],
                y=real["places"][rows, 1],
                mode="markers",
                marker={"color": colour(c), "size": 3, "opacity": 0.35},
                hoverinfo="skip",
                showlegend=False,
            )
    for c in np.unique(labels):
        rows = np.flatnonzero(labels == c)
        figure.add_scatter(
            x=places[rows, 0],
            y=places[rows, 1],
            mode="markers",
            name=f"class {names[c]}",
            marker={
                "color": colour(int(c)),
                "size": 10,
                "symbol": "diamond",
                "line": {"width": 1, "color": "white"},
            },
            text=[f"node {r}, class {names[c]}" for r in rows],
            hoverinfo="text",
        )
    figure.update_layout(
        height=HEIGHT,
        margin={"l": 0, "r": 0, "t": 28, "b": 0},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )
    hidden = {"showticklabels": False, "zeroline": False}
    x, y = _ranges(real, places)
    figure.update_xaxes(title="first direction of P²X", range=x, **hidden)
    return figure.update_yaxes(title="second", range=y, **hidden)


def _ranges(real: dict[str, np.ndarray] | None, places: np.ndarray) -> list[list[float]]:
    """Both axes over all condensed nodes and most of the real ones, so that few far ones do not rule."""
    ends = [places.min(0), places.max(0)]
    if real is not None:
        low, high = np.quantile(real["places"], [0.01, 0.99], axis=0)
        ends = [np.minimum(ends[0], low), np.maximum(ends[1], high)]
    margin = 0.05 * (ends[1] - ends[0])
    return np.stack([ends[0] - margin, ends[1] + margin], 1).tolist()


def by_class(edges: np.ndarray, labels: np.ndarray, names: Sequence[str], density: Any) -> Figure:
    """All edges sorted by class, their block means, and the real graph's; each has its own scale."""
    new_figure()  # loads plotly the way that is safe
    from plotly.subplots import make_subplots

    order = np.argsort(labels, kind="stable")
    means = graphs.blocks(edges, labels, len(names))
    titles = ["edges of the set, sorted by class", "their means by class"]
    panels: list[tuple[np.ndarray, list[str] | None]] = [
        (edges[order][:, order], None),
        (means, list(names)),
    ]
    if density is not None:
        titles.append("the real graph: edges per pair")
        panels.append((np.asarray(density), list(names)))
    figure = make_subplots(1, len(panels), subplot_titles=titles, horizontal_spacing=0.06)
    for k, (matrix, ticks) in enumerate(panels, 1):
        figure.add_heatmap(
            z=matrix,
            x=ticks,
            y=ticks,
            colorscale="Viridis",
            showscale=False,
            zmin=0,
            hovertemplate="%{y}, %{x}: %{z:.3g}<extra></extra>",
            row=1,
            col=k,
        )
        axes = {"constrain": "domain", "type": "category" if ticks else None}
        figure.update_xaxes(**axes, showticklabels=ticks is not None, row=1, col=k)
        figure.update_yaxes(
            **axes,
            autorange="reversed",
            scaleanchor=f"x{k}",
            showticklabels=ticks is not None,
            row=1,
            col=k,
        )
    for edge in np.flatnonzero(np.diff(labels[order])) + 0.5:
        figure.add_vline(edge, line_color="white", line_width=1, row=1, col=1)
        figure.add_hline(edge, line_color="white", line_width=1, row=1, col=1)
    return figure.update_layout(height=330, margin={"l": 8, "r": 8, "t": 32, "b": 8})
