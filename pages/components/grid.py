"""A sheet of images that can be looked at closely and chosen from: lossless, every pixel a whole square.

    chosen = grid.show(grid.by_class(pixels, labels, names), key="images.sheet", label="Distilled images")

The images travel as one PNG; the browser draws each from it at a whole-number scale that fits the room, wraps
them so that none is cut, enlarges the one under the mouse or the keyboard's focus, and says which were
chosen. Choosing is by click, Enter or Space (with Shift: more), moving by arrow keys, Home and End.

A `Sheet` holds what is shown, `show` how. The browser sets all text as text: names may be other people's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from streamlit import runtime

from pages.components import sheet

HERE = Path(__file__)
HTML = """<div class="grid">
<div class="sheet"></div><p class="note"></p>
<p class="keys" hidden>Arrow keys, Home and End move; Enter or Space chooses, with Shift more than one;
Escape chooses none.</p>
<div class="lens" aria-hidden="true" hidden><canvas></canvas><p></p></div>
</div>"""


def source(file: Path) -> str:
    """A script or style sheet without indentation and comments: it travels with every sheet."""
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


COMPONENT = st.components.v2.component(
    "grid", html=HTML, css=source(HERE.with_suffix(".css")), js=source(HERE.with_suffix(".js"))
)
ONE, MANY = "one", "many"  # how many images can be chosen
HEIGHT = 560  # screen pixels that a sheet may take before its images become smaller, about
COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
FEW = 5  # images per class up to which classes are columns
MOST = 1200  # images of one sheet


@dataclass(frozen=True, eq=False)
class Sheet:
    """What a sheet shows. Images are named by their place in `pixels`, whatever order they are shown in."""

    pixels: np.ndarray  # (M, C, H, W) floats, 0..1 for real images, never clamped before
    words: Sequence[str]  # of each image: its alternative text, also shown with the enlarged one
    groups: Sequence[tuple[str, Sequence[int]]] = ()  # name and images of each; () for all in order
    lines: Sequence[str] | None = None  # below each image
    borders: Sequence[str] | None = None  # colour of each image's border, #rrggbb
    mode: str = "clip"  # how values become colours, see `ddcore.sets.render.MODES`
    across: bool = False  # groups are columns instead of rows

    @property
    def shown(self) -> list[tuple[str, list[int]]]:
        """Name and images of each group."""
        groups = self.groups or [("", range(len(self.pixels)))]
        return [(name, [int(row) for row in rows]) for name, rows in groups]


def by_class(
    pixels: np.ndarray,
    labels: Sequence[int],
    names: Sequence[str],
    *,
    only: int | None = None,
    mode: str = "clip",
    borders: Sequence[str] | None = None,
    more: Sequence[str] | None = None,
) -> Sheet:
    """Images (M, C, H, W) by class, or those of class `only`; within a class in the order they come.

    A few images of few classes stand in columns, a class in each; else a class is a row. `more` is added to
    what is said of each image.
    """
    labels = np.asarray(labels)
    rows = [np.flatnonzero(labels == label) for label in range(len(names))]
    words = [""] * len(labels)
    for name, own in zip(names, rows):
        for slot, row in enumerate(own):
            words[row] = f"{name}, image {slot + 1} of {len(own)}"
    if more:
        words = [f"{word}, {text}" for word, text in zip(words, more)]
    groups = [(name, own) for name, own in zip(names, rows) if len(own)]
    across = max(map(len, rows)) <= FEW and len(names) <= sheet.WIDE
    if only is not None:
        groups, across = [("", rows[only])], False
    return Sheet(pixels, words, groups, None, borders, mode, across)


def show(
    what: Sheet,
    *,
    key: str,
    label: str,
    pick: str = "",
    chosen: Iterable[int] | None = None,
    on_pick: Callable[[tuple[int, ...]], None] | None = None,
    required: bool = False,
    size: int = 0,
    height: int = HEIGHT,
    note: str | None = "",
    together: str = "",
) -> tuple[int, ...]:
    """Draw a sheet and return which of its images are chosen, sorted.

    `pick` is "" to look only, `ONE` or `MANY`. The choice is kept in the session; a page that keeps it
    elsewhere, as in its link, gives it as `chosen` and writes what `on_pick` is told. With `required` one
    image stays chosen. Images are about `size` screen pixels large, or as large as `height` allows. `note`
    follows the scale below the sheet; None draws no line at all. Sheets with the same `together` share one
    scale.
    """
    groups = _shortened(what.shown)
    rows = [row for _, group in groups for row in group]
    if not rows:
        return ()
    memory = f"{key}.chosen"
    now = within(st.session_state.get(memory, ()) if chosen is None else chosen, rows, pick)
    if required and not now:
        now = tuple(rows[:1])
    data = describe(what, groups, f"{key}.sprite") | {
        "label": label,
        "pick": pick,
        "required": required,
        "selected": [place for place, row in enumerate(rows) if row in now],
        "size": size,
        "room": height,
        "note": note,
        "together": together,
    }

    def keep() -> None:
        told = _places(st.session_state[key].get("picked"), len(rows))
        picked = within([rows[place] for place in told], rows, pick)
        st.session_state[memory] = picked
        if on_pick:
            on_pick(picked)

    COMPONENT(data=data, key=key, **({"on_picked_change": keep} if pick else {}))
    return now


def describe(what: Sheet, groups: list[tuple[str, list[int]]], place: str) -> dict[str, Any]:
    """What the browser is told of a sheet: its picture, how many images each group has, texts and colours.

    The browser knows images by their place in the sheet: the first one shown is 0. `place` names the picture
    that this one replaces.
    """
    from ddcore.sets import render

    rows = [row for _, group in groups for row in group]
    columns = max(1, math.isqrt(max(0, len(rows) - 1)) + 1)
    pixels = what.pixels[rows]
    picture = render.canvas(pixels, -(-len(rows) // columns), columns, mode=what.mode, gap=0)
    return {
        "sprite": address(render.encode(picture, sheet.EFFORT), place),
        "columns": columns,
        "width": pixels.shape[-1],
        "height": pixels.shape[-2],
        "groups": [(name, len(group)) for name, group in groups],
        "across": what.across,
        "words": [what.words[row] for row in rows],
        "lines": None if what.lines is None else [what.lines[row] for row in rows],
        "borders": None if what.borders is None else [_colour(what.borders[row]) for row in rows],
    }


def address(content: bytes, place: str) -> str:
    """Where the browser finds a PNG while this page is open; `place` names what it replaces."""
    base = st.get_option("server.baseUrlPath").strip("/")
    url = runtime.get_instance().media_file_mgr.add(content, "image/png", place)
    return f"/{base}{url}" if base else url


def within(chosen: Iterable[int], rows: Sequence[int], pick: str) -> tuple[int, ...]:
    """Those of `chosen` that are among `rows`, sorted, each once; one at most where one can be chosen."""
    known = tuple(sorted(set(chosen).intersection(rows))) if pick else ()
    return known[:1] if pick == ONE else known


def _places(told: object, count: int) -> list[int]:
    """What a browser says was chosen, which may be anything: places in a sheet of `count` images."""
    if not isinstance(told, list):
        return []
    return [place for place in told if type(place) is int and 0 <= place < count]


def _shortened(groups: list[tuple[str, list[int]]]) -> list[tuple[str, list[int]]]:
    """At most `MOST` images, whole groups where that is possible."""
    found, left = [], MOST
    for name, rows in groups:
        if rows[:left]:
            found.append((name, rows[:left]))
        left -= len(rows[:left])
    return found


def _colour(text: str) -> str:
    if not COLOUR.fullmatch(text):
        raise ValueError(f"borders: {text!r} is no colour #rrggbb")
    return text
