"""What is shown of a finished `mixing`: figures, table, sentence, pictures."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.contract import Arrays, Drawn
from analysis.shared import colours, drawing
from analysis.shared.sources import SourceFacts
from analysis.shared.texts import span
from analysis.suite.mixing.result import MixingResult
from ddcore.base.spread import deviation, deviations, plus_minus


def place(added: int, first: int) -> float:
    """Where an amount is on the axis: 0 at 0, 1 at the smallest amount, then logarithmic (symlog)."""
    return 0.0 if added == 0 else 1 + float(np.log(added / first) / np.log(5))


def curves(result: MixingResult) -> list[tuple[SourceFacts, np.ndarray, colours.Style]]:
    """(source, accuracy (amounts, nets), look) of the runs, then of random real images."""
    sources, accuracy = result.found.sources, result.found.curves
    looks = colours.looks(sources)
    return [(s, accuracy[s.key], looks[s.key]) for s in sources]


def figures(result: MixingResult, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """Accuracy over the number of real images added, and what was gained by adding them."""
    nets = result.found.nets
    spread = f"Mean of {nets} networks; bands: standard deviation" if nets > 1 else "One network"
    facts = f"{result.found.network}, {_steps_text(result)}"
    all_curves = curves(result)
    top = result.found.added[-1]
    ends = "; ".join(
        f"{source.label} {100 * v[0].mean():.1f} to {100 * v[-1].mean():.1f} %"
        for source, v, _ in all_curves
    )
    gains = "; ".join(
        f"{source.label} {_points(100 * (v[-1] - v[0]).mean())}" for source, v, _ in all_curves
    )
    lines = _lines(result, {s.key: v for s, v, _ in all_curves}, "test accuracy")
    lines.update_yaxes(tickformat=".0%")
    gained = {s.key: 100 * (v - v[0]) for s, v, _ in all_curves}
    change = _lines(result, gained, "gain in points")
    change.add_hline(0, line={"color": colours.REAL, "dash": "dot", "width": 1})
    return [
        Drawn(
            "Accuracy with real images added",
            lines,
            f"{spread}. {facts}. From none added to {top} per class: {ends}.",
        ),
        Drawn(
            "Gained over nothing added",
            change,
            f"The same networks, each compared with itself without real images. {spread}. With {top} per "
            f"class: {gains} points.",
        ),
    ]


def _steps_text(result: MixingResult) -> str:
    if result.found.steps == "fixed":
        steps = f"{result.found.iterations} full-batch steps whatever the size"
    else:
        steps = f"{result.found.iterations} full-batch steps for a set alone, more with its growth"
    half = "; distilled and added real images are each half of the loss"
    return steps + (half if result.found.weighting == "halves" else "")


def _lines(result: MixingResult, values: dict[str, np.ndarray], y: str) -> Any:
    """A line with a band for each source; `values` are (amounts, nets) by the source's key."""
    added = result.found.added
    x = [place(k, added[1]) for k in added]
    figure = drawing.new_figure("real images added per class", y, height=420)
    for source, _, look in curves(result):
        v, sizes = values[source.key], result.found.images[source.key].tolist()
        mean, std = v.mean(1), deviations(v)
        if std is not None:
            figure.add_scatter(
                x=[*x, *x[::-1]],
                y=[*(mean + std), *(mean - std)[::-1]],
                fill="toself",
                fillcolor=drawing.faded(look.colour, 0.14),
                line={"width": 0},
                mode="lines",
                hoverinfo="skip",
                showlegend=False,
                legendgroup=source.key,
            )
        shape = "%{y:.1%}" if y == "test accuracy" else "%{y:+.1f} points"
        figure.add_scatter(
            x=x,
            y=mean,
            name=source.label,
            legendgroup=source.key,
            mode="lines+markers",
            line={"color": look.colour, "dash": look.dash, "width": 2},
            marker={"color": look.colour, "symbol": look.symbol, "size": 9},
            customdata=list(zip(added, sizes)),
            hovertemplate=f"{source.label}, +%{{customdata[0]}} per class "
            f"(%{{customdata[1]}} images): {shape}<extra></extra>",
        )
    figure.update_xaxes(tickvals=x, ticktext=[f"+{k}" if k else "0" for k in added])
    return figure


def table(result: MixingResult, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per set, amount and network."""
    return [
        {
            "set": source.key,
            "label": source.label,
            "added": k,
            "images": int(size),
            "number": i,
            "accuracy": float(value),
            "gain": float(value - values[0][i]),
        }
        for source, values, _ in curves(result)
        for k, size, each in zip(result.found.added, result.found.images[source.key], values)
        for i, value in enumerate(each)
    ]


def headline(result: MixingResult) -> str:
    """What the first real images bring to the sets and to random ones."""
    column, k = _first(result)
    change = [(s, 100 * (v[column] - v[0]).mean()) for s, v, _ in curves(result)]
    sets = span([v for s, v in change if s.method], "points", signed=True, digits=1)
    real = span([v for s, v in change if not s.method], signed=True, digits=1)
    adding = "The first real image" if k == 1 else f"The first {k} real images"
    verb = "changes" if k == 1 else "change"
    return f"{adding} per class {verb} accuracy by **{sets}**, that of random images by **{real}**."


def _first(result: MixingResult) -> tuple[int, int]:
    """(place among the amounts, real images per class) of what counts as the first that are added."""
    smallest = min(source.ipc for source in result.found.sources)
    column = max([1] + [i for i, k in enumerate(result.found.added) if 0 < k <= smallest])
    return column, result.found.added[column]


def sentence(result: MixingResult) -> str:
    """What the first real images bring to each set and to random real images."""
    column, k = _first(result)

    def words(source: SourceFacts, accuracy: np.ndarray) -> str:
        gain = 100 * (accuracy[column] - accuracy[0])
        return f"{source.label} {plus_minus(f'**{_points(gain.mean())}**', deviation(gain))}"

    each = curves(result)
    sets = ", ".join(words(source, v) for source, v, _ in each if source.method)
    real = ", ".join(words(source, v) for source, v, _ in each if not source.method)
    nets = result.found.nets
    over = f"mean ± standard deviation, n = {nets} networks" if nets > 1 else "n = 1 network"
    adding = (
        "The first real image per class changes"
        if k == 1
        else f"The first {k} real images per class change"
    )
    return (
        f"{adding} the accuracy by so many points ({over}): {sets}; {real[0].lower() + real[1:]}."
    )


def _points(value: float) -> str:
    text = f"{value:+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", "−")
