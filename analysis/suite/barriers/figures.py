"""What is shown of a finished `barriers`: figures, table, sentence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from analysis.contract import Arrays, Drawn, Option
from analysis.shared import colours, drawing, significance
from analysis.shared.sources import REAL
from analysis.shared.texts import span
from analysis.suite.barriers.maths import shares
from analysis.suite.barriers.result import BarriersResult
from analysis.suite.barriers.spec import AS_IS, KINDS, MATCHED, ORDER, SET_REAL, START
from ddcore.base import spread

MEASURES = {"loss": "Loss", "error": "Error"}
WAYS = {AS_IS: "As they are", MATCHED: "With units matched"}
TICKS = {SET_REAL: "and one trained<br>on real images", ORDER: "other order", START: "other start"}
WORDS = {
    SET_REAL: "with one trained on real images",
    ORDER: "in another order",
    START: "from another start",
}
HIGHER, LOWER = "higher", "lower"


def options(result: BarriersResult, picked: dict[str, str]) -> Iterator[Option]:
    """Which pairs, what is measured, and whether units are matched first."""
    yield Option("pair", "Networks and", KINDS)
    yield Option("measure", "Along the path", MEASURES)
    if result.found.matched:
        yield Option("way", "Units", WAYS)


def figures(result: BarriersResult, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """Paths of one kind of pairs, all barriers, and what matching leaves of them."""
    way, measure = picked.get("way", AS_IS), picked["measure"]
    drawn = [
        _curves(result, arrays, picked["pair"], measure, way),
        _barriers(result, measure, way),
    ]
    return drawn + ([_matching(result, measure)] if result.found.matched else [])


def reference(kind: str) -> str:
    """The pairs of networks trained on real images that pairs of a kind are held against."""
    return START if kind == START else ORDER


def _pairs(result: BarriersResult, kind: str) -> list[tuple[str, str, str]]:
    """(key, kind, label) of the paths in a figure: every source, and the reference."""
    found = [(s.key, kind, s.label) for s in result.found.sources if s.key != REAL]
    label = "Two on real images" if kind == SET_REAL else "All real images"
    return [*found, (REAL, reference(kind), label)]


def _curves(result: BarriersResult, arrays: Arrays, kind: str, measure: str, way: str) -> Drawn:
    own, x = colours.looks(result.found.sources), shares(result.found.points)
    second = "network trained on real images" if kind == SET_REAL else "second network"
    figure = drawing.new_figure(
        f"share of the {second}",
        f"{MEASURES[measure].lower()} on test images",
        per_cent=measure == "error",
    )
    words = []
    for key, own_kind, label in _pairs(result, kind):
        values, look = arrays[f"{measure}.{key}.{own_kind}.{way}"], own[key]
        deviations = spread.deviations(values)
        unit = "%{y:.1%}" if measure == "error" else "%{y:.3f}"
        figure.add_scatter(
            x=x,
            y=values.mean(1),
            error_y=drawing.bars(deviations),
            name=label,
            mode="lines+markers",
            line={"color": look.colour, "dash": look.dash, "width": 2},
            marker={"color": look.colour, "symbol": look.symbol, "size": 6},
            hovertemplate=f"{label}<br>%{{x:.0%}}: {unit}<extra></extra>",
        )
        barrier = result.found.of(key, own_kind, way, measure).mean()
        words.append(f"{label} {_number(barrier, measure)}")
    figure.update_xaxes(tickformat=".0%")
    caption = (
        f"A network and {KINDS[kind]}, on the straight line between them{_matched(way)}. Mean of "
        f"{_pairs_text(result)}{_bars(result)}. Barrier, the most above the straight line between the ends: "
        f"{'; '.join(words)}."
    )
    return Drawn(f"{MEASURES[measure]} along the path", figure, caption)


def _barriers(result: BarriersResult, measure: str, way: str) -> Drawn:
    own = colours.looks(result.found.sources)
    figure = drawing.new_figure("", f"barrier of {measure}", per_cent=measure == "error")
    sources = result.found.sources
    offsets = dict(zip((s.key for s in sources), np.linspace(-0.3, 0.3, len(sources))))
    words = []
    for source in sources:
        kinds = [k for k in KINDS if (source.key, k, way) in result.found.barriers]
        values = np.stack([result.found.of(source.key, k, way, measure) for k in kinds])
        look, deviations = own[source.key], spread.deviations(values)
        figure.add_scatter(
            x=[list(KINDS).index(k) + offsets[source.key] for k in kinds],
            y=values.mean(1),
            error_y=drawing.bars(deviations),
            name=source.label,
            mode="markers",
            marker={"color": look.colour, "symbol": look.symbol, "size": 9},
            customdata=[KINDS[k] for k in kinds],
            hovertemplate=f"{source.label}<br>%{{customdata}}: %{{y:.3g}}<extra></extra>",
        )
        told = ", ".join(_number(v, measure) for v in values.mean(1))
        words.append(f"{source.label} {told}")
    figure.update_xaxes(
        tickvals=list(range(len(KINDS))), ticktext=[TICKS[k] for k in KINDS], showgrid=False
    )
    caption = (
        f"Each kind of pairs{_matched(way)}: mean of {_pairs_text(result)}{_bars(result)}. In the order of "
        f"the figure: {'; '.join(words)}."
    )
    return Drawn(f"Barriers of {measure}", figure, caption)


def _matching(result: BarriersResult, measure: str) -> Drawn:
    """Before and after matching, of pairs with other starts."""
    sources = result.found.sources
    figure = drawing.new_figure(f"barrier of {measure}", "", height=100 + 30 * len(sources))
    words, names = [], [s.label for s in sources]
    for (way, title), colour, symbol in zip(
        WAYS.items(), colours.SERIES, ("circle", "diamond-open")
    ):
        values = [result.found.of(s.key, START, way, measure) for s in sources]
        deviations = spread.deviations(np.stack(values))
        figure.add_scatter(
            x=[v.mean() for v in values],
            y=names,
            error_x=drawing.bars(deviations),
            name=title,
            mode="markers",
            marker={"color": colour, "symbol": symbol, "size": 10},
            hovertemplate=f"{title}<br>%{{y}}: %{{x:.3g}}<extra></extra>",
        )
    for source in sources:
        before, after = (
            result.found.of(source.key, START, way, measure).mean() for way in (AS_IS, MATCHED)
        )
        words.append(f"{source.label} {_number(before, measure)} to {_number(after, measure)}")
    if measure == "error":
        figure.update_xaxes(tickformat=".0%")
    figure.update_yaxes(type="category", categoryorder="array", categoryarray=names[::-1])
    caption = (
        f"Pairs with other starts, hidden units put where weights are most alike. Mean of "
        f"{_pairs_text(result)}{_bars(result)}: {'; '.join(words)}."
    )
    return Drawn("What the order of units hides", figure, caption)


# --- table and words ----------------------------------------------------------------------------------


def table(result: BarriersResult, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per source, kind of pairs, way and pair."""
    labels = {s.key: s.label for s in result.found.sources}
    return [
        {
            "set": path.key,
            "label": labels[path.key],
            "pair": path.kind,
            "units": path.way,
            "number": i,
            "loss_barrier": path.loss[i],
            "error_barrier": path.error[i],
            "error_instability": path.instability[i],
        }
        for path in result.found.paths
        for i in range(result.found.nets)
    ]


