"""One look per method in every figure of every analysis, in both themes and in print.

Colours and markers of backpropagation, distribution, gradient and trajectory matching are those of Yang
et al. 2024 (from the palette of Okabe & Ito, which colour-blind people tell apart). A second run of a
method keeps its colour and takes the next dash and marker, so no two series differ by colour alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

METHODS = {  # colour, plotly's marker
    "bptt": ("#E69F00", "square"),
    "dm": ("#0072B2", "circle"),
    "dc": ("#009E73", "star"),
    "mtt": ("#CC79A7", "triangle-up"),
    "dsa": ("#5B8C3E", "star-square"),
    "dcc": ("#1FA6A0", "star-diamond"),
    "dd2018": ("#D55E00", "diamond"),
    "rat-bptt": ("#A6761D", "pentagon"),
    "gtn": ("#56B4E9", "hexagon"),
    "idc": ("#AA4499", "cross"),
    "memories": ("#7A68C4", "triangle-down"),
    "textures": ("#B5534B", "hourglass"),
}
# Methods that are not named above, in the order of the registry; the last one is for sets from files.
OTHERS = ("#8F6BB0", "#4F8A8B", "#B0687A", "#7D8F3C", "#9A7B5B", "#6B7A8F")
REAL = "#7F8387"  # real data: readable on white and on black; black in print
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("", "-open", "-dot", "-open-dot")
# The same for matplotlib.
_LINES: dict[str, str | tuple[Any, ...]] = {
    "solid": "-",
    "dash": "--",
    "dot": ":",
    "dashdot": "-.",
    "longdash": (0, (8, 3)),
    "longdashdot": (0, (8, 3, 2, 3)),
}
_MARKERS = {
    "square": "s",
    "circle": "o",
    "star": "*",
    "triangle-up": "^",
    "star-square": "P",
    "star-diamond": "X",
    "diamond": "D",
    "pentagon": "p",
    "hexagon": "h",
    "cross": "P",
    "triangle-down": "v",
    "hourglass": "d",
    "x": "x",
}


@dataclass(frozen=True)
class Style:
    """How one series looks: colour; dash and marker of plotly; the same of matplotlib."""

    colour: str
    dash: str = "solid"
    symbol: str = "circle"
    linestyle: str | tuple[Any, ...] = "-"
    marker: str = "o"


def style(method: str, turn: int = 0) -> Style:
    """The look of the `turn`-th run of a method (0 for the first)."""
    colour, symbol = METHODS.get(method) or (_other(method), "x")
    dash = DASHES[turn % len(DASHES)]
    return Style(
        colour, dash, symbol + SYMBOLS[turn % len(SYMBOLS)], _LINES[dash], _MARKERS[symbol]
    )


def _other(method: str) -> str:
    from ddcore.distil.contract import methods

    rest = [name for name in methods() if name not in METHODS]
    return OTHERS[rest.index(method) % (len(OTHERS) - 1)] if method in rest else OTHERS[-1]


def styles(methods: Sequence[str]) -> list[Style]:
    """The look of each run, given the methods of all runs in a figure in order."""
    seen: Counter[str] = Counter()
    found = []
    for method in methods:
        found.append(style(method, seen[method]))
        seen[method] += 1
    return found
