"""Figures of `influence` that are made of images: each set in rows with the test images it moves."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from analysis.contract import Drawn
from analysis.shared import drawing
from analysis.suite.influence.spec import SHOWN, TOP
from analysis.suite.influence.view import InfluenceView, Tile
from ddcore.nets.plan import Shape
from ddcore.sets import render

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def of_class(view: InfluenceView) -> Drawn:
    """The paper's picture: images of a class, each with the test images it helps most."""
    c = view.labels[view.image]
    rows = np.flatnonzero(view.labels == c)[:SHOWN].tolist()
    tiles = [[(view.pixels[j], view.name(j)), *view.helped(j)] for j in rows]
    top = np.concatenate([np.argsort(-view.influence[j], kind="stable")[:TOP] for j in rows])
    share = 100 * float((view.test_labels[top] == c).mean())
    caption = (
        f"Left: images of class {view.names[c]} of {view.run.label}. Right of each: the {TOP} test "
        f"images of all classes with the largest {view.effect}; {share:.0f} % of them are of this class. "
        f"Numbers: how much larger their loss is without the image.{view.note}"
    )
    title = f"What the images of class {view.names[c]} teach"
    return Drawn(title, mosaic(tiles, view.result.shape), caption)


def of_image(view: InfluenceView) -> Drawn:
    """Helped and hurt most by the picked image."""
    tiles = [
        [(view.pixels[view.image], view.name(view.image)), *view.helped(view.image)],
        [(None, "hurts"), *view.helped(view.image, -1)],
    ]
    row = view.influence[view.image]
    mine = view.test_labels == view.labels[view.image]
    caption = (
        f"First row: {view.name(view.image)} of {view.run.label} and the test images it helps most; "
        f"second: those it hurts most. Mean {view.effect} {mean(row[mine]):+.3f} on its own class, "
        f"{mean(row[~mine]):+.3f} on others.{view.note}"
    )
    return Drawn("Whom the picked image helps and hurts", mosaic(tiles, view.result.shape), caption)


def of_test(view: InfluenceView) -> Drawn:
    """The distilled images that matter most for the picked test image."""
    column = view.influence[:, view.test]
    order = np.argsort(-column, kind="stable")
    few = min(TOP, len(order))

    def part(rows: np.ndarray) -> list[Tile]:
        return [(view.pixels[j], f"{view.names[view.labels[j]]} {column[j]:+.2f}") for j in rows]

    picture = (view.test_image(view.test), view.names[view.test_labels[view.test]])
    tiles = [[picture, *part(order[:few])], [(None, "hurt it"), *part(order[::-1][:few])]]
    caption = (
        f"Test image {view.test} (first), the images of {view.run.label} that help it most, and, in the "
        f"second row, those that hurt it most, with their {view.effect}.{view.note}"
    )
    title = "Which distilled images matter for the picked test image"
    return Drawn(title, mosaic(tiles, view.result.shape), caption)


def mean(values: np.ndarray) -> float:
    """0 of nothing."""
    return float(values.mean()) if values.size else 0.0


def sheet(
    tiles: Sequence[Sequence[Tile]], shape: Shape
) -> tuple[np.ndarray, list[tuple[float, float, str]]]:
    """Rows of images as one RGBA picture (height, width, 4), and (x, y, text) above each."""
    _, h, w = shape
    above, beside = max(2, round(0.35 * h)), max(1, round(0.15 * w))
    columns = max(map(len, tiles))
    canvas = np.zeros((len(tiles) * (h + above), columns * (w + beside), 4), np.uint8)
    words = []
    for row, line in enumerate(tiles):
        for column, (pixels, text) in enumerate(line):
            top, left = row * (h + above) + above, column * (w + beside)
            if pixels is not None:
                seen = render.to_uint8(pixels).transpose(1, 2, 0)
                canvas[top : top + h, left : left + w, :3] = seen
                canvas[top : top + h, left : left + w, 3] = 255
            words.append((left + w / 2 - 0.5, top - 0.5, text))
    return canvas, words


def mosaic(tiles: Sequence[Sequence[Tile]], shape: Shape) -> Figure:
    """Rows of images with a line above each."""
    from PIL import Image

    canvas, words = sheet(tiles, shape)
    out = io.BytesIO()
    Image.fromarray(canvas, "RGBA").save(out, "PNG")
    code = base64.b64encode(out.getvalue()).decode()
    figure = drawing.new_figure(height=28 + 88 * len(tiles), legend=False)
    figure.add_image(source=f"data:image/png;base64,{code}", hoverinfo="skip")
    look = {"showarrow": False, "yanchor": "bottom", "font": {"size": 10}}
    # Added one by one each would have all before it checked anew: seconds for a hundred.
    figure.update_layout(
        annotations=[{"x": x, "y": y, "text": text, **look} for x, y, text in words]
    )
    figure.update_xaxes(visible=False, constrain="domain")
    figure.update_yaxes(visible=False, constrain="domain")
    return figure
