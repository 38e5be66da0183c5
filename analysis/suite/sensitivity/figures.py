"""What is shown of a finished `sensitivity`: figures, table, sentence, pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.contract import Arrays, Drawn, Option
from analysis.shared import colours, drawing, significance
from analysis.shared.texts import span
from analysis.suite.sensitivity.result import LevelFacts, SensitivityResult
from analysis.suite.sensitivity.spec import FACTORS
from ddcore.base.foreign_text import wrapped

if TYPE_CHECKING:
    pass


CHANGE, BEYOND = "change", "beyond"
SHOWN = {CHANGE: "Change against t300", BEYOND: "Change beyond that of random real images"}


def options(result: SensitivityResult, picked: dict[str, str]) -> Iterator[Option]:
    """What the colours mean, and which factor is shown in detail."""
    yield Option("show", "Colours", SHOWN)
    names = dict.fromkeys(level.factor for level in result.found.levels if level.factor)
    yield Option("factor", "In detail", {name: FACTORS[name] for name in names})


def changes(result: SensitivityResult) -> dict[str, np.ndarray]:
    """Accuracy under each change minus that without, in points, (levels, nets) by the source's key.

    Each network is paired with itself.
    """
    return {key: 100 * (v - v[:1]) for key, v in result.found.accuracies.items()}


def against_random(result: SensitivityResult) -> dict[str, np.ndarray]:
    """Change minus that of random real images of its size in the network of the same number, likewise."""
    change = changes(result)
    random = {s.ipc: change[s.key] for s in result.found.sources if not s.method}
    return {s.key: change[s.key] - random[s.ipc] for s in result.found.sources}


def worse(result: SensitivityResult) -> dict[str, np.ndarray]:
    """Whether (levels,) a set loses more than random real images, beyond what varies between networks.

    Paired tests, one for each set and change, with the correction over all of them. None of one network.
    """
    sets = [s.key for s in result.found.sources if s.method]
    if not sets:
        return {}
    beyond = against_random(result)
    each = np.stack([beyond[key] for key in sets])  # (sets, levels, nets)
    found = np.zeros(each.shape[:2], bool)
    p = significance.paired(each, significance.LESS).p
    found[:, 1:] = significance.discoveries(p[:, 1:])
    return dict(zip(sets, found))


def _line(level: LevelFacts) -> str:
    return f"{FACTORS[level.factor]}: {level.name}"


def figures(result: SensitivityResult, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """The heat map of all changes, and the networks of one factor."""
    return [_map(result, picked["show"]), _strip(result, picked["factor"])]


def _map(result: SensitivityResult, show: str) -> Drawn:
    each = changes(result) if show == CHANGE else against_random(result)
    keep = [s for s in result.found.sources if show == CHANGE or s.method]
    values = np.stack([each[s.key].mean(1)[1:] for s in keep])  # (sources, changes)
    labels = ["<br>".join(wrapped(s.label, 16)) for s in keep]
    rows = [_line(level) for level in result.found.levels[1:]]
    most = max(1.0, min(50.0, float(np.abs(values).max())))
    figure = drawing.new_figure(height=90 + 24 * len(rows), legend=False)
    figure.add_heatmap(
        z=values.T,
        x=labels,
        y=rows,
        zmin=-most,
        zmax=most,
        colorscale="RdBu",
        colorbar={"title": "points", "thickness": 12},
        text=[[f"{v:+.1f}" for v in row] for row in values.T.round(1) + 0.0],
        texttemplate="%{text}",
        hovertemplate="%{x}<br>%{y}: %{z:+.1f} points<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed", type="category")
    plain = "; ".join(
        f"{s.label} {100 * result.found.accuracies[s.key][0].mean():.1f} %" for s in keep
    )
    what = "minus that of random real images of the same size, " if show == BEYOND else ""
    caption = (
        f"Change of test accuracy, {what}mean of {result.found.nets} networks. Without any change "
        f"({result.found.network}, {result.found.iterations} full-batch steps, SGD at .01 with momentum .9): "
        f"{plain}."
    )
    return Drawn("Test accuracy when one factor is changed", figure, caption)


def _strip(result: SensitivityResult, factor: str) -> Drawn:
    which = [0] + [i for i, v in enumerate(result.found.levels) if v.factor == factor]
    names = [result.found.levels[i].name for i in which]
    accuracy = {key: v[which] for key, v in result.found.accuracies.items()}
    looks = colours.looks(result.found.sources)
    figure = drawing.new_figure("", "test accuracy", per_cent=True, scattermode="group")
    for source in result.found.sources:
        values, look = accuracy[source.key], looks[source.key]
        figure.add_scatter(
            x=np.repeat(names, values.shape[1]),
            y=values.ravel(),
            name=source.label,
            mode="markers",
            marker={"color": look.colour, "symbol": look.symbol, "size": 8, "opacity": 0.8},
            hovertemplate=f"{source.label}, %{{x}}: %{{y:.1%}}<extra></extra>",
        )
    figure.update_xaxes(type="category")
    low, high = (float(f([f(v) for v in accuracy.values()])) for f in (np.min, np.max))
    margin = 0.05 * max(0.02, high - low)
    figure.update_yaxes(range=[low - margin, high + margin])
    words = "; ".join(
        f"{s.label} " + ", ".join(f"{100 * m:.1f}" for m in accuracy[s.key].mean(1))
        for s in result.found.sources
    )
    caption = f"A marker is a network. Means in per cent, in the order of the figure: {words}."
    return Drawn(f"{FACTORS[factor]}, every network", figure, caption)


def table(result: SensitivityResult, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per set, change and network."""
    values = changes(result)
    return [
        {
            "set": source.key,
            "label": source.label,
            "factor": level.factor or "none",
            "level": level.name,
            "number": i,
            "accuracy": float(result.found.accuracies[source.key][v, i]),
            "change": float(values[source.key][v, i]),
        }
        for source in result.found.sources
        for v, level in enumerate(result.found.levels)
        for i in range(result.found.nets)
    ]


