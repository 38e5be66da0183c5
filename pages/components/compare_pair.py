"""Two sets on one place: one wiped over the other, or their difference, image by image."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from ddcore.base.foreign_text import plain
from pages.components import evolution, grid, links, sheet, wipe

if TYPE_CHECKING:
    from pages.components.compare_views import Side

SIDE, WIPE, DIFFERENCE = "side", "wipe", "difference"
VIEWS = {SIDE: "Side by side", WIPE: "Wipe", DIFFERENCE: "Difference"}
HEIGHT = 480  # screen pixels of the sheet, about
FEW = 5  # images per class up to which classes are columns
MOST = 98  # per cent of the differences that are within black and white


def ask(sides: list[Side]) -> tuple[str, tuple[Side, Side]]:
    """How the sets are looked at, and which two of them where it is two."""
    view = links.choice("View", VIEWS, "view", width=140, label_visibility="collapsed")
    pairs = {f"{a.letter}{b.letter}": (a, b) for a, b in combinations(sides, 2)}
    if view == SIDE or len(pairs) == 1:
        return view, next(iter(pairs.values()))
    words = {name: f"{name[0]} and {name[1]}" for name in pairs}
    chosen = links.choice("Pair", words, "pair", width=110, label_visibility="collapsed")
    return view, pairs[chosen]


def show(
    view: str,
    pair: tuple[Side, Side],
    movies: tuple[evolution.Evolution, evolution.Evolution],
    steps: tuple[int, int],
    label: int | None,
    mode: str,
) -> None:
    """The pair in one sheet; says why where their images have no common places."""
    pixels = [movie.pixels(step) for movie, step in zip(movies, steps)]
    if pixels[0].shape[1:] != pixels[1].shape[1:] or movies[0].names != movies[1].names:
        st.info(
            f"{pair[0].letter} and {pair[1].letter} have images or classes of different kinds: look at "
            "them side by side.",
            icon=":material/info:",
        )
        return
    slots = min(movie.rows.shape[1] for movie in movies)
    places = [movie.rows[:, :slots] for movie in movies]
    if label is not None:
        places = [rows[[label]] for rows in places]
    first, second = (p[rows.ravel()] for p, rows in zip(pixels, places))
    names = tuple(f"{side.letter} · {side.card.title}" for side in pair)
    if view == WIPE:
        _wipe(first, second, places[0].shape, names, mode)
    else:
        _difference(first, second, places[0].shape, movies[0].names, label, names)


def _wipe(
    first: np.ndarray, second: np.ndarray, shape: tuple[int, int], names: tuple[str, str], mode: str
) -> None:
    from ddcore.sets import render

    classes, slots = shape
    order = np.arange(classes * slots).reshape(shape)
    across = slots <= FEW
    order = (order.T if across else order).ravel()
    rows, columns = (slots, classes) if across else (classes, slots)
    pictures = tuple(
        render.canvas(pixels[order], rows, columns, mode=mode, gap=1) for pixels in (first, second)
    )
    wipe.show(
        pictures,
        names,
        key="compare.wipe",
        label=f"{names[0]}, left of the border, over {names[1]}",
        room=HEIGHT,
        note=f"{slots} images of each class on the same places. {sheet.colours(first, mode)}",
    )


def _difference(
    first: np.ndarray,
    second: np.ndarray,
    shape: tuple[int, int],
    classes: tuple[str, ...],
    label: int | None,
    names: tuple[str, str],
) -> None:
    change = second - first
    most = float(np.percentile(np.abs(change), MOST)) or 1.0
    labels = np.repeat(np.arange(shape[0]) if label is None else [label], shape[1])
    st.markdown(f"**{plain(names[1])}** minus **{plain(names[0])}**")
    grid.show(
        grid.by_class(0.5 + change / (2 * most), labels, classes, only=label),
        key="compare.difference",
        label=f"{names[1]} minus {names[0]}",
        height=HEIGHT,
        note=f"Grey: the same; black and white: {most:.2g} less and more, on a scale where white is 1.",
    )
