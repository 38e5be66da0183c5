"""One picture over another, uncovered by moving the mouse or a slider; every pixel a whole square."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import streamlit as st

from pages.components import grid

HERE = Path(__file__)
HTML = """<div class="wipe">
<div class="frame" role="img"><canvas></canvas><canvas class="top"></canvas><div class="edge"></div></div>
<label><span></span><input type="range" min="0" max="100" value="50" aria-label="Border"><span></span></label>
<p></p></div>"""
COMPONENT = st.components.v2.component(
    "wipe",
    html=HTML,
    css=grid.source(HERE.with_suffix(".css")),
    js=grid.source(HERE.with_suffix(".js")),
)
EFFORT = 1  # of compressing


def show(
    pictures: tuple[np.ndarray, np.ndarray],
    names: tuple[str, str],
    *,
    key: str,
    label: str,
    room: int,
    note: str = "",
) -> None:
    """Two pictures of one size, uint8 (H, W, 1 or 3): the first left of the border, the second right of it.

    They are `room` screen pixels high, or as high as fits their width.
    """
    from ddcore.sets import render

    height, width = pictures[0].shape[:2]
    data = {
        "pictures": [
            grid.address(render.encode(picture, EFFORT), f"{key}.{place}")
            for place, picture in enumerate(pictures)
        ],
        "names": list(names),
        "width": width,
        "height": height,
        "room": room,
        "label": label,
        "note": note,
    }
    COMPONENT(data=data, key=key)
