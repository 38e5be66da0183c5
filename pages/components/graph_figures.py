"""Accuracy of a condensed graph without its weaker edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ddcore.graphs.rows import GraphRow
from pages.components import charts

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def against_threshold(rows: Sequence[dict[str, Any]], mean: GraphRow | None) -> Figure:
    """Accuracy of the set without its weaker edges, at the best look and at the last."""
    x = [row["threshold"] for row in rows]
    series = [
        charts.Series(
            label,
            x,
            [row[column]["mean"] for row in rows],
            charts.COLOURS[0],
            dash,
            markers=True,
            spread=[row[column]["std"] or 0.0 for row in rows],
            symbol=symbol,
        )
        for column, label, dash, symbol in (
            ("best", "best validation", "solid", "circle"),
            ("last", "last epoch", "dash", "circle-open"),
        )
    ]
    figure = charts.lines(
        series, x="edges above this weight are kept", y="test accuracy", per_cent=True
    )
    if mean:
        figure.add_hline(
            mean.best["mean"],
            line_dash="dot",
            line_color=charts.subject("class_mean")[1],
            annotation_text="class mean of P²X, no edges",
            annotation_position="bottom right",
        )
    return figure
