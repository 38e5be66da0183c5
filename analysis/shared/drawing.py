"""Parts that figures share: an empty plotly figure, an axis frame, an empty seaborn figure.

Plotly and matplotlib are imported when the first figure is drawn. Colours of text and grid are left to
the page's theme.
"""

from __future__ import annotations

import io
import re
import threading
from typing import TYPE_CHECKING, Any

from analysis.contract import Analysis, Arrays, seen
from analysis.results import F, Result
from ddcore.base.foreign_text import unmathematical

if TYPE_CHECKING:
    from matplotlib.figure import Figure as StaticFigure
    from plotly.graph_objects import Figure

FORMATS = {"png": "image/png", "pdf": "application/pdf", "svg": "image/svg+xml"}
DPI = 200
HEIGHT = 380
_LOCK = threading.Lock()  # matplotlib keeps global state; pages draw from several threads
# Same figure, same bytes: no dates, and names of parts that do not change.
_METADATA = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}
_STYLE: Any = {"svg.hashsalt": "analysis", "pdf.fonttype": 42, "font.size": 9}


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


def typeset(text: str) -> str:
    """Text with the minus sign of the axes before negative numbers; names keep their hyphens."""
    return re.sub(r"(?<![\w.-])-(?=\d)", "−", text)


def faded(colour: str, alpha: float) -> str:
    """A "#rrggbb" colour with transparency, as plotly takes it."""
    r, g, b = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({r},{g},{b},{alpha})"


def panels(rows: int = 1, columns: int = 1, width: float = 5.0, height: float = 3.2) -> Any:
    """An empty matplotlib figure in seaborn's "ticks" style and its axes as a (rows, columns) array.

    `width` and `height` are inches of one panel. No window and no pyplot state are involved.
    """
    import matplotlib as mpl
    import seaborn as sns
    from matplotlib.figure import Figure as StaticFigure

    with mpl.rc_context({**sns.axes_style("ticks"), **_STYLE}):
        figure = StaticFigure(figsize=(columns * width, rows * height), layout="constrained")
        return figure, figure.subplots(rows, columns, squeeze=False)


def figure_bytes(figure: StaticFigure, format: str) -> bytes:
    """A static figure as PNG, PDF or SVG; the same figure gives the same bytes."""
    import matplotlib as mpl

    out = io.BytesIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(out, format=format, dpi=DPI, metadata=_METADATA[format])
    return out.getvalue()


def static_bytes(
    analysis: Analysis[Any, F], result: Result[F], arrays: Arrays, format: str
) -> bytes:
    """The static figure of an analysis as bytes; safe to call from several threads."""
    with _LOCK:
        return figure_bytes(analysis.static(seen(result, unmathematical), arrays), format)


def first_panel(analysis: Analysis[Any, F], result: Result[F], arrays: Arrays, width: int) -> bytes:
    """PNG of the first panel of the static figure, `width` pixels wide."""
    import matplotlib as mpl

    out = io.BytesIO()
    with _LOCK, mpl.rc_context(_STYLE):
        figure = analysis.static(seen(result, unmathematical), arrays)
        figure.draw_without_rendering()
        inches = figure.dpi_scale_trans.inverted()
        shown = figure.axes[0].get_tightbbox()
        assert shown, "a panel that is seen"
        panel = shown.transformed(inches).padded(0.08)
        figure.savefig(out, format="png", dpi=width / panel.width, bbox_inches=panel)
    return out.getvalue()
