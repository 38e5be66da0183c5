"""What is shown of a finished `recognition`: figures, table, sentence, pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.contract import Arrays, Drawn, Option, Pictures
from analysis.shared import colours, drawing
from analysis.shared.texts import span
from analysis.suite.recognition.result import RecognitionResult
from analysis.suite.recognition.spec import REAL, SHOWN
from ddcore.base.spread import deviations

if TYPE_CHECKING:
    pass


def options(result: RecognitionResult, picked: dict[str, str]) -> Iterator[Option]:
    """Whose confusion matrix is shown."""
    sets = {r.key: r.label for r in result.runs} | {REAL: "Real training images"}
    yield Option("set", "Confusion matrix of", sets)
    yield Option("net", "by", {str(i): n for i, n in enumerate(result.found.networks)})


def rows_of(result: RecognitionResult) -> list[tuple[str, str, np.ndarray]]:
    """(key, label, shares recognised (networks, nets)) of each run, then of the real images."""
    found = [(r.key, r.label, result.found.recognised[r.key]) for r in result.runs]
    found.append((REAL, "Real training images, as many", result.found.recognised[REAL]))
    found.append(("test", "Real test images", result.found.test))
    return [(key, label, np.array(values)) for key, label, values in found]


def figures(result: RecognitionResult, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """Share recognised in every architecture, and one confusion matrix."""
    looks = colours.styles([r.method for r in result.runs])
    looks += [
        colours.Style(colours.REAL, "dot", "diamond"),
        colours.Style(colours.REAL, "solid", "circle-open"),
    ]
    rows = rows_of(result)
    figure = drawing.new_figure("", "called the intended class", per_cent=True, scattermode="group")
    for (_, label, values), look in zip(rows, looks):
        figure.add_scatter(
            x=result.found.networks,
            y=values.mean(1),
            error_y={"array": deviations(values), "thickness": 1},
            name=label,
            mode="markers",
            cliponaxis=False,
            marker={"color": look.colour, "symbol": look.symbol, "size": 11},
            hovertemplate=f"{label}<br>%{{x}}: %{{y:.1%}}<extra></extra>",
        )
    around = [0.0 if (std := deviations(v)) is None else std for _, _, v in rows]
    lowest = min(float((v.mean(1) - std).min()) for (_, _, v), std in zip(rows, around))
    figure.update_yaxes(range=[max(0.0, np.floor(10 * lowest - 0.5) / 10), 1.0])
    words = "; ".join(f"{label} {100 * v.mean():.1f} %" for _, label, v in rows)
    nets = len(result.found.test[0])
    bars = "; bars: standard deviation" if nets > 1 else ""
    caption = f"Mean of {nets} network{'s' * (nets > 1)} of each architecture{bars}. {words}."
    return [
        Drawn("Recognised by networks trained on real data", figure, caption),
        _matrix(result, arrays, picked),
    ]


def _matrix(result: RecognitionResult, arrays: Arrays, picked: dict[str, str]) -> Drawn:
    counts = arrays[f"confusion.{picked['set']}"][int(picked["net"])]
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    names = result.class_names
    figure = drawing.new_figure("called", "intended class", height=440, legend=False)
    figure.add_heatmap(
        z=shares,
        x=names,
        y=names,
        zmin=0,
        zmax=1,
        colorscale="Viridis",
        colorbar={"tickformat": ".0%", "thickness": 12},
        customdata=counts,
        hovertemplate="%{y} called %{x}: %{z:.0%} (%{customdata})<extra></extra>",
    )
    figure.update_xaxes(type="category")
    figure.update_yaxes(autorange="reversed", type="category", tickformat=None)
    label = {r.key: r.label for r in result.runs}.get(picked["set"], "Real training images")
    net = result.found.networks[int(picked["net"])]
    caption = (
        f"{label} by {net}: rows are intended classes, columns what the networks say; "
        f"{100 * np.trace(counts) / max(counts.sum(), 1):.1f} % lie on the diagonal."
    )
    return Drawn("What they are taken for", figure, caption)


def table(result: RecognitionResult, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per set, architecture and network."""
    return [
        {"set": key, "label": label, "network": net, "number": i, "accuracy": float(value)}
        for key, label, values in rows_of(result)
        for net, each in zip(result.found.networks, values)
        for i, value in enumerate(each)
    ]


def headline(result: RecognitionResult) -> str:
    """How much is recognised."""
    sets = [100 * v.mean() for key, _, v in rows_of(result) if key not in (REAL, "test")]
    return (
        f"Networks trained on real data recognise **{span(sets, '%')}** of the distilled and "
        f"{100 * np.mean(result.found.test):.0f} % of test images."
    )


def sentence(result: RecognitionResult) -> str:
    """Who is recognised, who least, and where."""
    sets = [(label, v) for key, label, v in rows_of(result) if key not in (REAL, "test")]
    parts = [f"**{100 * v.mean():.1f} %** of {label}" for label, v in sets]
    label, least = min(sets, key=lambda s: s[1].mean(1).min())
    place = int(least.mean(1).argmin())
    low = float(least.mean(1)[place])
    where = (
        f"{label} in {result.found.networks[place]}, {100 * low:.1f} %"
        if low < 1
        else "none below 100 %"
    )
    return (
        f"Networks trained on real data recognise {', '.join(parts)}; of real test images "
        f"{100 * np.mean(result.found.test):.1f} %. Lowest: {where}."
    )


def pictures(result: RecognitionResult, arrays: Arrays) -> list[Pictures]:
    """Of each set the images most often called something else, with what they are called."""
    names, found = result.class_names, []
    for run in result.runs:
        called, labels = arrays[f"called.{run.key}"], arrays[f"labels.{run.key}"]
        every = called.reshape(-1, len(labels))
        wrong = every != labels
        share = wrong.mean(0)
        worst = [i for i in np.argsort(-share, kind="stable")[:SHOWN] if share[i] > 0]
        if not worst:
            continue
        lines = []
        for i in worst:
            other = int(np.bincount(every[wrong[:, i], i]).argmax())
            lines.append(
                f"{wrong[:, i].sum()}/{len(every)} as {names[other]}, is {names[labels[i]]}"
            )
        title = f"{run.label}: the images most often taken for another class"
        found.append(Pictures(title, arrays[f"pixels.{run.key}"][worst], lines))
    return found
