"""One panel of a page as a file: at the width of a column, with its legend, and where it comes from."""

from __future__ import annotations

import io
import textwrap
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analysis.printed import additions, axes, marks, texts
from ddcore.base.foreign_text import unmathematical

if TYPE_CHECKING:
    from matplotlib.figure import Figure as StaticFigure
    from plotly.graph_objects import Figure

FORMATS = {"png": "image/png", "pdf": "application/pdf", "svg": "image/svg+xml"}
WIDTHS = {"single": 3.25, "double": 6.75}  # inches of one column of two, and of both
HEIGHTS = {"single": 2.4, "double": 3.0}  # inches where a page gives a figure `USUAL` screen pixels
USUAL = 380
LEAST, MOST = 1.4, 9.0  # inches
DPI = 300
NARROW = 4.0  # inches: below it names and titles are broken into lines
KEY_SIZE = 4  # points of a marker in a legend that has all of one size
SIZE, SMALL = 7, 5  # points of text, and of the line about where it comes from
LOCK = threading.Lock()  # matplotlib keeps global state; pages draw from several threads
# Fonts are embedded as they are, so that text stays text; in SVG it becomes paths, which need no font.
_STYLE: Any = {
    "svg.hashsalt": "analysis",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "font.size": SIZE,
    "axes.labelsize": SIZE,
    "axes.titlesize": SIZE,
    "xtick.labelsize": SIZE,
    "ytick.labelsize": SIZE,
    "legend.fontsize": SIZE,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "axes.unicode_minus": True,
}
# Same figure, same bytes: no dates, and names of parts that do not change.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {},
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
}


@dataclass(frozen=True, eq=False)
class Panel:
    """A figure of a page with its title; `text` says what it shows."""

    title: str
    figure: Figure
    text: str = ""


def content(panel: Panel, format: str, width: str = "single", provenance: str = "") -> bytes:
    """The panel as one of `FORMATS`, one of `WIDTHS` wide; the same panel gives the same bytes.

    `provenance` is written below it, unless it is "".
    """
    return drawn_bytes(panel.figure, format, WIDTHS[width], height(panel.figure, width), provenance)


def height(figure: Figure, width: str) -> float:
    """Inches of the panel without legend and line, in proportion to those of the page."""
    wanted = HEIGHTS[width] * (figure.layout.height or USUAL) / USUAL
    if picture := marks.picture_size(figure):
        wanted = WIDTHS[width] * picture[0] / picture[1]
    return min(MOST, max(LEAST, wanted))


def drawn_bytes(
    figure: Figure, format: str, wide: float, high: float, provenance: str = "", dpi: int = DPI
) -> bytes:
    """The same at any size, in inches."""
    import matplotlib as mpl
    import seaborn as sns

    out = io.BytesIO()
    with LOCK, mpl.rc_context({**sns.axes_style("ticks"), **_STYLE}):
        static = draw(figure, wide, high, provenance)
        static.savefig(out, format=format, dpi=dpi, metadata=_METADATA[format])
    return out.getvalue()


def draw(figure: Figure, wide: float, high: float, provenance: str = "") -> StaticFigure:
    """The matplotlib figure of a plotly figure; what it needs beside its axes is added to its height."""
    from matplotlib.figure import Figure as StaticFigure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03)
    static = StaticFigure(figsize=(wide, high), layout=layout)
    places = axes.places(figure, static)
    handles: dict[str, Any] = {}
    for pair, traces in axes.pairs(figure).items():
        for trace in traces:
            found = marks.draw(places[pair], trace)
            if found and trace.name and trace.showlegend is not False:
                handles.setdefault(texts.shown(trace.name), found[0])
    additions.draw(figure, places)
    axes.finish(places, narrow=wide < NARROW)
    extra = _legend(static, figure, handles) if figure.layout.showlegend is not False else 0.0
    if provenance:
        extra += _line(static, provenance)
    static.set_size_inches(wide, high + extra)
    static.draw_without_rendering()  # from here on it is known how much room there is
    extra += max(axes.fit(place) for place in places.values())
    static.set_size_inches(wide, high + extra)
    return static


def _legend(static: StaticFigure, figure: Figure, handles: dict[str, Any]) -> float:
    """A legend above the axes in as many columns as fit; returns the inches it takes."""
    wide = static.get_figwidth()
    size = {"markersize": KEY_SIZE} if figure.layout.legend.itemsizing == "constant" else {}
    for columns in range(len(handles), 0, -1):
        legend = static.legend(
            handles.values(),
            handles.keys(),
            loc="outside upper left",
            ncols=columns,
            frameon=False,
            borderaxespad=0.2,
            columnspacing=1.2,
            handlelength=1.6,
            handletextpad=0.5,
        )
        box = legend.get_window_extent().transformed(static.dpi_scale_trans.inverted())
        if box.width <= wide or columns == 1:
            for handle in filter(None, legend.legend_handles if size else ()):
                handle.set(**size)
            return float(box.height)
        legend.remove()
    return 0.0


def _line(static: StaticFigure, provenance: str) -> float:
    """Where the figure comes from, in small grey letters below it; returns the inches it takes."""
    letters = int(72 * static.get_figwidth() / (0.56 * SMALL))
    lines = textwrap.wrap(provenance, letters)
    text = unmathematical("\n".join(lines))
    static.supxlabel(text, fontsize=SMALL, color="#555555", x=0.01, ha="left")
    return len(lines) * SMALL * 1.3 / 72
