"""Distilling in the browser: a set of points in the plane, and a few points that stand in for it.

`toy_maths.js` computes (tests compare its gradient with PyTorch's), `toy.js` draws. No server works while it
plays.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.components import grid

HERE = Path(__file__)
SETS = {"moons": "Moons", "circles": "Circles", "chequers": "Chequers", "arms": "Three arms"}
SIZES = {"1": "1", "2": "2", "3": "3", "5": "5", "10": "10"}  # points of each class
HTML = """<div class="toy">
<canvas tabindex="0" role="img"></canvas>
<div class="side">
<div class="buttons"><button class="play">Play</button><button class="step">One step</button>
<button class="again">Start again</button></div>
<p class="state"></p>
<p>Right on test points, after training on</p>
<div class="row made"><span>the distilled points <b></b></span><div class="bar"><i></i></div></div>
<div class="row few"><span>as many random real points <b></b></span><div class="bar"><i></i></div></div>
<div class="row all"><span>all 240 real points <b></b></span><div class="bar"><i></i></div></div>
<p>Mean ± standard deviation of n = 5 networks that are never distilled with.</p>
</div></div>"""


def script() -> str:
    """Mathematics and drawing as one module."""
    return "\n".join(grid.source(HERE.with_name(name)) for name in ("toy_maths.js", "toy.js"))


COMPONENT = st.components.v2.component(
    "toy", html=HTML, css=grid.source(HERE.with_suffix(".css")), js=script()
)


def show(name: str, k: int) -> None:
    """The toy on a set of `SETS` with k points of each class."""
    COMPONENT(data={"set": name, "k": k}, key="toy")
