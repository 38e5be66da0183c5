"""What figures have besides traces: lines across, areas, words at a place, titles of parts."""

from __future__ import annotations

import textwrap
from typing import Any

from analysis.printed import texts
from analysis.printed.axes import Place
from analysis.printed.marks import POINTS, colour
from analysis.shared import colours

SMALLEST = 5  # points of words among pictures
LETTER = 0.52  # width of a letter, of its height, about
Places = dict[tuple[str, str], Place]


def draw(figure: Any, places: Places) -> None:
    """All shapes and annotations of a figure."""
    for shape in figure.layout.shapes:
        place = _place(places, shape.xref, shape.yref)
        if place and shape.visible is not False:
            _shape(place, shape)
    for note in figure.layout.annotations:
        if note.xref == note.yref == "paper":
            _title(places, note)
        elif place := _place(places, note.xref, note.yref):
            _words(place, note)


def _place(places: Places, xref: str | None, yref: str | None) -> Place | None:
    """The axes that a reference means ("x2", "y domain"); the first ones where it means the paper."""
    names = [(ref or letter).split()[0] for ref, letter in ((xref, "x"), (yref, "y"))]
    for (x, y), place in places.items():
        if names[0] in (x, "paper") and names[1] in (y, "paper"):
            return place
    return None


def _across(ref: str | None) -> bool:
    """Whether a reference counts in shares of the axes."""
    return ref is not None and (ref == "paper" or ref.endswith("domain"))


def _shape(place: Place, shape: Any) -> None:
    axes = place.axes
    x0, x1 = _ends(place, shape, "x")
    y0, y1 = _ends(place, shape, "y")
    width = 2 if shape.line.width is None else shape.line.width
    look = {
        "color": colour(shape.line.color or colours.REAL),
        "linewidth": width * POINTS,
        "linestyle": colours.LINES[shape.line.dash or "solid"],
    }
    if shape.type == "line":
        if _across(shape.yref):
            axes.axvline(x0, y0, y1, **look)
        elif _across(shape.xref):
            axes.axhline(y0, x0, x1, **look)
        else:
            axes.plot([x0, x1], [y0, y1], **look)
        return
    face = colour(shape.fillcolor) if shape.fillcolor else "none"
    edge = (
        {"edgecolor": look["color"], "linewidth": look["linewidth"]} if width else {"linewidth": 0}
    )
    if _across(shape.yref):
        axes.axvspan(x0, x1, y0, y1, facecolor=face, zorder=0.5, **edge)
    elif _across(shape.xref):
        axes.axhspan(y0, y1, x0, x1, facecolor=face, zorder=0.5, **edge)
    else:
        axes.fill([x0, x1, x1, x0], [y0, y0, y1, y1], facecolor=face, **edge)


def _ends(place: Place, shape: Any, letter: str) -> tuple[float, float]:
    ends = (shape[f"{letter}0"], shape[f"{letter}1"])
    if _across(shape[f"{letter}ref"]) or not getattr(place, f"{letter}_names"):
        return ends
    return _coordinate(place, letter, ends[0]), _coordinate(place, letter, ends[1])


def _coordinate(place: Place, letter: str, value: Any) -> float:
    """A category by its place; numbers count places already."""
    if isinstance(value, str) and getattr(place, f"{letter}_names"):
        return float(getattr(place, f"{letter}s")([value])[0])
    return float(value)


def _title(places: Places, note: Any) -> None:
    """The title of a part: above the axes that it is nearest to."""
    if not note.text or not places:
        return

    def away(place: Place) -> float:
        (left, right), (_, top) = place.x.domain or (0, 1), place.y.domain or (0, 1)
        return abs((left + right) / 2 - note.x) + abs(top - note.y)

    nearest = min(places.values(), key=away)
    left, right = nearest.x.domain or (0, 1)
    root, size = nearest.axes.get_figure(root=True), float(nearest.axes.title.get_fontsize())
    assert root
    text = texts.shown(note.text)
    letters = round(72 * (right - left) * root.get_figwidth() / (LETTER * size))
    nearest.axes.set_title(textwrap.fill(text, letters) if len(text) > letters else text)


def _words(place: Place, note: Any) -> None:
    axes, across = place.axes, (_across(note.xref), _across(note.yref))
    transform = {
        (False, False): axes.transData,
        (True, False): axes.get_yaxis_transform(),
        (False, True): axes.get_xaxis_transform(),
        (True, True): axes.transAxes,
    }[across]
    at = [
        float(note[letter]) if shares else _coordinate(place, letter, note[letter])
        for letter, shares in zip("xy", across)
    ]
    if place.x.type == "log" and not across[0]:
        at[0] = 10.0 ** at[0]
    if place.y.type == "log" and not across[1]:
        at[1] = 10.0 ** at[1]
    above = {"bottom": "bottom", "top": "top"}.get(note.yanchor, "center")
    beside = note.xanchor if note.xanchor in ("left", "right") else "center"
    look: dict[str, Any] = (
        {"fontsize": SMALLEST} if (note.font.size or 12) < 12 else {}
    )  # as on the page
    axes.text(
        at[0], at[1], texts.shown(note.text), transform=transform, ha=beside, va=above, **look
    )
