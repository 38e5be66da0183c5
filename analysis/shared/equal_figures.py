"""Figures of networks compared at equal accuracy: a value along training, and gaps with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from analysis.shared import colours, drawing, significance
from analysis.shared.equal import AtEqual
from analysis.shared.sources import TITLES, KindOfSource

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def along(
    sources: Sequence[KindOfSource],
    accuracy: Mapping[str, np.ndarray],
    values: Mapping[str, np.ndarray],
    at: Sequence[int],
    y: str,
    *,
    per_cent: bool,
) -> Figure:
    """Means over networks of a value against accuracy, both by key (looks, nets), from look to look."""
    figure = drawing.new_figure("test accuracy", y, per_cent=per_cent)
    own = colours.looks(sources)
    for source in sources:
        look = own[source.key]
        figure.add_scatter(
            x=accuracy[source.key].mean(1),
            y=values[source.key].mean(1),
            name=source.label,
            mode="lines+markers",
            line={"color": look.colour, "dash": look.dash, "width": 2},
            marker={"color": look.colour, "symbol": look.symbol, "size": 7},
            customdata=list(at),
            hovertemplate=f"{source.label}, iteration %{{customdata}}: "
            f"%{{x:.1%}}, %{{y:{'.1%' if per_cent else '.3f'}}}<extra></extra>",
        )
    figure.update_xaxes(tickformat=".0%")
    return figure


def gaps(pairs: Sequence[AtEqual], sources: Sequence[KindOfSource], x: str) -> Figure:
    """What a set has more than each other source at equal accuracy, with 95 % intervals of Student's t."""
    from scipy.stats import t

    height = 90 + 34 * len(pairs)
    figure = drawing.new_figure(x, "", height=height, legend=False)
    own = colours.looks(sources)
    for pair in pairs:
        n, look = len(pair.difference), own[pair.source.key]
        test = significance.paired(pair.difference, significance.GREATER)
        sure = n > 1 and np.isfinite(test.error)
        around = float(t.ppf(0.975, n - 1) * test.error) if sure else None
        figure.add_scatter(
            x=[float(test.mean)],
            y=[f"{pair.source.label}<br>against {other(pair)}"],
            error_x=None if around is None else {"array": [around], "thickness": 1.5, "width": 4},
            name=pair.source.label,
            mode="markers",
            marker={"color": look.colour, "symbol": look.symbol, "size": 10},
            customdata=[f"{100 * pair.accuracy.mean():.1f}"],
            hovertemplate="%{y}: %{x:+.3f} at %{customdata} %<extra></extra>",
        )
    figure.add_vline(x=0, line_dash="dot", line_color=colours.REAL)
    figure.update_yaxes(autorange="reversed", type="category")
    return figure


def other(pair: AtEqual) -> str:
    """What a set is held against, in words."""
    return TITLES[pair.other.kind].lower()


def told(pair: AtEqual, more: str, less: str) -> str:
    """The word that a verdict allows, or that there is none."""
    return {1: more, -1: less, 0: "not told apart"}[pair.verdict]


def how(nets: int) -> str:
    """What the intervals and the verdicts rest on."""
    if nets == 1:
        return "One network of each: nothing is said of chance."
    return (
        f"Means over {nets} networks, paired by their start, with 95 % intervals; told apart by a paired "
        f"{significance.RULE} over all pairs and both directions. Each set was made once."
    )
