"""Traces of plotly as matplotlib draws them: lines, points, bars, boxes, violins, cells, pictures."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from analysis.printed import texts
from analysis.printed.axes import Place
from analysis.shared import colours

POINTS = 0.55  # points of print for a screen pixel
MARKERS = {"line-ns": "|", "line-ew": "_", "asterisk": "*", "cross-thin": "+", "x-thin": "x"}
LOOKS = ("color", "size", "symbol", "opacity")  # of points, each of them maybe of every single one
CELL_SIZE = 6  # points of text in cells
BRIGHT = 0.55  # of a cell: above it its text is black
_COLOUR = re.compile(r"rgba?\(([^)]*)\)")


def draw(place: Place, trace: Any) -> list[Any]:
    """Draw a trace; returns what stands for it in a legend. `ValueError` for a kind that is unknown here."""
    known: dict[str, Callable[[Place, Any], list[Any]]] = {
        "scatter": _scatter,
        "scattergl": _scatter,
        "bar": _bar,
        "box": _box,
        "violin": _violin,
        "heatmap": _heatmap,
        "image": _image,
    }
    if trace.type not in known:
        raise ValueError(f"trace: {trace.type!r} is no kind that is printed")
    if trace.visible in (False, "legendonly") or trace.opacity == 0:
        return []
    return known[trace.type](place, trace)


def colour(value: Any, opacity: float | None = None) -> Any:
    """A colour of plotly as matplotlib takes it."""
    alpha = 1.0 if opacity is None else float(opacity)
    if isinstance(value, str) and (found := _COLOUR.fullmatch(value)):
        r, g, b, *a = (float(part) for part in found[1].split(","))
        return (r / 255, g / 255, b / 255, alpha * (a[0] if a else 1.0))
    from matplotlib.colors import to_rgba

    return to_rgba(value or colours.REAL, alpha)


def marker(symbol: str | None) -> tuple[str, bool]:
    """Matplotlib's marker for a symbol of plotly, and whether it is filled; `ValueError` for unknown ones."""
    name, filled = symbol or "circle", True
    for ending in ("-dot", "-open"):
        if name.endswith(ending) and name not in MARKERS:
            filled &= ending != "-open"
            name = name.removesuffix(ending)
    known = colours.MARKERS | MARKERS
    if name not in known:
        raise ValueError(f"marker: {symbol!r} is no symbol that is printed")
    return known[name], filled and known[name] not in "x|_+"


# --- lines and points -------------------------------------------------------------------------------


def _scatter(place: Place, trace: Any) -> list[Any]:
    if trace.x is None or trace.y is None:
        return []
    x, y = place.xs(trace.x), place.ys(trace.y)
    mode = trace.mode or "lines+markers"
    if trace.fill == "toself":
        return place.axes.fill(x, y, facecolor=colour(trace.fillcolor), linewidth=0)
    look = _line(trace) if "lines" in mode else {"linestyle": "none"}
    if "markers" in mode and _each(trace):
        return _points(place, trace, x, y)
    if "markers" in mode:
        look |= _marker(trace)
    own = colour(trace.line.color or trace.marker.color or "#000000", trace.opacity)
    step = {"hv": "steps-post", "vh": "steps-pre", "hvh": "steps-mid"}.get(trace.line.shape)
    drawn = place.axes.plot(
        x,
        y,
        color=own,
        clip_on=not ("cliponaxis" in trace and trace.cliponaxis is False),
        drawstyle=step or "default",
        **look,
    )
    _errors(place, trace, x, y, own)
    return drawn


def _each(trace: Any) -> bool:
    """Whether points have colours, sizes or symbols of their own."""
    return any(isinstance(trace.marker[n], (tuple, list, np.ndarray)) for n in LOOKS)


def _points(place: Place, trace: Any, x: np.ndarray, y: np.ndarray) -> list[Any]:
    """Points without a line, those that look alike together."""
    given = [trace.marker[name] for name in LOOKS]
    every = zip(*(v if isinstance(v, (tuple, list, np.ndarray)) else [v] * len(x) for v in given))
    alike: dict[Any, list[int]] = {}
    for row, look in enumerate(every):
        alike.setdefault(look, []).append(row)
    drawn = []
    for look, rows in alike.items():
        own = _marker(trace, dict(zip(LOOKS, look)))
        drawn += place.axes.plot(x[rows], y[rows], linestyle="none", **own)
    return drawn[:1]