def headline(result: SensitivityResult) -> str:
    """What the worst change costs the sets, and random real images."""
    change, apart = changes(result), against_random(result)
    costs, real = [], []
    for source in result.found.sources:
        if source.method and len(result.found.levels) > 1:
            mean, beyond = change[source.key].mean(1), apart[source.key].mean(1)
            worst = 1 + int(mean[1:].argmin())
            costs.append(mean[worst])
            real.append(mean[worst] - beyond[worst])
    if not costs:
        return "Nothing was changed."
    return (
        f"The worst change moves a set by **{span(costs, 'points', signed=True, digits=1)}**, random "
        f"real images by {span(real, signed=True, digits=1)}."
    )


def sentence(result: SensitivityResult) -> str:
    """What hurts each set most, and under how many changes it loses more than real images."""
    change, apart, lost = changes(result), against_random(result), worse(result)
    parts, count, nets = [], len(result.found.levels) - 1, result.found.nets
    for source in result.found.sources:
        if not source.method or not count:
            continue
        mean, beyond = change[source.key].mean(1), apart[source.key].mean(1)
        worst = 1 + int(mean[1:].argmin())
        line = _line(result.found.levels[worst])
        text = (
            f"{source.label} **{_points(mean[worst])} points** ({line}; random real images "
            f"{_points(mean[worst] - beyond[worst])})"
        )
        if nets > 1:
            shown = int(lost[source.key][1:].sum())
            text += f", and it was shown to lose more than these under {shown} of {count}"
        parts.append(text)
    if not parts:
        return "Nothing was changed."
    found = f"The change that is worst for each set: {'; '.join(parts)}"
    if nets == 1:
        return f"{found}. One network: nothing is said of chance."
    return (
        f"{found} changes. Shown: paired {significance.RULE}, over {nets} networks, which differ in starting "
        "weights and real images; the sets are the same for all."
    )


def _points(value: float) -> str:
    text = f"{value:+.1f}"
    return "0.0" if float(text) == 0 else text
