"""The images of several runs, linked: one slider for the share of each run, one class, one scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from ddcore.base.foreign_text import plain
from pages.components import evolution, grid, images_views, links, magnified, sheet, shell

if TYPE_CHECKING:
    from pages.components.compare_views import Side

KEPT = "kept"
STOPS = (*map(str, range(0, 101, 5)), KEPT)
HEIGHT = 480  # screen pixels that the images may take, about
LARGE = 220  # screen pixels of the chosen image
CHOSEN = "compare.chosen"  # class and slot of the image that is compared


def show(sides: list[Side]) -> None:
    """Slider, class and scale, then the images; reruns on its own."""
    with shell.boundary():
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            stop = slider()
            label = class_filter(sides)
            mode = links.choice("Pixel scale", sheet.SCALES, "scale", width=175)
        for column, side in zip(st.columns(len(sides), gap="small"), sides):
            movie = evolution.of(side.task)
            with column:
                st.markdown(f"**{plain(side.name)}**, {words(movie, stop)}")
                _side(side, movie, stop, label, mode)


def _side(side: Side, movie: evolution.Evolution, stop: str, label: int | None, mode: str) -> None:
    """The images of a set; the one that is chosen, in all sets the same, large below them."""
    pixels, chosen = movie.pixels(step_at(movie, stop)), place(movie)

    def choose(rows: tuple[int, ...]) -> None:
        places = [
            tuple(map(int, found)) for row in rows for found in np.argwhere(movie.rows == row)
        ]
        st.session_state[CHOSEN] = places[0] if places else None

    grid.show(
        grid.by_class(pixels, movie.labels, movie.names, only=label, mode=mode),
        key=f"compare.{side.letter}",
        label=f"Images of {side.name}, {words(movie, stop)}",
        pick=grid.ONE,
        chosen=() if chosen is None else (int(movie.rows[chosen]),),
        on_pick=choose,
        height=HEIGHT,
        together="compare",
        note=sheet.colours(pixels, mode),
    )
    if chosen is not None:
        name = f"{movie.names[chosen[0]]}, image {chosen[1] + 1}"
        st.markdown(f"**{plain(name)}**")
        magnified.show(
            pixels[movie.rows[chosen]],
            key=f"compare.large.{side.letter}",
            label=f"{name} of {side.name}, enlarged",
            mode=mode,
            side=LARGE,
        )


def place(movie: evolution.Evolution) -> tuple[int, int] | None:
    """Class and slot of the chosen image, if this set has such a one."""
    chosen = st.session_state.get(CHOSEN)
    return chosen if chosen and all(map(int.__lt__, chosen, movie.rows.shape)) else None


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
    return images_views.class_filter(names)


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