def _line(trace: Any) -> dict[str, Any]:
    width = 2 if trace.line.width is None else trace.line.width
    if width == 0:
        return {"linestyle": "none"}
    return {"linestyle": colours.LINES[trace.line.dash or "solid"], "linewidth": width * POINTS}


def _marker(trace: Any, of: dict[str, Any] | None = None) -> dict[str, Any]:
    """How points of a trace look; `of` says it of some that have looks of their own."""
    own_look = {name: trace.marker[name] for name in LOOKS} | (of or {})
    shape, filled = marker(own_look["symbol"])
    own = colour(own_look["color"] or trace.line.color or "#000000", own_look["opacity"])
    edge, width = trace.marker.line.color, trace.marker.line.width
    size = 6 if own_look["size"] is None else float(own_look["size"])
    return {
        "marker": shape,
        "markersize": size * POINTS,
        "markerfacecolor": own if filled else "none",
        "markeredgecolor": colour(edge) if edge and filled else own,
        "markeredgewidth": (1.2 if width is None else width) * POINTS if not filled or edge else 0,
    }


def _errors(place: Place, trace: Any, x: np.ndarray, y: np.ndarray, own: Any) -> None:
    """Bars of what is uncertain, in either direction."""
    bars = {f"{letter}err": _spread(trace[f"error_{letter}"]) for letter in "xy"}
    given: dict[str, Any] = {name: value for name, value in bars.items() if value is not None}
    if given:
        place.axes.errorbar(
            x, y, fmt="none", ecolor=own, elinewidth=1.5 * POINTS, capsize=1.5, **given
        )


def _spread(error: Any) -> np.ndarray | None:
    """(2, N) below and above, at least 0; None where there is none."""
    if error.array is None:
        return None
    above = np.asarray(error.array, float)
    below = above if error.arrayminus is None else np.asarray(error.arrayminus, float)
    return np.nan_to_num(np.stack([below, above])).clip(0)


# --- bars and distributions -------------------------------------------------------------------------


def _bar(place: Place, trace: Any) -> list[Any]:
    """Bars beside those of the other traces on the same axes."""
    others = [t for t in trace.parent.data if t.type == "bar" and t.visible is not False]
    width = 0.8 / len(others)
    shift = (next(i for i, t in enumerate(others) if t is trace) + 0.5) * width - 0.4
    x, y = place.xs(trace.x) + shift, place.ys(trace.y)
    given, clear = trace.marker.color, trace.marker.opacity
    several = isinstance(given, (tuple, list, np.ndarray))
    own = [colour(c, clear) for c in given] if several else colour(given, clear)
    drawn = place.axes.bar(x, y, width, color=own, linewidth=0)
    _errors(place, trace, x, y, "#333333")
    return [drawn]


def _box(place: Place, trace: Any) -> list[Any]:
    """Boxes across, a row for each category; whiskers reach 1.5 times the box, as plotly draws them."""
    rows, values = place.ys(trace.y), np.asarray(trace.x, float)
    own = colour(trace.line.color)
    every = trace.boxpoints == "all"
    for row in np.unique(rows):
        place.axes.boxplot(
            values[rows == row],
            positions=[row],
            orientation="horizontal",
            widths=0.5,
            manage_ticks=False,
            patch_artist=True,
            showfliers=not every,
            boxprops={"facecolor": colour(trace.fillcolor), "edgecolor": own, "linewidth": 0.8},
            medianprops={"color": own, "linewidth": 1.2},
            whiskerprops={"color": own, "linewidth": 0.8},
            capprops={"color": own, "linewidth": 0.8},
            flierprops=_dots(trace),
        )
        if every:
            _strewn(place, trace, values[rows == row], row, 0.5 * (trace.jitter or 0))
    return []