def headline(result: BarriersResult) -> str:
    """Barriers between set-trained and real-trained networks of one start, and between starts."""
    sets = [s.key for s in result.found.sources if s.method]
    same, other = (
        span([float(result.found.of(k, kind, AS_IS, "loss").mean()) for k in sets], digits=2)
        for kind in (SET_REAL, START)
    )
    return (
        f"Loss barrier to real-trained networks: **{same}** from the same start; between starts of one set "
        f"**{other}**."
    )


def shown(result: BarriersResult) -> dict[tuple[str, str], str]:
    """Whether a barrier of loss is higher or lower than that of real pairs, by source and kind of pairs.

    Paired tests over starts in both directions, corrected over all sources, kinds and directions. None of one
    pair.
    """
    keys = [(s.key, kind) for s in result.found.sources if s.key != REAL for kind in KINDS]
    apart = np.stack(
        [
            result.found.of(key, kind, AS_IS, "loss")
            - result.found.of(REAL, reference(kind), AS_IS, "loss")
            for key, kind in keys
        ]
    )
    p = [significance.paired(apart, way).p for way in (significance.GREATER, significance.LESS)]
    higher, lower = significance.discoveries(np.stack(p))
    found = {}
    for key, up, down in zip(keys, higher, lower):
        if up or down:
            found[key] = HIGHER if up else LOWER
    return found


def sentence(result: BarriersResult) -> str:
    """Barriers of every source and kind, and which differ from those of real-trained pairs."""
    found, differs, texts = result.found, shown(result), []
    for source in found.sources:
        parts = []
        for kind in KINDS:
            if (source.key, kind, AS_IS) not in found.barriers:
                continue
            value = found.of(source.key, kind, AS_IS, "loss").mean()
            word = differs.get((source.key, kind))
            parts.append(f"**{value:.2f}**{f' ({word})' if word else ''} {WORDS[kind]}")
        texts.append(f"{source.label} {', '.join(parts)}")
    tests = (
        "One pair: nothing is said of chance."
        if found.nets == 1
        else "Higher or lower than of two networks trained on real images, the same start or another: "
        f"paired {significance.RULE}, over {found.nets} starts; sets are the same for all."
    )
    matched = ""
    if found.matched:
        after = [float(found.of(s.key, START, MATCHED, "loss").mean()) for s in found.sources]
        matched = f" With units matched, other starts leave {span(after, digits=2)}."
    return f"Barriers of loss on test images: {'; '.join(texts)}.{matched} {tests}"


def _number(value: float, measure: str) -> str:
    return f"{100 * value:.1f} points" if measure == "error" else f"{value:.2f}"


def _matched(way: str) -> str:
    return ", units matched" if way == MATCHED else ""


def _pairs_text(result: BarriersResult) -> str:
    nets = result.found.nets
    return f"{nets} pairs of {result.found.network}" if nets > 1 else "one pair"


def _bars(result: BarriersResult) -> str:
    return "; bars are standard deviations" if result.found.nets > 1 else ""
