"""What is shown of a finished `sensitivity`: figures, table, sentence, pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.contract import Arrays, Drawn, Option, Result
from analysis.shared import colours, drawing, significance
from ddcore.base.foreign_text import wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure as StaticFigure

from analysis.suite.sensitivity.spec import FACTORS

CHANGE, BEYOND = "change", "beyond"
SHOWN = {CHANGE: "Change against t300", BEYOND: "Change beyond that of random real images"}


def options(result: Result, picked: dict[str, str]) -> Iterator[Option]:
    """What the colours mean, and which factor is shown in detail."""
    yield Option("show", "Colours", SHOWN)
    names = dict.fromkeys(level["factor"] for level in result["levels"] if level["factor"])
    yield Option("factor", "In detail", {name: FACTORS[name] for name in names})


def changes(result: Result) -> np.ndarray:
    """Accuracy under each change minus that without, in points and paired by network: (S, L, nets)."""
    accuracy = np.array(result["accuracy"])
    return 100 * (accuracy - accuracy[:, :1])


def beyond(result: Result) -> np.ndarray:
    """Mean change (S, L) of each source minus that of random real images of its size."""
    return against_random(result).mean(2)


def worse(result: Result) -> np.ndarray:
    """Whether (S, L) a source loses more than random real images, beyond what varies between networks.

    Paired tests, one for each set and change, with the correction over all of them. None of one network.
    """
    p = significance.paired(against_random(result), significance.LESS).p
    tested = np.array([bool(s["method"]) for s in result["sources"]])
    found = np.zeros(p.shape, bool)
    found[tested, 1:] = significance.discoveries(p[tested, 1:])
    return found


def against_random(result: Result) -> np.ndarray:
    """Change (S, L, nets) minus that of random real images in the network of the same number."""
    change = changes(result)
    place = {s["ipc"]: i for i, s in enumerate(result["sources"]) if not s["method"]}
    return np.stack([row - change[place[s["ipc"]]] for s, row in zip(result["sources"], change)])


def _line(level: dict[str, str]) -> str:
    return f"{FACTORS[level['factor']]}: {level['name']}"


def _looks(result: Result) -> list[colours.Style]:
    runs = [s for s in result["sources"] if s["method"]]
    symbols = ("diamond", "diamond-open", "circle", "circle-open")
    real = [
        colours.Style(colours.REAL, "dash", symbols[i % len(symbols)], "--", "D")
        for i in range(len(result["sources"]) - len(runs))
    ]
    return colours.styles([s["method"] for s in runs]) + real


def figures(result: Result, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """The heat map of all changes, and the networks of one factor."""
    return [_map(result, picked["show"]), _strip(result, picked["factor"])]


def _map(result: Result, show: str) -> Drawn:
    values = (changes(result).mean(2) if show == CHANGE else beyond(result))[:, 1:]
    keep = [i for i, s in enumerate(result["sources"]) if show == CHANGE or s["method"]]
    labels = ["<br>".join(wrapped(result["sources"][i]["label"], 16)) for i in keep]
    rows = [_line(level) for level in result["levels"][1:]]
    most = max(1.0, min(50.0, float(np.abs(values[keep]).max())))
    figure = drawing.new_figure(height=90 + 24 * len(rows), legend=False)
    figure.add_heatmap(
        z=values[keep].T,
        x=labels,
        y=rows,
        zmin=-most,
        zmax=most,
        colorscale="RdBu",
        colorbar={"title": "points", "thickness": 12},
        text=[[f"{v:+.1f}" for v in row] for row in values[keep].T.round(1) + 0.0],
        texttemplate="%{text}",
        hovertemplate="%{x}<br>%{y}: %{z:+.1f} points<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed", type="category")
    plain = "; ".join(
        f"{result['sources'][i]['label']} {100 * np.mean(result['accuracy'][i][0]):.1f} %"
        for i in keep
    )
    what = "minus that of random real images of the same size, " if show == BEYOND else ""
    caption = (
        f"Change of test accuracy, {what}mean of {result['nets']} networks. Without any change "
        f"({result['network']}, {result['iterations']} full-batch steps, SGD at .01 with momentum .9): "
        f"{plain}."
    )
    return Drawn("Test accuracy when one factor is changed", figure, caption)


def _strip(result: Result, factor: str) -> Drawn:
    which = [0] + [i for i, v in enumerate(result["levels"]) if v["factor"] == factor]
    names = [result["levels"][i]["name"] for i in which]
    accuracy = np.array(result["accuracy"])[:, which]
    figure = drawing.new_figure("", "test accuracy", per_cent=True, scattermode="group")
    for source, values, look in zip(result["sources"], accuracy, _looks(result)):
        figure.add_scatter(
            x=np.repeat(names, values.shape[1]),
            y=values.ravel(),
            name=source["label"],
            mode="markers",
            marker={"color": look.colour, "symbol": look.symbol, "size": 8, "opacity": 0.8},
            hovertemplate=f"{source['label']}, %{{x}}: %{{y:.1%}}<extra></extra>",
        )
    figure.update_xaxes(type="category")
    margin = 0.05 * max(0.02, float(np.ptp(accuracy)))
    figure.update_yaxes(range=[float(accuracy.min()) - margin, float(accuracy.max()) + margin])
    words = "; ".join(
        f"{s['label']} " + ", ".join(f"{100 * m:.1f}" for m in values.mean(1))
        for s, values in zip(result["sources"], accuracy)
    )
    caption = f"A marker is a network. Means in per cent, in the order of the figure: {words}."
    return Drawn(f"{FACTORS[factor]}, every network", figure, caption)


def static(result: Result, arrays: Arrays) -> StaticFigure:
    """Heat map of the changes, and strips of every network's change."""
    import pandas as pd
    import seaborn as sns

    values, rows = changes(result), [_line(level) for level in result["levels"][1:]]
    labels = [s["label"] for s in result["sources"]]
    figure, axes = drawing.panels(1, 2, width=5.2, height=1.2 + 0.22 * len(rows))
    left, right = axes[0]
    most = max(1.0, min(50.0, float(np.abs(values.mean(2)).max())))
    sns.heatmap(
        values.mean(2)[:, 1:].T,
        ax=left,
        center=0,
        vmin=-most,
        vmax=most,
        cmap="RdBu",
        annot=True,
        fmt="+.1f",
        annot_kws={"fontsize": 6},
        xticklabels=labels,
        yticklabels=rows,
    )
    left.tick_params(labelsize=6)
    left.tick_params(axis="x", rotation=20)
    left.set(title="Change of test accuracy in points")
    frame = pd.DataFrame(
        [
            {"set": s["label"], "level": line, "points": value}
            for s, each in zip(result["sources"], values[:, 1:])
            for line, own in zip(rows, each)
            for value in own
        ]
    )
    palette = [
        look.colour if s["method"] else "black"
        for s, look in zip(result["sources"], _looks(result))
    ]
    sns.stripplot(
        frame,
        x="points",
        y="level",
        hue="set",
        palette=palette,
        dodge=True,
        jitter=False,  # it would draw from a global generator
        size=3,
        ax=right,
    )
    right.axvline(0, color="black", lw=0.8, ls=":")
    right.set(ylabel="", xlabel="Change in points, every network")
    right.tick_params(labelsize=6)
    right.legend(frameon=False, fontsize=6)
    sns.despine(ax=right)
    return figure


def table(result: Result, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per set, change and network."""
    values = changes(result)
    return [
        {
            "set": source["key"],
            "label": source["label"],
            "factor": level["factor"] or "none",
            "level": level["name"],
            "number": i,
            "accuracy": float(result["accuracy"][s][v][i]),
            "change": float(values[s, v, i]),
        }
        for s, source in enumerate(result["sources"])
        for v, level in enumerate(result["levels"])
        for i in range(result["nets"])
    ]


def sentence(result: Result) -> str:
    """What hurts each set most, and under how many changes it loses more than real images."""
    mean, apart, lost = changes(result).mean(2), beyond(result), worse(result)
    parts, count, nets = [], len(result["levels"]) - 1, result["nets"]
    for s, source in enumerate(result["sources"]):
        if not source["method"] or not count:
            continue
        worst = 1 + int(mean[s, 1:].argmin())
        line = _line(result["levels"][worst])
        text = (
            f"{source['label']} **{_points(mean[s, worst])} points** ({line}; random real images "
            f"{_points(mean[s, worst] - apart[s, worst])})"
        )
        if nets > 1:
            text += f", and it was shown to lose more than these under {int(lost[s, 1:].sum())} of {count}"
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