def _violin(place: Place, trace: Any) -> list[Any]:
    """Densities across, one for each category, above its line; points where plotly has them."""
    rows, values = place.ys(trace.y), np.asarray(trace.x, float)
    drawn = []
    half = (trace.width or 1.0) / 2
    for row in np.unique(rows):
        own = values[rows == row]
        at, height = density(own, trace.bandwidth)
        drawn += [
            place.axes.fill_between(
                at,
                row,
                row + half * height / height.max(),
                facecolor=colour(trace.fillcolor),
                edgecolor=colour(trace.line.color),
                linewidth=0.8,
            )
        ]
        if trace.points == "all":
            shift = (trace.pointpos or 0) * half
            _strewn(place, trace, own, row + shift, half * (trace.jitter or 0))
    return drawn[:1]


def density(
    values: np.ndarray, bandwidth: float, points: int = 200
) -> tuple[np.ndarray, np.ndarray]:
    """A Gaussian kernel density of `values`: where, and how dense it is there (area 1)."""
    at = np.linspace(values.min() - 3 * bandwidth, values.max() + 3 * bandwidth, points)
    away = (at[:, None] - values) / bandwidth
    return at, np.exp(-(away**2) / 2).mean(1) / (bandwidth * np.sqrt(2 * np.pi))


def _strewn(place: Place, trace: Any, values: np.ndarray, row: float, across: float) -> None:
    """The values as points, apart from each other in an order that is always the same."""
    golden = (np.arange(len(values)) * 0.618034) % 1 - 0.5
    place.axes.plot(values, row + across * golden, linestyle="none", **_dots(trace))


def _dots(trace: Any) -> dict[str, Any]:
    return _marker(trace) | {"markeredgewidth": 0.4}


# --- cells and pictures -----------------------------------------------------------------------------


def _heatmap(place: Place, trace: Any) -> list[Any]:
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    z = np.array([[np.nan if v is None else v for v in row] for row in trace.z], float)
    stops = [(float(at), colour(c)) for at, c in trace.colorscale or [(0, "white"), (1, "black")]]
    scale = LinearSegmentedColormap.from_list("cells", stops)
    low = np.nanmin(z) if trace.zmin is None else trace.zmin
    high = np.nanmax(z) if trace.zmax is None else trace.zmax
    x, y = _steps(trace.x, z.shape[1]), _steps(trace.y, z.shape[0])
    columns, rows = place.xs(x), place.ys(y)
    cells = place.axes.pcolormesh(columns, rows, z, cmap=scale, norm=Normalize(low, high))
    if trace.text is not None and trace.texttemplate:
        _cell_texts(place, trace, z, columns, rows, cells)
    if trace.showscale is not False:
        bar = place.axes.figure.colorbar(cells, ax=place.axes, fraction=0.05, pad=0.02)
        bar.outline.set_visible(False)
        bar.ax.tick_params(width=0.5, length=2)
        if form := texts.formatter(trace.colorbar.tickformat):
            bar.ax.yaxis.set_major_formatter(form)
        if trace.colorbar.title.text:
            bar.set_label(texts.shown(trace.colorbar.title.text))
    return []


def _steps(values: Any, count: int) -> Any:
    return np.arange(count) if values is None else values


def _cell_texts(
    place: Place, trace: Any, z: np.ndarray, columns: np.ndarray, rows: np.ndarray, cells: Any
) -> None:
    for i, j in np.ndindex(z.shape):
        if np.isfinite(z[i, j]):
            r, g, b, _ = cells.cmap(cells.norm(z[i, j]))
            bright = 0.2126 * r + 0.7152 * g + 0.0722 * b > BRIGHT
            text = texts.shown(trace.text[i][j])
            ink = "black" if bright else "white"
            at: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": CELL_SIZE}
            place.axes.text(float(columns[j]), float(rows[i]), text, color=ink, **at)


def picture_size(figure: Any) -> tuple[int, int] | None:
    """(height, width) of the picture that a figure consists of, in its pixels; None for other figures."""
    if any(trace.type != "image" for trace in figure.data):
        return None
    return _pixels(figure.data[0]).shape[:2]


def _pixels(trace: Any) -> np.ndarray:
    """(H, W) or (H, W, 3 or 4) of the picture in a trace."""
    from matplotlib.image import imread

    return imread(io.BytesIO(base64.b64decode(trace.source.partition(",")[2])))


def _image(place: Place, trace: Any) -> list[Any]:
    pixels = _pixels(trace)
    grey: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 1} if pixels.ndim == 2 else {}
    place.axes.imshow(pixels, interpolation="none", **grey)
    return []
