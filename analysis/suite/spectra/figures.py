"""What is shown of a finished `spectra`: figures, table, sentence, pictures."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from analysis.contract import Arrays, Drawn, Option, Pictures
from analysis.shared import colours, drawing, significance
from analysis.shared.sources import RANDOM, key_of
from analysis.shared.texts import span
from analysis.suite.spectra.maths import BOTH, TEST, TRAIN, losses, places, rings, without
from analysis.suite.spectra.result import Dimensions, SpectraResult
from ddcore.base import spread
from ddcore.base.texts import percent

REMOVED = {
    TRAIN: "Removed from images trained on",
    TEST: "Removed from test images",
    BOTH: "Removed from both",
}
SPACES = {"pixels": "Pixels", "features": "Features of trained networks"}
ESTIMATES = {
    "two": ("TwoNN", "circle"),
    "many": ("maximum likelihood", "square"),
    "ratio": ("principal components", "diamond-open"),
}
ALL = "all"
LOW, HIGH = 10, 90  # percentiles of images


def options(result: SpectraResult, picked: dict[str, str]) -> Iterator[Option]:
    """Whose power, where bands are removed, and what dimensions are of."""
    classes = {str(c): name for c, name in enumerate(result.class_names)}
    yield Option("cls", "Power of", {ALL: "all classes", **classes})
    yield Option("removed", "Bands", REMOVED)
    yield Option("space", "Dimensions of", SPACES)


def figures(result: SpectraResult, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """Power by radial frequency, accuracy lost without each band, dimensions."""
    return [
        _spectrum(result, arrays, picked["cls"]),
        _lost(result, picked["removed"]),
        _dimensions(result, picked["space"]),
    ]


def bands(result: SpectraResult) -> list[str]:
    """The bands in words, in cycles per image."""
    low = result.found.edges
    names = [f"{a:g} to {b:g}" for a, b in itertools.pairwise(low[:-1])]
    return [*names, f"above {low[-2]:g}"]


# --- power ------------------------------------------------------------------------------------------


def _spectrum(result: SpectraResult, arrays: Arrays, cls: str) -> Drawn:
    sides = result.shape[1:]
    entries = np.bincount(rings(sides).ravel())
    at, own = np.arange(1, len(entries)), colours.looks(result.found.sources)
    figure = drawing.new_figure("radial frequency (cycles per image)", "power per frequency")
    for source in result.found.sources:
        power = arrays[f"power.{source.key}"]
        if cls != ALL:
            power = power[arrays[f"labels.{source.key}"] == int(cls)]
        if not len(power):
            continue
        each, look = power[:, 1:] / entries[1:], own[source.key]
        mean = each.mean(0)
        if len(each) > 1:
            low, high = np.maximum(np.percentile(each, [LOW, HIGH], axis=0), 1e-3 * mean)
            figure.add_scatter(
                x=np.concatenate([at, at[::-1]]),
                y=np.concatenate([high, low[::-1]]),
                mode="lines",
                fill="toself",
                fillcolor=drawing.faded(look.colour, 0.1),
                line={"width": 0},
                hoverinfo="skip",
                legendgroup=source.key,
                showlegend=False,
            )
        figure.add_scatter(
            x=at,
            y=mean,
            name=source.label,
            legendgroup=source.key,
            mode="lines+markers",
            line={"color": look.colour, "dash": look.dash, "width": 2},
            marker={"color": look.colour, "symbol": look.symbol, "size": 7},
            hovertemplate=f"{source.label}<br>%{{x}} cycles: %{{y:.2e}}<extra></extra>",
        )
    figure.update_yaxes(type="log", exponentformat="power", dtick=1)
    for edge in result.found.edges[1:-1]:
        figure.add_vline(edge, line={"color": colours.REAL, "dash": "dot", "width": 1})
    words = "; ".join(
        f"{s.label} {', '.join(percent(v) for v in result.found.shares[s.key])}"
        for s in result.found.sources
    )
    caption = (
        f"Mean square of pixels per frequency; shaded: {LOW}th to {HIGH}th percentile of images; dotted: "
        f"ends of bands. Power of all classes in the bands {', '.join(bands(result))}, without the "
        f"mean: {words}."
    )
    return Drawn("Power by radial frequency", figure, caption)


# --- knock-outs -------------------------------------------------------------------------------------


def _lost(result: SpectraResult, removed: str) -> Drawn:
    every, own, names = losses(result), colours.looks(result.found.sources), bands(result)
    figure = drawing.new_figure("band removed (cycles per image)", "points lost")
    sources = result.found.sources
    offsets = np.linspace(-0.3, 0.3, len(sources))
    for source, offset in zip(sources, offsets):
        values, look = every[source.key][removed], own[source.key]
        deviations = spread.deviations(values)
        figure.add_scatter(
            x=np.arange(len(names)) + offset,
            y=values.mean(1),
            error_y=drawing.bars(deviations),
            name=source.label,
            mode="markers",
            marker={"color": look.colour, "symbol": look.symbol, "size": 9},
            customdata=names,
            hovertemplate=f"{source.label}<br>%{{customdata}}: %{{y:.1f}} points<extra></extra>",
        )
    figure.update_xaxes(tickvals=list(range(len(names))), ticktext=names, showgrid=False)
    figure.add_hline(y=0, line_dash="dot", line_color=colours.REAL)
    words = "; ".join(
        f"{s.label} {', '.join(_signed(v) for v in every[s.key][removed].mean(1))}" for s in sources
    )
    bars = "; bars are standard deviations" if result.found.nets > 1 else ""
    caption = (
        f"{REMOVED[removed]}: test accuracy that is lost, mean of {_networks(result)}{bars}. From the lowest "
        f"band on: {words}."
    )
    return Drawn("Accuracy lost without a band", figure, caption)


def shown(result: SpectraResult) -> dict[str, dict[str, np.ndarray]]:
    """Whether (bands,) accuracy is lost, by the source's key and where the band is removed.

    Paired tests over networks, corrected over all sources, bands and places. None of one network.
    """
    return _tested(losses(result))


def beyond(result: SpectraResult) -> dict[str, dict[str, np.ndarray]]:
    """The same of sets, for losing more than random real images of their size do."""
    every = losses(result)
    apart = {
        s.key: {w: v - every[key_of(RANDOM, s.ipc)][w] for w, v in every[s.key].items()}
        for s in result.found.sources
        if s.method
    }
    return _tested(apart)


def _tested(values: dict[str, dict[str, np.ndarray]]) -> dict[str, dict[str, np.ndarray]]:
    each = np.stack([np.stack([own[w] for w in REMOVED]) for own in values.values()])
    found = significance.discoveries(significance.paired(each, significance.GREATER).p)
    return {key: dict(zip(REMOVED, rows)) for key, rows in zip(values, found)}


# --- dimensions -------------------------------------------------------------------------------------


def _name(result: SpectraResult, key: str) -> str:
    labels = {s.key: s.label for s in result.found.sources}
    return labels.get(key, "All real images")


def _dimensions(result: SpectraResult, space: str) -> Drawn:
    rows = [d for d in result.found.dimensions if d.space == space]
    figure = drawing.new_figure("dimension", "", height=90 + 34 * len(rows))
    for (name, (title, symbol)), colour in zip(ESTIMATES.items(), colours.SERIES):
        told = [(_row(result, d), getattr(d, name)) for d in rows]
        known = [(label, np.array(values)) for label, values in told if values]
        if not known:
            continue
        several = max(len(v) for _, v in known) > 1
        bars = {"array": [v.std(ddof=1) if len(v) > 1 else 0 for _, v in known], "thickness": 1}
        figure.add_scatter(
            x=[v.mean() for _, v in known],
            y=[label for label, _ in known],
            error_x=bars if several else None,
            name=title,
            mode="markers",
            marker={"color": colour, "symbol": symbol, "size": 10},
            hovertemplate=f"{title}<br>%{{y}}: %{{x:.1f}}<extra></extra>",
        )
    order = [_row(result, d) for d in rows]
    figure.update_yaxes(type="category", categoryorder="array", categoryarray=order[::-1])
    words = "; ".join(f"{_name(result, d.key)} {dimension_text(d)}" for d in rows)
    few = "" if all(d.two for d in rows) else f" Fewer than {result.found.least} images: not told."
    caption = (
        f"Nearest neighbours (TwoNN, maximum likelihood with {result.found.neighbours}), and participation "
        f"ratio of principal components, which n images keep below n.{few} {words}."
    )
    return Drawn(f"Dimensions that images fill: {SPACES[space].lower()}", figure, caption)


def _row(result: SpectraResult, found: Dimensions) -> str:
    return f"{_name(result, found.key)} ({found.images})"


def dimension_text(found: Dimensions) -> str:
    """The estimates in their order, or that there are too few images to tell."""
    told = [
        f"{np.mean(values):.1f}" if values else "cannot be told"
        for values in (getattr(found, name) for name in ESTIMATES)
    ]
    return ", ".join(told)


# --- table, words, pictures ---------------------------------------------------------------------------


def table(result: SpectraResult, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per source, place of removal, band and network; then those of dimensions."""
    every, names = losses(result), bands(result)
    rows = [
        {
            "set": source.key,
            "label": source.label,
            "per_class": source.ipc,
            "removed_from": place,
            "band": names[b],
            "share_of_power": float(result.found.shares[source.key][b]),
            "number": i,
            "points_lost": float(value),
        }
        for source in result.found.sources
        for place in REMOVED
        for b, values in enumerate(every[source.key][place])
        for i, value in enumerate(values)
    ]
    for found in result.found.dimensions:
        for name, (title, _) in ESTIMATES.items():
            rows += [
                {
                    "set": found.key,
                    "label": _name(result, found.key),
                    "space": found.space,
                    "estimate": title,
                    "number": i,
                    "dimension": value,
                }
                for i, value in enumerate(getattr(found, name) or [])
            ]
    return rows


