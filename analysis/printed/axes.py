"""Axes of a printed panel: places beside each other, categories, scales, ranges and marks."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.printed import texts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from plotly.graph_objects import Figure

MOST_TICKS = 6
ROW_LETTERS = 16  # of a line of a row's name where there is little room
FEWEST = 8  # letters of a line of an axis' title
TURNED = 35  # degrees
LETTER, LINE = 4.4, 8.4  # points of a letter and of a line of text of seven points
Domain = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Place:
    """One pair of axes: matplotlib's, plotly's, and the categories of either where it has some."""

    axes: Axes
    x: Any  # plotly's layout of the axis
    y: Any
    x_names: list[str] = field(default_factory=list)
    y_names: list[str] = field(default_factory=list)

    def xs(self, values: Any) -> np.ndarray:
        """(N,) places on the x axis."""
        return _places(values, self.x_names)

    def ys(self, values: Any) -> np.ndarray:
        """(N,) places on the y axis."""
        return _places(values, self.y_names)


def _places(values: Any, names: list[str]) -> np.ndarray:
    """Numbers as they are; categories by their place, others between them as plotly takes numbers."""
    if not names:
        return np.array([np.nan if v is None else v for v in np.asarray(values)], float)
    place = {name: i for i, name in enumerate(names)}
    return np.array([place.get(str(v), np.nan) for v in values], float)


def layout_of(figure: Figure, letter: str, name: str | None) -> Any:
    """The layout of an axis by plotly's short name ("x2"; None for the first)."""
    return figure.layout[f"{letter}axis{(name or letter)[1:]}"]


def pairs(figure: Figure) -> dict[tuple[str, str], list[Any]]:
    """Traces by the axes they are drawn on, in their order."""
    found: dict[tuple[str, str], list[Any]] = {}
    for trace in figure.data:
        found.setdefault((trace.xaxis or "x", trace.yaxis or "y"), []).append(trace)
    return found


def places(figure: Figure, static: Any) -> dict[tuple[str, str], Place]:
    """Axes of an empty matplotlib figure where plotly has its own, in the same proportions."""
    known = pairs(figure)
    xs = sorted({_domain(layout_of(figure, "x", x)) for x, _ in known})
    ys = sorted({_domain(layout_of(figure, "y", y)) for _, y in known}, reverse=True)
    grid = static.add_gridspec(len(ys), len(xs), width_ratios=_long(xs), height_ratios=_long(ys))
    found = {}
    for (x, y), traces in known.items():
        of_x, of_y = layout_of(figure, "x", x), layout_of(figure, "y", y)
        axes = static.add_subplot(grid[ys.index(_domain(of_y)), xs.index(_domain(of_x))])
        every = [t for t in figure.data if _same(figure, "y", t.yaxis or "y", y)]
        found[x, y] = Place(
            axes, of_x, of_y, _names(of_x, traces, "x"), _names(of_y, every or traces, "y")
        )
    return found


def _same(figure: Figure, letter: str, one: str, other: str) -> bool:
    """Whether two axes have one scale."""
    return (
        one == other
        or layout_of(figure, letter, one).matches == other
        or (layout_of(figure, letter, other).matches == one)
    )


def _domain(layout: Any) -> Domain:
    low, high = layout.domain or (0.0, 1.0)
    return float(low), float(high)


def _long(domains: Iterable[Domain]) -> list[float]:
    return [high - low for low, high in domains]


def _names(layout: Any, traces: Sequence[Any], letter: str) -> list[str]:
    """The categories of an axis in order; [] of one with numbers."""
    given = [trace[letter] for trace in traces if letter in trace]  # pictures have none
    values = [each for each in given if each is not None]
    named = layout.type == "category" or (
        layout.type is None and any(isinstance(v, str) for own in values for v in own)
    )
    if not named:
        return []
    order = layout.categoryarray if layout.categoryarray is not None else ()
    return list(dict.fromkeys([*map(str, order), *(str(v) for own in values for v in own)]))


