"""The sheets of the Images page: all images at an iteration, in an order, and how values become colours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from ddcore.base.foreign_text import plain
from ddcore.base.texts import percent
from pages.components import grid, links, orders, sheet, shell, teach
from pages.components.evolution import Evolution, outside

EVERY = "all"
SIZES = {"fit": "Fit", "32": "Small", "64": "Medium", "128": "Large"}  # screen pixels of an image
HEIGHT = 720  # screen pixels that the sheet may take, about: ten images of ten classes at twice their size
PILLS = 110  # letters of class names that fit a row
CLIPPED_MOST = 0.5  # share of clipped values from which black and white are no good scale
Picked = Callable[[int], None]


@dataclass(frozen=True)
class SetView:
    """What is shown of a set, and how."""

    label: int | None  # None: all classes
    order: str  # of `orders.TITLES`
    size: int  # screen pixels of an image, about; 0: as large as fits
    mode: str  # of `ddcore.sets.render.MODES`
    beside: bool  # the first images, too


def controls(movie: Evolution) -> SetView:
    """The row above the sheets; everything chosen is kept in the link."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        label = class_filter(movie.names, label_visibility="collapsed")
        with (
            teach.part("view", "images.view"),
            st.popover("View", icon=":material/tune:", key="images.view"),
        ):
            order = links.choice("Order", orders.offered(movie, shell.store()), "order")
            size = links.choice("Size", SIZES, "size")
            mode = links.choice("Pixel scale", sheet.SCALES, "scale", default=usual_mode(movie))
            beside = st.toggle(
                "With start",
                key="start",
                bind="query-params",
                disabled=teach.off("view"),
                help="Shows the first images beside them.",
            )
    return SetView(label, order, int(size) if size.isdigit() else 0, mode, beside)


def class_filter(names: tuple[str, ...], **details: Any) -> int | None:
    """The class that is shown; None for all. Pills where the names fit a row."""
    if sum(len(name) + 3 for name in names) <= PILLS:
        options = {EVERY: "All", **{str(i): plain(name) for i, name in enumerate(names)}}
        chosen = links.choice("Class", options, "cls", widget=st.pills, width="content", **details)
    else:
        options = {EVERY: "All", **{str(i): name for i, name in enumerate(names)}}
        chosen = links.choice("Class", options, "cls", width=150, **details)
    return None if chosen == EVERY else int(chosen)


def usual_mode(movie: Evolution) -> str:
    """Black is 0 and white 1, unless that would clip most of what a run made."""
    return "sigma" if outside(movie.pixels(movie.newest)) > CLIPPED_MOST else "clip"


def sheets(movie: Evolution, step: int, view: SetView, image: int | None, pick: Picked) -> None:
    """All images at an iteration, and those of the start if wanted; `image` is the chosen one."""
    first = movie.steps[0]
    if not view.beside:
        _sheet(movie, step, view, image, pick, "images.sheet")
        return
    columns = st.columns(2, gap="medium")
    for column, shown, key in zip(columns, (first, step), ("images.first", "images.sheet")):
        with column:
            st.header("Start" if shown == 0 else f"Iteration {movie.label(shown)}", anchor=False)
            _sheet(movie, shown, view, image, pick, key)


def _sheet(
    movie: Evolution, step: int, view: SetView, image: int | None, pick: Picked, key: str
) -> None:
    what = arranged(movie, step, view)

    def on_pick(chosen: tuple[int, ...]) -> None:
        pick(chosen[0] if chosen else -1)

    grid.show(
        what,
        key=key,
        label=f"Distilled images at iteration {step}",
        pick=grid.ONE,
        chosen=() if image is None else (image,),
        on_pick=on_pick,
        size=view.size,
        height=HEIGHT,
        note=_note(what.pixels, view.mode),
    )


def arranged(movie: Evolution, step: int, view: SetView) -> grid.Sheet:
    """The images at an iteration: by class, or those of one class, or by what they are ordered by."""
    pixels = movie.pixels(step)
    by = orders.values(movie, view.order, step, shell.store())
    if by is None:
        return grid.by_class(pixels, movie.labels, movie.names, only=view.label, mode=view.mode)
    more = [orders.words(view.order, value) for value in by]
    found = grid.by_class(pixels, movie.labels, movie.names, mode=view.mode, more=more)
    rows = orders.ranked(view.order, by)
    if view.label is not None:
        rows = rows[movie.labels[rows] == view.label]
    lines = [orders.text(view.order, value) for value in by]
    return grid.Sheet(pixels, found.words, [("", rows)], lines, None, view.mode)


def _note(pixels: np.ndarray, mode: str) -> str:
    return " ".join(filter(None, (sheet.colours(pixels, mode), outside_text(pixels, mode))))


def outside_text(pixels: np.ndarray, mode: str) -> str:
    """The share outside 0..1 where the words about colours do not state it."""
    if mode == "clip":
        return ""
    return f"{percent(outside(pixels))} of the values lie outside 0..1."
