"""What is shown of a finished `scaling`: figures, table, sentence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from analysis.contract import Arrays, Drawn, Option
from analysis.shared import colours, drawing, significance
from analysis.shared.sources import RANDOM
from analysis.shared.texts import span
from analysis.suite.scaling.maths import (
    HALF,
    LEAST,
    LEAST_FREE,
    GapLaw,
    Known,
    constants,
    exponent,
    fitted,
    free,
    worst,
)
from analysis.suite.scaling.result import ScaledSource, ScalingResult
from analysis.suite.scaling.spec import HOW, PARTS
from ddcore.base import spread

FIXED, FREE = "fixed", "free"
LAWS = {FIXED: "floor + c / √k", FREE: "floor + c / kᵇ"}


def options(result: ScalingResult, picked: dict[str, str]) -> Iterator[Option]:
    """Which law is drawn, and in which set-up; the worst is taken at each size anew."""
    yield Option("law", "Law", LAWS)
    places = {str(i): name for i, name in enumerate(result.found.set_ups)}
    yield Option("set_up", "Set-up", places)


def figures(result: ScalingResult, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """Gap and law, exponents, the worst set-up, and what the laws leave."""
    place = int(picked["set_up"])
    return [
        _gap(result, picked["law"], place),
        *_exponents(result),
        _worst(result),
        _rest(result, place),
    ]


def gaps(result: ScalingResult, place: int = 0) -> dict[str, np.ndarray]:
    """Gap to all data in points (sizes, nets) by the source's key, in a set-up.

    Each network is held against one of those trained on all data in the usual set-up.
    """
    whole = np.array(result.found.whole)
    return {key: 100 * (whole - v[place]) for key, v in result.found.accuracies.items()}


def law_of(source: ScaledSource, gap: np.ndarray, kind: str) -> GapLaw | None:
    """The law of the mean gap, where there are enough sizes for one."""
    if len(source.sizes) < (LEAST if kind == FIXED else LEAST_FREE):
        return None
    mean = gap.mean(1)
    return (
        fitted(np.array(source.sizes), mean)
        if kind == FIXED
        else free(np.array(source.sizes), mean)
    )


def exponents(result: ScalingResult) -> dict[str, Known]:
    """The free exponent in the usual set-up, by the source's key, where one is known."""
    every = gaps(result)
    found = {
        s.key: exponent(np.array(s.sizes), every[s.key])
        for s in result.found.sources
        if len(s.sizes) >= LEAST_FREE
    }
    return {key: known for key, known in found.items() if known is not None}


def floors(result: ScalingResult) -> dict[str, Known]:
    """The floor of the law with exponent 1/2 in the usual set-up, by the source's key."""
    every = gaps(result)
    return {
        s.key: constants(np.array(s.sizes), every[s.key])[0]
        for s in result.found.sources
        if len(s.sizes) >= LEAST
    }


def _gap(result: ScalingResult, kind: str, place: int) -> Drawn:
    every, own = gaps(result, place), colours.looks(result.found.sources)
    figure = drawing.new_figure("images per class", "gap to all data (points)")
    words = []
    for source in result.found.sources:
        gap, look = every[source.key], own[source.key]
        deviations = spread.deviations(gap)
        figure.add_scatter(
            x=list(source.sizes),
            y=gap.mean(1),
            error_y=drawing.bars(deviations),
            name=source.label,
            legendgroup=source.key,
            mode="markers",
            marker={"color": look.colour, "symbol": look.symbol, "size": 9},
            hovertemplate=f"{source.label}, %{{x}} per class: %{{y:.1f}} points<extra></extra>",
        )
        law = law_of(source, gap, kind)
        if law is None:
            words.append(f"{source.label}: too few sizes")
            continue
        line = np.geomspace(source.sizes[0], source.sizes[-1], 60)
        figure.add_scatter(
            x=line,
            y=law.at(line),
            legendgroup=source.key,
            showlegend=False,
            mode="lines",
            line={"color": look.colour, "dash": look.dash, "width": 1.5},
            hoverinfo="skip",
        )
        words.append(_told(source, law))
    _sized(result, figure)
    bars = "; bars are standard deviations" if result.found.nets > 1 else ""
    caption = (
        f"Accuracy on all data ({100 * np.mean(result.found.whole):.1f} %) minus that at each size; lines: "
        f"{LAWS[kind]}. Set-up: {result.found.set_ups[place]}. Mean of {result.found.nets} networks{bars}. "
        f"{'; '.join(words)}."
    )
    return Drawn("Gap to all data by images per class", figure, caption)


