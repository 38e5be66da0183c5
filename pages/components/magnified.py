"""One image enlarged, every pixel a whole square, with the exact values of the one that is pointed at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from pages.components import grid

HERE = Path(__file__)
HTML = """<div class="magnified">
<div class="frame" role="img" tabindex="0"><canvas></canvas><div class="cursor" hidden></div></div>
<p class="words" aria-live="polite"></p>
</div>"""
COMPONENT = st.components.v2.component(
    "magnified",
    html=HTML,
    css=grid.source(HERE.with_suffix(".css")),
    js=grid.source(HERE.with_suffix(".js")),
)
SIDE = 384  # screen pixels, at most


def show(
    pixels: np.ndarray,
    *,
    key: str,
    label: str,
    mode: str = "clip",
    side: int = SIDE,
    together: str = "",
) -> None:
    """Draw one image (C, H, W), `side` screen pixels large or as large as there is room.

    Those with the same `together` all point at the pixel that one of them is asked for.
    """
    more = {"label": label, "side": side, "together": together}
    COMPONENT(data=describe(pixels, key, mode) | more, key=key)


def describe(pixels: np.ndarray, key: str, mode: str) -> dict[str, Any]:
    """What the browser is told: the picture, and row by row the values of every pixel to four digits."""
    from ddcore.sets import render

    channels, height, width = pixels.shape
    values = np.moveaxis(pixels, 0, -1).reshape(-1, channels).astype(float).round(4)
    picture = render.encode(render.canvas(pixels[None], 1, 1, mode=mode, gap=0), 1)
    return {
        "picture": grid.address(picture, f"{key}.picture"),
        "width": width,
        "height": height,
        "values": values.tolist(),
        "hint": f"Point at a pixel for its exact values. Shown with {render.MODES[mode]}.",
    }
