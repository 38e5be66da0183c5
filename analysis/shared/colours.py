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

from analysis.shared.sources import MEAN, MORE, RANDOM, SourceFacts
from analysis.shared.sources import REAL as ALL_REAL

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
    "frepo": ("#8F6BB0", "x"),
    "kip": ("#4F8A8B", "x"),
    "krr-exact": ("#B0687A", "x"),
    "label-solve": ("#7D8F3C", "x"),
    "rfad": ("#9A7B5B", "x"),
    "dance": ("#5577AA", "triangle-left"),
    "rded": ("#8A7F2A", "octagon"),
    "m3d": ("#2F7FA8", "hexagram"),
    "ncfm": ("#4068C0", "triangle-right"),
    "datm": ("#B4528C", "triangle-down"),
    "seqmatch": ("#A05AA8", "pentagon"),
    "sre2l": ("#6E8B2E", "hexagon"),
    "fadrm": ("#3F9A6B", "star-square"),
}
# Series that are no methods: blue, orange, green, red, teal, ochre, violet, brown, rose, grey; contrast of
# 3.6 or more on the light and on the dark background.
SERIES = (
    "#4e79a7",
    "#c8690e",
    "#4a9049",
    "#d64b4e",
    "#2f8f8a",
    "#a58209",
    "#a065a0",
    "#96705a",
    "#d2607c",
    "#7d7f85",
)
# Methods not named above, in the order of the registry: these colours, then with the next marker and dash.
OTHERS = ("#3E8E5A", "#A65D8C", "#5E7FC2", "#B07A2A")
OTHER_SYMBOLS = ("hexagram", "triangle-left", "octagon", "triangle-right", "x")
FROM_FILES = ("#6B7A8F", "x")  # sets that no known method has made
REAL = "#7F8387"  # real data: readable on white and on black; black in print
REAL_LOOKS = {  # dash and marker, by kind
    RANDOM: ("dash", "diamond"),
    MEAN: ("dot", "cross"),
    MORE: ("longdash", "triangle-down"),
    ALL_REAL: ("solid", "circle"),
}
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("", "-open", "-dot", "-open-dot")
# The same for matplotlib.
LINES: dict[str, str | tuple[Any, ...]] = {
    "solid": "-",
    "dash": "--",
    "dot": ":",
    "dashdot": "-.",
    "longdash": (0, (8, 3)),
    "longdashdot": (0, (8, 3, 2, 3)),
}
MARKERS = {
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
    "hexagram": "H",
    "triangle-left": "<",
    "octagon": "8",
    "triangle-right": ">",
}


@dataclass(frozen=True)
class Style:
    """How one series looks: colour; dash and marker of plotly."""

    colour: str
    dash: str = "solid"
    symbol: str = "circle"


def style(method: str, turn: int = 0) -> Style:
    """The look of the `turn`-th run of a method (0 for the first)."""
    round_, (colour, symbol) = _look(method)
    dash = DASHES[(round_ + turn) % len(DASHES)]
    return Style(colour, dash, symbol + SYMBOLS[turn % len(SYMBOLS)])


def _look(method: str) -> tuple[int, tuple[str, str]]:
    """How often the colours of others have been used up before, and colour and marker."""
    from ddcore.distil.contract import methods

    rest = [name for name in methods() if name not in METHODS]
    if method not in rest:
        return 0, METHODS.get(method, FROM_FILES)
    round_, place = divmod(rest.index(method), len(OTHERS))
    return round_, (OTHERS[place], OTHER_SYMBOLS[round_ % len(OTHER_SYMBOLS)])


def styles(methods: Sequence[str]) -> list[Style]:
    """The look of each run, given the methods of all runs in a figure in order."""
    seen: Counter[str] = Counter()
    found = []
    for method in methods:
        found.append(style(method, seen[method]))
        seen[method] += 1
    return found


def looks(sources: Sequence[SourceFacts]) -> dict[str, Style]:
    """The look of each source by its key: sets as ever, real images grey, each size with its marker."""
    own = iter(styles([s.method for s in sources if s.method]))
    seen: Counter[str] = Counter()
    found = {}
    for source in sources:
        if source.method:
            found[source.key] = next(own)
            continue
        kind = source.key.partition(".")[0]
        found[source.key] = real_style(kind, seen[kind])
        seen[kind] += 1
    return found


def real_style(kind: str, turn: int = 0) -> Style:
    """The look of the `turn`-th real images of a kind (0 for the first)."""
    dash, symbol = REAL_LOOKS[kind]
    return Style(REAL, dash, symbol + SYMBOLS[turn % len(SYMBOLS)])