def _sized(result: ScalingResult, figure: Any) -> None:
    """A logarithmic axis with every size on it."""
    sizes = sorted({k for s in result.found.sources for k in s.sizes})
    figure.update_xaxes(type="log", tickvals=sizes, ticktext=[str(k) for k in sizes])


def _told(source: ScaledSource, law: GapLaw) -> str:
    how = f" ({HOW[source.how]})" if source.method else ""
    power = "" if law.b == HALF else f", exponent {law.b:.2f}"
    return f"{source.label}{how} floor {law.floor:.1f}, c {law.c:.1f}{power}, rest {law.rest:.2f}"


def _exponents(result: ScalingResult) -> list[Drawn]:
    known, own = exponents(result), colours.looks(result.found.sources)
    if not known:
        return []
    figure = drawing.new_figure("exponent b", "", legend=False)
    words = []
    for source in result.found.sources:
        if source.key not in known:
            continue
        found = known[source.key]
        ends = None
        text = f"{source.label} {found.value:.2f}"
        if found.interval:
            low, high = found.interval
            ends = {"array": [high - found.value], "arrayminus": [found.value - low]}
            text += f" ({low:.2f} to {high:.2f})"
        figure.add_scatter(
            x=[found.value],
            y=[source.label],
            error_x=ends,
            mode="markers",
            marker={
                "color": own[source.key].colour,
                "symbol": own[source.key].symbol,
                "size": 11,
            },
            hovertemplate=f"{text}<extra></extra>",
        )
        words.append(text)
    figure.add_vline(x=HALF, line_dash="dot", line_color=colours.REAL)
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False)
    caption = (
        f"Exponent of the law with a free one, in the usual set-up; dotted: 1/2. Bars: 95 %, jackknife over "
        f"{result.found.nets} networks; sets are the same for all. {'; '.join(words)}."
    )
    return [Drawn("Which exponent fits", figure, caption)]


def worsts(result: ScalingResult) -> dict[str, list[Known]]:
    """The worst accuracy over set-ups at each size, by the source's key."""
    return {
        key: [worst(v[:, i]) for i in range(v.shape[1])]
        for key, v in result.found.accuracies.items()
    }


def _worst(result: ScalingResult) -> Drawn:
    figure = drawing.new_figure("images per class", "worst test accuracy", per_cent=True)
    own, every = colours.looks(result.found.sources), worsts(result)
    words = []
    for source in result.found.sources:
        found, look = every[source.key], own[source.key]
        ends = None
        if all(f.interval for f in found):
            pairs = [(f.value, *f.interval) for f in found if f.interval]
            ends = {
                "array": [high - value for value, _, high in pairs],
                "arrayminus": [value - low for value, low, _ in pairs],
                "thickness": 1,
                "width": 2,
            }
        figure.add_scatter(
            x=list(source.sizes),
            y=[f.value for f in found],
            error_y=ends,
            name=source.label,
            mode="lines+markers",
            line={"color": look.colour, "dash": look.dash, "width": 2},
            marker={"color": look.colour, "symbol": look.symbol, "size": 9},
            hovertemplate=f"{source.label}, %{{x}} per class: %{{y:.1%}}<extra></extra>",
        )
        words.append(f"{source.label} " + ", ".join(f"{100 * f.value:.1f}" for f in found))
    _sized(result, figure)
    caption = (
        f"Smallest mean of {len(result.found.set_ups)} set-ups: {', '.join(result.found.set_ups)}. Bars: "
        f"95 % or more, for the smallest of several means. In per cent, by size: {'; '.join(words)}."
    )
    return Drawn("In the worst set-up", figure, caption)


