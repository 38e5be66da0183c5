"""The sheets of the Images page: all images at an iteration, and how their values become colours."""

from __future__ import annotations

import numpy as np
import streamlit as st

from ddcore.base.texts import percent
from pages.components import links, sheet
from pages.components.evolution import Evolution, outside

WIDTH, HEIGHT = 810, 640  # screen pixels of a sheet, about


def scale_mode() -> tuple[str, bool]:
    """How values become colours, and whether the start is shown beside."""
    mode = links.choice("Pixel scale", sheet.SCALES, "scale", width=175)
    beside = st.toggle(
        "With start", key="start", bind="query-params", help="Shows the first images beside them."
    )
    return mode, beside


def sheets(movie: Evolution, step: int, mode: str, beside: bool) -> None:
    """All images at an iteration, and those of the start if wanted."""
    first = movie.steps[0]
    if not beside:
        _sheet(movie, step, mode, WIDTH, "images.sheet")
        return
    columns = st.columns(2, gap="medium")
    for column, shown, key in zip(columns, (first, step), ("images.first", "images.sheet")):
        with column:
            st.subheader("Start" if shown == 0 else f"Iteration {movie.label(shown)}", anchor=False)
            _sheet(movie, shown, mode, WIDTH // 2 - 10, key)


def _sheet(movie: Evolution, step: int, mode: str, width: int, key: str) -> None:
    pixels = movie.pixels(step)
    sheet.by_class(
        pixels,
        movie.labels,
        movie.names,
        key=key,
        mode=mode,
        max_width=width,
        max_scale=largest_scale(movie, pixels.shape[-2]),
        what=f"Distilled images at iteration {step}",
        caption=outside_text(pixels, mode),
    )


def largest_scale(movie: Evolution, height: int) -> int:
    """The scale at which class rows still fit a screen; 10 where classes are columns."""
    classes, ipc = movie.rows.shape
    return 10 if ipc <= 5 else min(10, max(2, HEIGHT // (classes * height)))


def outside_text(pixels: np.ndarray, mode: str) -> str:
    """The share outside 0..1 where the sheet's own caption does not state it."""
    if mode == "clip":
        return ""
    return f"{percent(outside(pixels))} of the values lie outside 0..1."
