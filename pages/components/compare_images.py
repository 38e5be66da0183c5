"""The images of several runs in columns, linked: one slider for the share of each run, one class, one scale.

The head of a column stays in sight: what it is, its first images, its accuracy on an axis that all share.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from ddcore.base.foreign_text import plain
from pages.components import (
    compare_heads,
    compare_pair,
    evolution,
    grid,
    links,
    magnified,
    sheet,
    shell,
    stored_views,
    teach,
    views,
)

if TYPE_CHECKING:
    from pages.components.compare_views import Side

KEPT = "kept"
STOPS = (*map(str, range(0, 101, 5)), KEPT)
HEIGHT = 480  # screen pixels that the images may take, about
LARGE = 220  # screen pixels of the chosen image
CHOSEN = "image"  # the query parameter of the image that is compared: class and slot
PLACE = re.compile(r"[0-9]{1,4}-[0-9]{1,4}")
EVERY = "all"
WAYS = {
    "pages/3_Run.py": "Run",
    "pages/4_Images.py": "Images",
    "pages/5_Evaluate.py": "Evaluate",
}


def show(sides: list[Side], found: dict[str, compare_heads.Subjects]) -> None:
    """What all sets have in common above, then the columns, or two sets in one place; reruns on its own."""
    with shell.boundary():
        with shell.bar("compare.row"):
            view, pair = compare_pair.ask(sides)
            label = class_filter(sides)
            mode = links.choice(
                "Pixel scale", sheet.SCALES, "scale", width=160, label_visibility="collapsed"
            )
            stop = slider()
        if view != compare_pair.SIDE:
            with shell.main():
                movies = tuple(evolution.of(side.task) for side in pair)
                steps = tuple(step_at(movie, stop) for movie in movies)
                compare_pair.show(view, pair, movies, steps, label, mode)
            return
        st.html(compare_heads.css(len(sides)))
        axis = compare_heads.axis(found)
        with shell.main(), st.container(key="compare.columns"):
            for column, side in zip(st.columns(len(sides), gap="small"), sides):
                movie = evolution.of(side.task)
                with column:
                    st.html(compare_heads.html(side, found[side.letter], axis))
                    st.caption(words(movie, stop))
                    _side(side, movie, stop, label, mode)
                    _about(side)


def _about(side: Side) -> None:
    """What a set costs to keep, and ways to its own pages."""
    st.caption(f"{plain(side.card.facts)}. {stored_views.budget(side.made)}")
    with st.container(horizontal=True, gap="small"):
        for path, label in WAYS.items():
            shell.link(path, label, run=side.task.key)


def _side(side: Side, movie: evolution.Evolution, stop: str, label: int | None, mode: str) -> None:
    """The images of a set; the one that is chosen, in all sets the same, large below them."""
    pixels, chosen = movie.pixels(step_at(movie, stop)), place(movie)

    def choose(rows: tuple[int, ...]) -> None:
        places = [
            tuple(map(int, found)) for row in rows for found in np.argwhere(movie.rows == row)
        ]
        if places:
            st.query_params[CHOSEN] = "{}-{}".format(*places[0])
        else:
            st.query_params.pop(CHOSEN, None)

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
            together="compare",
        )


def place(movie: evolution.Evolution) -> tuple[int, int] | None:
    """Class and slot of the chosen image, if this set has such a one."""
    named = st.query_params.get(CHOSEN, "")
    known = PLACE.fullmatch(named) is not None
    views.check(CHOSEN, named, known, "class and place of an image, such as 3-0")
    chosen = tuple(map(int, named.split("-"))) if known else ()
    return chosen if known and all(map(int.__lt__, chosen, movie.rows.shape)) else None


def slider() -> str:
    """How far into its run each set is shown: "0" to "100" per cent, or as it was kept."""
    key = "compare.share"
    named = st.query_params.get("share", KEPT)
    views.check("share", named, named in STOPS, views.one_of(STOPS))
    st.session_state[key] = named if named in STOPS else KEPT

    def write() -> None:
        st.query_params["share"] = st.session_state[key]

    with teach.part("view", key):
        return st.select_slider(
            "Share of the run (all sets)",
            STOPS,
            format_func=lambda stop: stop if stop == KEPT else f"{stop} %",
            key=key,
            on_change=write,
            width="stretch",
            label_visibility="collapsed",
            disabled=teach.off("view"),
        )


def class_filter(sides: list[Side]) -> int | None:
    """The class whose images are shown; None for all. Asked only where all sets have the same classes."""
    names = sides[0].made.class_names
    if any(side.made.class_names != names for side in sides):
        return None
    options = {EVERY: "All classes", **{str(i): plain(name) for i, name in enumerate(names)}}
    chosen = links.choice("Class", options, "cls", width=130, label_visibility="collapsed")
    return None if chosen == EVERY else int(chosen)


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