def headline(result: SpectraResult) -> str:
    """Power and accuracy in the highest band, of sets and of random real images."""
    every, shares = losses(result), result.found.shares
    sets = [s.key for s in result.found.sources if s.method]
    largest = max(s.ipc for s in result.found.sources)
    real = key_of(RANDOM, largest)
    held = span([100 * float(shares[key][-1]) for key in sets], "%")
    cost = span([float(every[key][TRAIN][-1].mean()) for key in sets], "points")
    return (
        f"Highest band: **{held}** of power, **{cost}** of accuracy; real images "
        f"{span([100 * float(shares[real][-1])], '%')}, {span([float(every[real][TRAIN][-1].mean())])}."
    )


def sentence(result: SpectraResult) -> str:
    """Of every set: power by band, what is lost without each, and dimensions."""
    every, more, apart = losses(result), shown(result), beyond(result)
    names, texts = bands(result), []

    def lost(key: str, place: str) -> str:
        above = apart[key][place] if key in apart else np.zeros(len(names), bool)
        rows = zip(every[key][place].mean(1), more[key][place], above, strict=True)
        return ", ".join(
            f"{_signed(mean)}{_mark(is_lost, beyond_it)}" for mean, is_lost, beyond_it in rows
        )

    for source in result.found.sources:
        power = ", ".join(percent(v) for v in result.found.shares[source.key])
        texts.append(
            f"{source.label} **{power}** of its power, **{lost(source.key, TRAIN)}** points, "
            f"{lost(source.key, BOTH)} where test images lack them, too"
        )
    filled = "; ".join(
        f"{_name(result, d.key)} {dimension_text(d)}"
        for d in result.found.dimensions
        if d.space == "pixels"
    )
    tests = (
        "One network: nothing is said of chance."
        if result.found.nets == 1
        else f"Shown to be lost, and to be more than random real images lose: paired {significance.RULE}, "
        f"over {result.found.nets} networks, which differ in starting weights and random images; the sets "
        "are the same for all."
    )
    return (
        f"In the bands {', '.join(names)} cycles per image lie, and without them in training is lost: "
        f"{'; '.join(texts)}. {tests} Dimensions of pixels (TwoNN, maximum likelihood, principal "
        f"components): {filled}."
    )


def pictures(result: SpectraResult, arrays: Arrays) -> list[Pictures]:
    """An image of every set: whole, and without each band."""
    of, names, found = places(result.shape[1:], len(bands(result))), bands(result), []
    for run in result.runs:
        if (whole := arrays.get(f"pixels.{run.key}")) is None:
            continue
        image = whole[:1]
        changed = [image, *(without(image, of == b) for b in range(len(names)))]
        labels = ["whole", *(f"without {name}" for name in names)]
        found.append(Pictures(run.label, np.concatenate(changed), labels))
    return found


def _mark(is_lost: bool, is_more: bool) -> str:
    return "" if not is_lost else " (shown, more than random)" if is_more else " (shown)"


def _networks(result: SpectraResult) -> str:
    nets = result.found.nets
    return f"{nets} networks {result.found.network}" if nets > 1 else "one network"


def _signed(value: float) -> str:
    text = f"{value:.1f}"
    return "0.0" if float(text) == 0 else text
