"""What is shown of a finished `robustness`: figures, table, sentence, pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from analysis.contract import Arrays, Drawn, Option, Pictures
from analysis.shared import colours, drawing, equal_figures
from analysis.shared.sources import RANDOM
from analysis.shared.texts import span
from analysis.suite.robustness.maths import gaps
from analysis.suite.robustness.result import RobustnessResult
from analysis.suite.robustness.spec import ATTACKS
from ddcore.base import spread


def options(result: RobustnessResult, picked: dict[str, str]) -> Iterator[Option]:
    """Which attack the curves are of."""
    yield Option("attack", "Attack", ATTACKS)


def figures(result: RobustnessResult, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """Attacked against plain accuracy along training, accuracy by bound, and gaps at equal accuracy."""
    return [_along(result), _by_bound(result, picked["attack"]), _gaps(result)]


def _along(result: RobustnessResult) -> Drawn:
    found = result.found
    figure = equal_figures.along(
        found.sources,
        found.accuracies,
        found.robusts,
        found.looks,
        "accuracy under attack",
        per_cent=True,
    )
    words = "; ".join(
        f"{s.label} {100 * found.robusts[s.key][-1].mean():.1f} at "
        f"{100 * found.accuracies[s.key][-1].mean():.1f}"
        for s in found.sources
    )
    caption = (
        f"At equal accuracy, higher is more robust (pixels change by up to {found.followed:g}). A line is "
        f"one training, from left to right: {found.steps} steps of projected gradient descent on "
        f"{found.images} test images, {found.nets} networks. In the end, in per cent: {words}."
    )
    return Drawn("Accuracy under attack, along training", figure, caption)


def _by_bound(result: RobustnessResult, attack: str) -> Drawn:
    found, looks = result.found, colours.looks(result.found.sources)
    figure = drawing.new_figure("largest change of a pixel (0..1)", "accuracy", per_cent=True)
    by_bound = found.by_bound(attack)
    order = np.argsort(found.bounds)
    bounds = [0.0, *(found.bounds[i] for i in order)]
    words = []
    for source in found.sources:
        clean = found.accuracies[source.key][-1:]
        values = np.concatenate([clean, by_bound[source.key][order]])
        look, widths = looks[source.key], spread.deviations(values)
        figure.add_scatter(
            x=bounds,
            y=values.mean(1),
            error_y=drawing.bars(widths),
            name=source.label,
            mode="lines+markers",
            line={"color": look.colour, "dash": look.dash, "width": 2},
            marker={"color": look.colour, "symbol": look.symbol, "size": 7},
            hovertemplate=f"{source.label}, %{{x:g}}: %{{y:.1%}}<extra></extra>",
        )
        words.append(f"{source.label} " + ", ".join(f"{100 * v:.1f}" for v in values.mean(1)))
    bars = "; bars are standard deviations over networks" if found.nets > 1 else ""
    caption = (
        f"{ATTACKS[attack]} on networks in the end of training{bars}. In per cent, from no attack on: "
        f"{'; '.join(words)}."
    )
    return Drawn("Accuracy by the size of the attack", figure, caption)


def _gaps(result: RobustnessResult) -> Drawn:
    pairs = gaps(result)
    figure = equal_figures.gaps(pairs, result.found.sources, "points under attack")
    words = "; ".join(
        f"{p.source.label} against {equal_figures.other(p)} {p.difference.mean():+.1f} at "
        f"{100 * p.accuracy.mean():.0f} % ({equal_figures.told(p, 'more', 'less')})"
        for p in pairs
    )
    caption = f"What a set has more than others at equal accuracy. {words}."
    return Drawn("Robustness at equal accuracy", figure, caption)


def pictures(result: RobustnessResult, arrays: Arrays) -> list[Pictures]:
    """What the attack adds to an image of each class, by source: grey is no change."""
    found = []
    for source in result.found.sources:
        change = arrays[f"change.{source.key}"].astype(np.float32)
        lines = [f"class {i + 1}" for i in range(len(change))]
        shown = np.clip(0.5 + change / (2 * result.found.followed), 0, 1)
        found.append(Pictures(f"What the attack adds: {source.label}", shown, lines, folded=True))
    return found


def table(result: RobustnessResult, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per source, look or bound, and network."""
    found, rows = result.found, []
    for source in found.sources:
        own = {"set": source.key, "label": source.label}
        plain, robust = found.accuracies[source.key], found.robusts[source.key]
        for i, iteration in enumerate(found.looks):
            for n in range(found.nets):
                place = {"iteration": iteration, "number": n, "accuracy": float(plain[i, n])}
                at = {"attack": "pgd", "bound": found.followed, "attacked": float(robust[i, n])}
                rows.append(own | place | at)
        for attack in ATTACKS:
            values = found.by_bound(attack)[source.key]
            for b, bound in enumerate(found.bounds):
                for n in range(found.nets):
                    clean = float(plain[-1, n])
                    place = {"iteration": found.iterations, "number": n, "accuracy": clean}
                    at = {"attack": attack, "bound": bound, "attacked": float(values[b, n])}
                    rows.append(own | place | at)
    return rows


def headline(result: RobustnessResult) -> str:
    """Points that sets have more than as many random images, at equal accuracy."""
    pairs = [pair for pair in gaps(result) if pair.other.kind == RANDOM]
    if not pairs:
        return "Nothing was compared."
    points = span([p.difference.mean() for p in pairs], "points", signed=True, digits=1)
    shown = sum(p.verdict != 0 for p in pairs)
    return (
        f"Under attack, at equal accuracy: **{points}** against random images "
        f"(told apart: {shown} of {len(pairs)})."
    )


def sentence(result: RobustnessResult) -> str:
    """All pairs of set and other source."""
    found, parts = result.found, []
    pairs = gaps(result)
    for source in dict.fromkeys(pair.source for pair in pairs):
        own = [pair for pair in pairs if pair.source == source]
        words = ", ".join(
            f"**{p.difference.mean():+.1f}** against {equal_figures.other(p)} "
            f"({equal_figures.told(p, 'more robust', 'less robust')})"
            for p in own
        )
        parts.append(f"{source.label}: {words}.")
    return (
        f"Points of accuracy under attack (pixels changed by up to {found.followed:g}) at equal accuracy "
        f"without one. {' '.join(parts)} {equal_figures.how(found.nets)}"
    )