def finish(places: Mapping[tuple[str, str], Place], narrow: bool) -> None:
    """Scales, ranges, marks and titles, once everything is drawn.

    `narrow`: names of rows are broken into lines, and there are few marks where axes are beside each other.
    """
    seen: set[str] = set()
    columns = len({x for x, _ in places})
    for (_, y), place in places.items():
        for letter, layout, names in (("x", place.x, place.x_names), ("y", place.y, place.y_names)):
            axis = getattr(place.axes, f"{letter}axis")
            if layout.visible is False:
                axis.set_visible(False)
                continue
            _scale(place.axes, letter, layout, names)
            most = MOST_TICKS if letter == "y" or not narrow else max(2, MOST_TICKS // columns)
            _marks(axis, layout, _rows(names) if narrow and letter == "y" else names, most)
            if layout.title.text:
                getattr(place.axes, f"set_{letter}label")(texts.shown(layout.title.text))
        _hide(place, beside=place.y.matches is not None or (y in seen))
        seen.add(y)


def _rows(names: list[str]) -> list[str]:
    """Names of rows in lines."""
    return ["\n".join(textwrap.wrap(" ".join(n.split()), ROW_LETTERS)) for n in names]


def _hide(place: Place, beside: bool) -> None:
    """Take away what a page does not show; `beside`: the axes on the left have the names of the rows."""
    axes = place.axes
    if beside or place.y.showticklabels is False:
        axes.tick_params(axis="y", labelleft=False, left=not place.y_names)
    if place.x.showticklabels is False:
        axes.tick_params(axis="x", labelbottom=False, bottom=False)
        axes.tick_params(axis="y", left=False)
    axes.spines[["top", "right"]].set_visible(False)
    if place.x.visible is False:
        axes.spines[:].set_visible(False)


def _scale(axes: Axes, letter: str, layout: Any, names: list[str]) -> None:
    limit = getattr(axes, f"set_{letter}lim")
    if layout.type == "log":
        getattr(axes, f"set_{letter}scale")("log")
    if layout.range is not None:
        low, high = layout.range
        limit(*((10.0**low, 10.0**high) if layout.type == "log" else (low, high)))
    elif names:
        low, high = getattr(axes, f"get_{letter}lim")()
        limit(min(-0.5, low), max(len(names) - 0.5, high))
    elif layout.rangemode == "tozero":
        limit(**{"left" if letter == "x" else "bottom": 0})
    if layout.autorange == "reversed":
        low, high = getattr(axes, f"get_{letter}lim")()
        limit(max(low, high), min(low, high))


def _marks(axis: Any, layout: Any, names: list[str], most: int) -> None:
    from matplotlib.ticker import (
        FixedLocator,
        FuncFormatter,
        MaxNLocator,
        MultipleLocator,
        NullLocator,
    )

    form = texts.formatter(layout.tickformat)
    if names:
        axis.set_ticks(range(len(names)), [texts.shown(name) for name in names])
    elif layout.tickvals is not None:
        written = layout.ticktext if layout.ticktext is not None else layout.tickvals
        axis.set_major_locator(FixedLocator(list(layout.tickvals)))
        axis.set_minor_locator(
            NullLocator()
        )  # within a decade matplotlib would write its own between
        axis.set_ticklabels([texts.shown(text) for text in written])
    elif layout.type == "log":
        _decades(axis)
    else:
        step = layout.dtick
        axis.set_major_locator(MultipleLocator(step) if step else MaxNLocator(most))
        if form:
            axis.set_major_formatter(FuncFormatter(form))


def _decades(axis: Any) -> None:
    """Powers of ten; where there are few of them, the numbers between are written too."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = sorted(axis.get_view_interval())
    few = low > 0 and np.log10(high / low) < 2
    write = FuncFormatter(lambda value, _: f"{value:g}")
    axis.set_major_locator(LogLocator())
    axis.set_minor_locator(LogLocator(subs=(2, 5)))
    if few:
        axis.set_major_formatter(write)
    axis.set_minor_formatter(write if few else NullFormatter())


# --- as much as there is room for ---------------------------------------------------------------------


def fit(place: Place) -> float:
    """Once it is laid out: names and titles in as many lines as they need, not all where there are too many.

    Returns the inches by which the figure has to be higher for names below it.
    """
    figure = place.axes.figure
    box = place.axes.get_window_extent().transformed(figure.dpi_scale_trans.inverted())
    wide, high = 72 * box.width, 72 * box.height  # points
    for letter, room in (("x", wide), ("y", high)):
        _wrap_title(place.axes, letter, room)
    if place.y_names and place.y.visible is not False:
        _thin(place, high)
    seen = place.x.visible is not False and place.x.showticklabels is not False
    written = place.x_names or place.x.ticktext is not None
    return _columns(place, wide) / 72 if seen and written else 0.0


def _wrap_title(axes: Axes, letter: str, room: float) -> None:
    """An axis' title in lines no longer than the axis, by their measured length in points."""
    label = getattr(axes, f"{letter}axis").label
    title, letters = label.get_text(), int(room / LETTER)
    while letters > FEWEST:
        label.set_text("\n".join(textwrap.wrap(title, letters)))
        box = label.get_window_extent()
        length = 72 * (box.width if letter == "x" else box.height) / axes.figure.dpi
        if length <= room:
            return
        letters = min(letters - 1, int(letters * room / length))
    label.set_text("\n".join(textwrap.wrap(title, FEWEST)))


def _thin(place: Place, high: float) -> None:
    """Every second name of rows, or every third, where not all fit."""
    axis = place.axes.yaxis
    ticks, names = list(axis.get_ticklocs()), [t.get_text() for t in axis.get_ticklabels()]
    every, lines = 1, max((name.count("\n") + 1 for name in names), default=1)
    while len(names[::every]) * lines * LINE > high and every < len(names):
        every += 1
    axis.set_ticks(ticks[::every], names[::every])


def _columns(place: Place, wide: float) -> float:
    """Names below an axis in lines where its words fit, else turned; returns the points they need more."""
    axis = place.axes.xaxis
    names = [" ".join(tick.get_text().split()) for tick in axis.get_ticklabels()]
    letters = int(wide / max(1, len(names)) / LETTER) - 1
    longest = max(map(len, names), default=0)
    if longest <= letters:
        return 0.0
    if max(len(word) for name in names for word in name.split(" ")) <= letters:
        broken = ["\n".join(textwrap.wrap(name, letters)) for name in names]
        axis.set_ticklabels(broken)
        return LINE * max(name.count("\n") for name in broken)
    axis.set_ticklabels(names, rotation=TURNED, ha="right", rotation_mode="anchor")
    return LETTER * longest * float(np.sin(np.radians(TURNED)))