def _rest(result: ScalingResult, place: int) -> Drawn:
    figure = drawing.new_figure("images per class", "gap minus law (points)")
    every, own = gaps(result, place), colours.looks(result.found.sources)
    words = []
    for source in result.found.sources:
        laws = [law_of(source, every[source.key], kind) for kind in LAWS]
        rests = [f"{law.rest:.2f}" for law in laws if law]
        if not laws[0]:
            continue
        look, sizes = own[source.key], np.array(source.sizes)
        figure.add_scatter(
            x=sizes,
            y=every[source.key].mean(1) - laws[0].at(sizes),
            name=source.label,
            mode="lines+markers",
            line={"color": look.colour, "dash": look.dash, "width": 1.5},
            marker={"color": look.colour, "symbol": look.symbol, "size": 8},
            hovertemplate=f"{source.label}, %{{x}} per class: %{{y:+.2f}} points<extra></extra>",
        )
        words.append(f"{source.label} {', '.join(rests)}")
    figure.add_hline(y=0, line_dash="dot", line_color=colours.REAL)
    _sized(result, figure)
    caption = (
        f"What {LAWS[FIXED]} leaves of the mean gap: a bend is a law that does not hold. Root mean squares "
        f"in points, then with a free exponent, which always leaves less: {'; '.join(words)}."
    )
    return Drawn("What the law leaves", figure, caption, folded=True)


def table(result: ScalingResult, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per source, set-up, size and network."""
    found = result.found
    return [
        {
            "set": source.key,
            "label": source.label,
            "how": source.how,
            "set_up": name,
            "per_class": size,
            "number": i,
            "accuracy": float(value),
            "gap": 100 * (found.whole[i] - float(value)),
        }
        for source in found.sources
        for place, name in enumerate(found.set_ups)
        for size, values in zip(source.sizes, found.accuracies[source.key][place])
        for i, value in enumerate(values)
    ]


def headline(result: ScalingResult) -> str:
    """The gap at the largest size beside random images, and the sets' exponents."""
    every, known = gaps(result), exponents(result)
    sets = [s for s in result.found.sources if s.method]
    size = max(s.ipc for s in sets)
    last = [every[s.key][-1].mean() for s in sets if s.ipc == size]
    real = next(s for s in result.found.sources if s.key == RANDOM)
    beside = ""
    if size in real.sizes:
        beside = f" (random {every[RANDOM][real.sizes.index(size)].mean():.1f})"
    powers = [known[s.key].value for s in sets if s.key in known]
    of = f"({len(powers)} of {len(sets)} known)"
    told = f"exponent **{span(powers, digits=1)}** {of}" if powers else "no exponent can be told"
    return f"Gap at {size} per class: **{span(last, 'points', digits=1)}**{beside}; {told}."


def steeper(result: ScalingResult) -> dict[str, bool]:
    """Whether a set's gap is shown to shrink with another exponent than that of random images.

    Paired two-sided tests of the jackknife's values over networks, corrected over all sets.
    """
    known = exponents(result)
    sets = [s.key for s in result.found.sources if s.method and s.key in known]
    if not sets or RANDOM not in known or result.found.nets < 2:
        return {}
    apart = np.stack([known[key].each - known[RANDOM].each for key in sets])
    ends = [
        significance.paired(apart, side).p for side in (significance.LESS, significance.GREATER)
    ]
    p = np.minimum(1, 2 * np.minimum(*ends))
    return dict(zip(sets, significance.discoveries(p).tolist()))


def sentence(result: ScalingResult) -> str:
    """Floor and exponent of every source, and what is shown of them."""
    low, b, shown = floors(result), exponents(result), steeper(result)
    parts = []
    for source in result.found.sources:
        if source.key not in low:
            parts.append(f"{source.label}: too few sizes")
            continue
        text = f"{source.label} floor **{_with(low[source.key], 1)}** points"
        if source.key in b:
            text += f", exponent **{_with(b[source.key], 2)}**"
            text += " (shown to differ)" if shown.get(source.key) else ""
        elif len(source.sizes) >= LEAST_FREE:
            text += ", no exponent can be told"
        parts.append(text)
    taken = [s.label for s in result.found.sources if s.how == PARTS]
    of_parts = (
        f" Smaller sizes are random parts of one set for {', '.join(taken)}: a set made for a size may do "
        "better."
        if taken
        else ""
    )
    over = (
        "One network: nothing is said of chance."
        if result.found.nets == 1
        else f"Intervals are 95 % over {result.found.nets} networks; the sets are the same for all. Shown to "
        f"differ: from random images', paired {significance.RULE}."
    )
    return f"With floor + c / √k: {'; '.join(parts)}.{of_parts} {over}"


def _with(known: Known, digits: int) -> str:
    text = f"{known.value:.{digits}f}"
    if known.interval:
        text += f" ({known.interval[0]:.{digits}f} to {known.interval[1]:.{digits}f})"
    return text
