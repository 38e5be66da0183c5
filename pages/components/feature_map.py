"""A map of images: the one under the mouse is shown, or images stand for their points; those in a lasso are
opened below it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import streamlit as st

from analysis.contract import Arrays, Drawn
from analysis.suite.features.figures import IMAGES, describe, found_point
from analysis.suite.features.result import FeaturesResult
from analysis.suite.features.spec import PIXELS
from ddcore.base.foreign_text import unescaped
from pages.components import charts, grid, sheet

CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["toImage"], "scrollZoom": True}
MOST = 60  # images that are opened
HEIGHT = 300  # screen pixels of opened images, about
TIP = 96  # screen pixels of the image under the mouse, about
POINT = 28  # of an image in place of a point, about
SPRITE_VALUES = 3_000_000  # of all images sent to the browser; with more, only distilled ones

COMPONENT = st.components.v2.component(
    "feature_map", js=grid.source(Path(__file__).with_suffix(".js"))
)


def draw(
    key: str, drawn: Drawn, result: FeaturesResult, arrays: Arrays, options: dict[str, str]
) -> None:
    """The figure; if it is a map, with images on hover, and those of chosen points below."""
    if drawn.figure.layout.meta != "map":
        charts.show(drawn.figure, key=key, alt=drawn.caption)
        return
    # Another set of points must not inherit what was chosen among these.
    key = "-".join([key.replace(".", "-"), *(run.key[:6] for run in result.runs)])
    event = st.plotly_chart(
        drawn.figure,
        key=key,
        theme="streamlit",
        config=CONFIG,
        alt=unescaped(drawn.caption),
        on_select="rerun",
        selection_mode=("points", "box", "lasso"),
    )
    _on_points(f"st-key-{key}", result, arrays, options["points"] == IMAGES)
    points = event["selection"]["points"]
    rows = sorted({int(p["customdata"][0]) for p in points if p.get("customdata")})
    rows = [row for row in rows if row < len(arrays["source"])]
    found = found_point(result, arrays, options)
    _opened(rows, result, arrays)
    if found is not None or len(rows) == 1:
        _around(rows[0] if len(rows) == 1 else found, result, arrays)


def pixels(result: FeaturesResult, arrays: Arrays, rows: list[int]) -> np.ndarray:
    """Images (n, C, H, W) of points, 0..1 for real ones; those must be here."""
    source, found = arrays["source"], []
    for row in rows:
        place = int(source[row])
        own = row - int(np.searchsorted(source, place))
        run = result.runs[place - 1].key
        image = arrays[f"pixels.{run}"][own] if place else arrays[PIXELS][own] / 255
        found.append(np.asarray(image, np.float32))
    return np.stack(found)


def _here(arrays: Arrays, rows: list[int]) -> list[int]:
    """The points whose images can be shown: real ones only where the dataset is here."""
    return [row for row in rows if arrays["source"][row] > 0 or PIXELS in arrays]


def _opened(rows: list[int], result: FeaturesResult, arrays: Arrays) -> None:
    """The images of chosen points, distilled ones first."""
    if not rows:
        st.caption("Draw a lasso around points, or click one, to open their images here.")
        return
    rows = sorted(rows, key=lambda row: (arrays["source"][row] == 0, row))
    shown = rows[:MOST]
    made = sum(int(arrays["source"][row] > 0) for row in rows)
    more = f", the first {MOST} shown" if len(rows) > MOST else ""
    st.markdown(f"**Chosen points: {made} distilled, {len(rows) - made} real images{more}**")
    _row(shown, result, arrays, "features.chosen")


def _around(row: int, result: FeaturesResult, arrays: Arrays) -> None:
    """An image and its nearest real images."""
    text = describe(result, arrays)[row].replace("<br>", ", ")
    k = arrays["nearest"].shape[1]
    st.markdown(f"**{text}: the image, and the {k} real images nearest to it in feature space**")
    _row([row, *arrays["nearest"][row].tolist()], result, arrays, "features.nearest")


def _row(rows: list[int], result: FeaturesResult, arrays: Arrays, key: str) -> None:
    """Images of points; choosing a distilled one marks its point in the map."""
    names, labels, source = result.class_names, arrays["labels"], arrays["source"]
    rows = _here(arrays, rows)
    if not rows:
        return
    lines = [f"{unescaped(names[labels[r]])}{' real' if source[r] == 0 else ''}" for r in rows]
    words = [unescaped(text.replace("<br>", ", ")) for text in describe(result, arrays)]

    def mark(chosen: tuple[int, ...]) -> None:
        if chosen and source[row := rows[chosen[0]]] > 0:
            own = row - int(np.searchsorted(source, source[row]))
            st.query_params["view_find"] = result.runs[source[row] - 1].key
            st.query_params["view_image"] = str(own)

    grid.show(
        grid.Sheet(pixels(result, arrays, rows), [words[r] for r in rows], lines=lines),
        key=key,
        label="Images of the chosen points",
        pick=grid.ONE,
        chosen=(),
        on_pick=mark,
        height=HEIGHT,
        note=None,
    )


def _on_points(plot: str, result: FeaturesResult, arrays: Arrays, images: bool) -> None:
    """All images in one picture, of which the browser shows the one under the mouse and, with `images`, all
    that do not lie on each other.
    """
    from ddcore.sets import render

    _, height, width = result.shape
    rows = _here(arrays, list(range(len(arrays["source"]))))
    if len(rows) * int(np.prod(result.shape)) > SPRITE_VALUES:
        rows = [row for row in rows if arrays["source"][row] > 0]
    shown = pixels(result, arrays, rows)
    columns = int(np.ceil(np.sqrt(len(shown))))
    picture = render.canvas(shown, -(-len(shown) // columns), columns, 1, gap=0)
    data = {
        "plot": plot,
        "sprite": grid.address(render.encode(picture, sheet.EFFORT), "features.sprite"),
        "first": rows[0],  # up to the last point
        "columns": columns,
        "width": width,
        "height": height,
        "scale": max(1, TIP // width),
        "images": images,
        "each": max(1, POINT // width),
    }
    COMPONENT(data=data, key="features.hover")
