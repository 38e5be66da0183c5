"""What is shown of a finished `bias`: figures, table, sentence."""

from __future__ import annotations

from typing import Any

from analysis.contract import Arrays, Drawn
from analysis.shared import colours, drawing, equal_figures
from analysis.shared.sources import RANDOM, SET
from analysis.shared.texts import span
from analysis.suite.bias.maths import as_in_training, gaps
from analysis.suite.bias.result import BiasResult
from ddcore.base import spread


def figures(result: BiasResult, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """Accuracy with a right and a wrong cue, what a wrong one costs at equal accuracy, and along training."""
    return [_both(result), _gaps(result), _along(result)]


def _both(result: BiasResult) -> Drawn:
    found, looks = result.found, colours.looks(result.found.sources)
    height = 90 + 44 * len(found.sources)
    figure = drawing.new_figure("test accuracy", "", height=height, legend=False)
    words = []
    for source in found.sources:
        ends = [v[source.key][-1] for v in (found.contradictings, found.agreeings)]
        means = [float(values.mean()) for values in ends]
        own = {"color": looks[source.key].colour}
        figure.add_scatter(
            x=means,
            y=[source.label] * 2,
            name=source.label,
            mode="lines",
            line=own | {"width": 2},
            hoverinfo="skip",
        )
        for values, mean, symbol, does in zip(
            ends, means, ("circle-open", "circle"), ("contradicts", "agrees")
        ):
            width = spread.deviation(values)
            figure.add_scatter(
                x=[mean],
                y=[source.label],
                error_x=None if width is None else {"array": [width], "thickness": 1, "width": 4},
                name=f"{source.label}, {found.cue} {does}",
                mode="markers",
                marker=own | {"symbol": symbol, "size": 12},
                hovertemplate=f"{source.label}, {found.cue} {does}: %{{x:.1%}}<extra></extra>",
            )
        words.append(f"{source.label} {100 * means[1]:.1f} and {100 * means[0]:.1f}")
    figure.update_xaxes(tickformat=".0%")
    figure.update_yaxes(autorange="reversed", type="category")
    bars = "; bars are standard deviations over networks" if found.nets > 1 else ""
    caption = (
        f"Filled: the {found.cue} agrees with the class ({found.agree} test images); open: it contradicts it "
        f"({found.contradict}). Means of {found.nets} networks in the end of training{bars}. In per cent: "
        f"{'; '.join(words)}."
    )
    return Drawn(f"Accuracy where the {found.cue} is right, and where it is wrong", figure, caption)


def _gaps(result: BiasResult) -> Drawn:
    pairs, cue = gaps(result), result.found.cue
    figure = equal_figures.gaps(pairs, result.found.sources, "points lost more")
    words = "; ".join(
        f"{p.source.label} against {equal_figures.other(p)} {p.difference.mean():+.1f} at "
        f"{100 * p.accuracy.mean():.0f} % ({equal_figures.told(p, 'more', 'less')})"
        for p in pairs
    )
    caption = f"Right of 0 a set's networks go more by the {cue} than others do. {words}."
    return Drawn(f"What a wrong {cue} costs at equal accuracy", figure, caption)


def _along(result: BiasResult) -> Drawn:
    found, accuracies = result.found, as_in_training(result.found)
    figure = equal_figures.along(
        found.sources,
        accuracies,
        found.contradictings,
        found.looks,
        f"accuracy where the {found.cue} is wrong",
        per_cent=True,
    )
    figure.update_xaxes(title=f"accuracy, {found.cue}s as in training")
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        name=f"{found.cue.capitalize()} ignored",
        mode="lines",
        hoverinfo="skip",
        line={"color": colours.REAL, "width": 1},
    )
    words = "; ".join(
        f"{s.label} {100 * found.contradictings[s.key][-1].mean():.1f} at "
        f"{100 * accuracies[s.key][-1].mean():.1f}"
        for s in found.sources
    )
    caption = (
        f"A line is one training, from left to right; the lower below the diagonal, the more it goes by the "
        f"{found.cue}. In the end, in per cent: {words}."
    )
    return Drawn(f"Accuracy with a wrong {found.cue}, along training", figure, caption)


def table(result: BiasResult, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per source, look and network."""
    found, accuracies = result.found, as_in_training(result.found)
    return [
        {
            "set": source.key,
            "label": source.label,
            "iteration": iteration,
            "number": n,
            "agreeing": float(found.agreeings[source.key][i, n]),
            "contradicting": float(found.contradictings[source.key][i, n]),
            "as_in_training": float(accuracies[source.key][i, n]),
        }
        for source in found.sources
        for i, iteration in enumerate(found.looks)
        for n in range(found.nets)
    ]


def headline(result: BiasResult) -> str:
    """Points that a wrong cue costs more than after as many random images, at equal accuracy."""
    pairs = [pair for pair in gaps(result) if pair.other.kind == RANDOM]
    points = span([p.difference.mean() for p in pairs], "points", signed=True, digits=1)
    shown = sum(p.verdict != 0 for p in pairs)
    return (
        f"Cost of a wrong {result.found.cue}, minus random images' at equal accuracy: "
        f"**{points}** (told apart: {shown} of {len(pairs)})."
    )


def sentence(result: BiasResult) -> str:
    """Every source in the end of training, and all pairs of a set and another source at equal accuracy."""
    found, pairs, parts = result.found, gaps(result), []
    for source in found.sources:
        right, wrong = (
            100 * v[source.key][-1].mean() for v in (found.agreeings, found.contradictings)
        )
        text = f"{source.label}: {right:.1f} and {wrong:.1f} %"
        if source.kind == SET:
            text += ", at equal accuracy " + ", ".join(
                f"**{p.difference.mean():+.1f}** against {equal_figures.other(p)} "
                f"({equal_figures.told(p, 'more', 'less')})"
                for p in pairs
                if p.source == source
            )
        parts.append(f"{text}.")
    return (
        f"Accuracy in the end where the {found.cue} agrees with the class and where it contradicts it, and "
        f"points that a wrong {found.cue} costs more than elsewhere at equal accuracy, {found.cue}s as in "
        f"training (right in {100 * found.correlation:.0f} %). {' '.join(parts)} "
        f"{equal_figures.how(found.nets)}"
    )
