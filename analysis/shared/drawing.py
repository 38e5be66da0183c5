"""Parts that figures share: an empty plotly figure, signs, colours with transparency.

Plotly is imported when the first figure is drawn. Colours of text and grid are left to
the page's theme.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

HEIGHT = 380


def new_figure(
    x: str = "",
    y: str = "",
    *,
    per_cent: bool = False,
    height: int = HEIGHT,
    legend: bool = True,
    **layout: Any,
) -> Figure:
    """An empty plotly figure with titled axes; `per_cent` writes y values that are shares as per cent.

    Plotly asks pandas what kind of array it got, as soon as pandas is *being* loaded, and fails when
    another visitor's page is half-way through that: so pandas is loaded first, which waits for it.
    """
    import pandas  # noqa: F401
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 28 if legend else 8, "b": 8},
        showlegend=legend,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        hovermode="closest",
        **layout,
    )
    figure.update_xaxes(title=x or None)
    figure.update_yaxes(title=y or None, tickformat=".0%" if per_cent else None)
    return figure


def bars(deviations: Any) -> dict[str, Any] | None:
    """Error bars as plotly takes them; none where there is no spread."""
    return None if deviations is None else {"array": deviations, "thickness": 1, "width": 2}


def typeset(text: str) -> str:
    """Text with the minus sign of the axes before negative numbers; names keep their hyphens."""
    return re.sub(r"(?<![\w.-])-(?=\d)", "−", text)


def faded(colour: str, alpha: float) -> str:
    """A "#rrggbb" colour with transparency, as plotly takes it."""
    r, g, b = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({r},{g},{b},{alpha})"
