"""The images of several runs, linked: one slider for the share of each run, one class, one scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from ddcore.base.foreign_text import plain
from pages.components import evolution, links, sheet, shell

if TYPE_CHECKING:
    from pages.components.compare_views import Side

KEPT = "kept"
STOPS = (*map(str, range(0, 101, 5)), KEPT)
ALL = "all"
WIDTH, HEIGHT = 810, 620  # screen pixels that the images may take, about
LEAST = 24  # screen pixels of an image at least, where that is possible
ACROSS = 20  # images of one class beside each other at most


def show(sides: list[Side]) -> None:
    """Slider, class and scale, then the images; reruns on its own."""
    with shell.boundary():
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            stop = slider()
            label = class_filter(sides)
            mode = links.choice("Pixel scale", sheet.SCALES, "scale", width=175)
        movies = [evolution.of(side.task) for side in sides]
        grids = [grid(movie, label) for movie in movies]
        pictures = [movie.pixels(step_at(movie, stop)) for movie in movies]
        stacked, scale = arrangement(grids, [p.shape[-2:] for p in pictures])
        places = [st.container() for _ in sides] if stacked else st.columns(len(sides))
        for place, side, movie, (order, left, top), pixels in zip(
            places, sides, movies, grids, pictures
        ):
            with place:
                st.markdown(f"**{plain(side.name)}**, {words(movie, stop)}")
                sheet.show(
                    pixels[order.ravel()],
                    columns=order.shape[1],
                    left=left,
                    top=top,
                    key=f"compare.{side.letter}",
                    scale=scale,
                    mode=mode,
                    alt=f"Images of {side.name}, {words(movie, stop)}",
                )


def slider() -> str:
    """How far into its run each set is shown: "0" to "100" per cent, or as it was kept."""
    key = "compare.share"
    named = st.query_params.get("share", KEPT)
    st.session_state[key] = named if named in STOPS else KEPT

    def write() -> None:
        st.query_params["share"] = st.session_state[key]

    return st.select_slider(
        "Share of the run (all sets)",
        STOPS,
        format_func=lambda stop: stop if stop == KEPT else f"{stop} %",
        key=key,
        on_change=write,
        width="stretch",
    )


def class_filter(sides: list[Side]) -> int | None:
    """The class whose images are shown; None for all. Asked only where all sets have the same classes."""
    names = sides[0].made.class_names
    if any(side.made.class_names != names for side in sides):
        return None
    options = {ALL: "All classes", **{str(i): name for i, name in enumerate(names)}}
    chosen = links.choice("Class", options, "cls", width=150)
    return None if chosen == ALL else int(chosen)


def step_at(movie: evolution.Evolution, stop: str) -> int:
    """The iteration with images that is nearest to a share of the run."""
    if stop == KEPT:
        return movie.newest
    target = int(stop) / 100 * movie.steps[-1]
    return min(movie.steps, key=lambda step: abs(step - target))


def words(movie: evolution.Evolution, stop: str) -> str:
    """ "iteration 120 of 300 (kept)"."""
    step = step_at(movie, stop)
    kept = " (kept)" if step == movie.kept else ""
    return f"iteration {step:,} of {movie.steps[-1]:,}{kept}"


Grid = tuple[np.ndarray, list[str] | None, list[str] | None]


def grid(movie: evolution.Evolution, label: int | None) -> Grid:
    """Which image is in which row and column, and the names of rows or columns."""
    rows = movie.rows
    if label is not None:
        own = rows[label]
        across = min(len(own), ACROSS)
        return own[: len(own) // across * across].reshape(-1, across), None, None
    if rows.shape[1] <= 5 and len(rows) <= ACROSS:
        return rows.T, None, list(movie.names)
    return rows, list(movie.names), None


def arrangement(grids: list[Grid], sizes: list[tuple[int, int]]) -> tuple[bool, int]:
    """Whether the sets lie below each other, and the scale they share: the largest that fits.

    Below each other the same classes are in line; beside each other is for what would be too high,
    unless images would become too small to see.
    """

    smallest = min(w for _, w in sizes)
    rooms = [int(WIDTH / len(grids)) - 16 - sheet.gutter(left) for _, left, _ in grids]

    def largest(rooms: list[int]) -> int:
        return min(
            sheet.fit(w, order.shape[1], room, 10)
            for room, (order, *_), (_, w) in zip(rooms, grids, sizes)
        )

    def height(scale: int) -> int:
        pairs = zip(grids, sizes)
        return sum(len(order) * (h * scale + sheet.GAP) for (order, *_), (h, _) in pairs)

    below = largest([WIDTH - sheet.gutter(left) for _, left, _ in grids])
    least = min(below, -(-LEAST // smallest))
    for scale in range(below, least - 1, -1):
        if height(scale) <= HEIGHT:
            return True, scale
    beside = largest(rooms)
    fits = all(
        order.shape[1] * (w * beside + sheet.GAP) <= room
        for room, (order, *_), (_, w) in zip(rooms, grids, sizes)
    )
    if fits and beside * smallest >= LEAST:
        return False, beside
    return True, least
