"""What is shown of a finished `transfer`: figures, table, sentence, pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.contract import Arrays, Drawn
from analysis.results import known
from analysis.shared import colours, drawing, significance
from analysis.shared.sources import RANDOM, SET, KindOfSource
from analysis.shared.texts import span
from analysis.suite.transfer.result import TransferResult
from ddcore.base.foreign_text import wrapped
from ddcore.base.spread import deviation, deviations, plus_minus

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def gains(result: TransferResult) -> dict[str, np.ndarray]:
    """Accuracy beyond that on random real images of the same size, in points: (networks, nets) by source.

    Network i is paired with network i, which starts from the same weights.
    """
    accuracy = result.found.accuracies
    random = {s.ipc: accuracy[s.key] for s in result.found.sources if s.kind == RANDOM}
    return {s.key: 100 * (accuracy[s.key] - random[s.ipc]) for s in result.found.sources}


def ladder(result: TransferResult) -> list[int]:
    """The ConvNets that differ in width alone, from narrow to wide."""
    plain = [i for i, n in enumerate(result.found.networks) if n.plain]
    return sorted(plain, key=lambda i: known(result.found.networks[i].width))


def others(result: TransferResult, key: str) -> tuple[list[int], list[int]]:
    """The networks of other families than the one a set was made with, and those of other widths."""
    nets, home = result.found.networks, result.found.home[key]
    families = [i for i in result.found.architectures if nets[i].family != nets[home].family]
    widths = [i for i in ladder(result) if i != home] if nets[home].plain else []
    return families, widths


def figures(result: TransferResult, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """Accuracy over architectures and over widths, and what is gained over random real images."""
    nets = result.found.networks
    steps = f"{result.found.iterations} full-batch steps"
    nets_ = result.found.nets
    spreads = (
        f"Mean and standard deviation of {nets_} networks"
        if nets_ > 1
        else "One network of each kind"
    )
    spreads += f", {steps}"
    found = [
        Drawn(
            "Other architectures",
            _accuracies(result, result.found.architectures, [n.name for n in nets], "markers"),
            f"{spreads}. In per cent: {_words(result, result.found.architectures)}.",
        )
    ]
    if len(ladder(result)) > 1:
        names = [str(n.width) for n in nets]
        figure = _accuracies(result, ladder(result), names, "lines+markers")
        figure.update_xaxes(title="width of the ConvNet (channels)")
        words = f"{spreads}. In per cent, from narrow to wide: {_words(result, ladder(result))}."
        found.append(Drawn("Other widths", figure, words))
    return [*found, _gains(result)]


def _words(result: TransferResult, which: list[int]) -> str:
    parts = []
    for source in result.found.sources:
        values = result.found.accuracies[source.key][which]
        parts.append(f"{source.label} " + ", ".join(f"{100 * v.mean():.1f}" for v in values))
    return "; ".join(parts)


def _accuracies(result: TransferResult, which: list[int], names: list[str], mode: str) -> Figure:
    """Mean and standard deviation of every source on some of the networks."""
    beside = "group" if mode == "markers" else "overlay"
    figure = drawing.new_figure("", "test accuracy", per_cent=True, height=420, scattermode=beside)
    looks = colours.looks(result.found.sources)
    low, high = 1.0, 0.0
    for source in result.found.sources:
        values, look = result.found.accuracies[source.key][which], looks[source.key]
        means, widths = values.mean(1), deviations(values)
        around = 0.0 if widths is None else widths
        low, high = min(low, *(means - around)), max(high, *(means + around))
        figure.add_scatter(
            x=[names[i] for i in which],
            y=means,
            error_y=None if widths is None else {"array": widths, "thickness": 1.5, "width": 4},
            name=source.label,
            mode=mode,
            line={"color": look.colour, "dash": look.dash, "width": 2},
            marker={"color": look.colour, "symbol": look.symbol, "size": 9},
            customdata=[", ".join(f"{100 * x:.1f}" for x in v) for v in values],
            hovertemplate=f"{source.label}, %{{x}}: %{{y:.1%}}<br>%{{customdata}} %<extra></extra>",
        )
    figure.update_xaxes(type="category")
    margin = 0.05 * max(0.02, high - low)
    figure.update_yaxes(range=[low - margin, high + margin])
    return figure


def _gains(result: TransferResult) -> Drawn:
    """Heat map of networks and sets."""
    keep, order, values, cells = _grid(result)
    labels = ["<br>".join(wrapped(s.label, 16)) for s in keep]
    rows = [result.found.networks[n].name for n in order]
    most = max(1.0, min(50.0, float(np.abs(values).max())))
    figure = drawing.new_figure(height=110 + 34 * len(rows), legend=False)
    figure.add_heatmap(
        z=values.tolist(),
        x=labels,
        y=rows,
        zmin=-most,
        zmax=most,
        colorscale="RdBu",
        colorbar={"title": "points", "thickness": 12},
        text=cells,
        texttemplate="%{text}",
        textfont={"size": 13},
        hovertemplate="%{x}<br>%{y}: %{z:+.1f} points<extra></extra>",
    )
    figure.update_xaxes(tickangle=0)
    figure.update_yaxes(autorange="reversed", type="category")
    caption = (
        "Test accuracy minus that of random real images of the same size, in points, mean of "
        f"{result.found.nets} networks. In brackets: on the kind of network that the set was made with."
    )
    return Drawn("Gained over random real images", figure, caption, wide=True)


def _grid(
    result: TransferResult,
) -> tuple[list[KindOfSource], list[int], np.ndarray, list[list[str]]]:
    """What is compared with random real images: sources and places of networks, ConvNets by width first; what
    they gain (networks, sources) as numbers and as text."""
    first = ladder(result)
    order = first + [i for i in range(len(result.found.networks)) if i not in first]
    keep = [s for s in result.found.sources if s.kind != RANDOM]
    beyond = gains(result)
    values = np.array([[beyond[s.key][n].mean() for s in keep] for n in order])
    home = result.found.home
    cells = [
        [_cell(value, home.get(s.key) == n) for s, value in zip(keep, row)]
        for n, row in zip(order, values)
    ]
    return keep, order, values, cells


def _cell(value: float, home: bool) -> str:
    text = f"{round(float(value), 1) + 0.0:+.1f}".replace("-", "−")
    return f"[{text}]" if home else text


def table(result: TransferResult, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per set, kind of network and network."""
    beyond = gains(result)
    return [
        {
            "set": source.key,
            "label": source.label,
            "network": net.name,
            "home": result.found.home.get(source.key) == n,
            "number": i,
            "accuracy": float(result.found.accuracies[source.key][n, i]),
            "gain": float(beyond[source.key][n, i]),
        }
        for source in result.found.sources
        for n, net in enumerate(result.found.networks)
        for i in range(result.found.nets)
    ]


def shown(result: TransferResult) -> dict[str, bool]:
    """Whether each set gains over random real images on the kind of network that it was made with: a paired
    test over networks, with the correction over the sets. Never of one network."""
    keys = [s.key for s in result.found.sources if s.kind == SET]
    beyond = gains(result)
    own = np.stack([beyond[key][result.found.home[key]] for key in keys])
    p = significance.paired(own, significance.GREATER).p
    return dict(zip(keys, significance.discoveries(p).tolist()))


def headline(result: TransferResult) -> str:
    """What the sets gain where they were made, on other kinds of networks and at other widths."""
    beyond, home = gains(result), []
    away: dict[str, list[float]] = {"on other architectures": [], "at other widths": []}
    for key in (s.key for s in result.found.sources if s.kind == SET):
        home.append(beyond[key][result.found.home[key]].mean())
        for found, places in zip(away.values(), others(result, key)):
            found += [beyond[key][places].mean()] if places else []
    own = span(home, signed=True, digits=1)
    words = "".join(
        f", **{span(values, signed=True, digits=1)}** {where}"
        for where, values in away.items()
        if values
    )
    return f"Points over random: **{own}** where made{words}."


def sentence(result: TransferResult) -> str:
    """What every set gains where it was made, and how much of that it keeps elsewhere."""
    beyond, clear = gains(result), shown(result)
    found: list[str] = []
    for source in result.found.sources:
        if source.kind != SET:
            continue
        home, key = result.found.home[source.key], source.key
        own = beyond[key][home]
        elsewhere = []
        for which, what in zip(others(result, key), ("architecture", "width")):
            if which:
                each = beyond[key][which].mean(0)
                where = f"on {len(which)} other {what}{'s' if len(which) > 1 else ''}"
                elsewhere.append(
                    _kept(each, own, where) if clear[key] else f"{_points(each)} {where}"
                )
        over = "" if found else " over random real images"
        text = (
            f"{source.label}, made with {result.found.networks[home].name}, "
            f"{'gains' if clear[key] else 'has'} **{_points(own)}** points{over} there"
        )
        if clear[key]:
            text += f"; {' and '.join(elsewhere)}" if elsewhere else ""
        else:
            text += ", not shown to be a gain" if result.found.nets > 1 else ""
            text += f", and {' and '.join(elsewhere)}" if elsewhere else ""
        found.append(text + ".")
    return f"{' '.join(found)} {_tested(result)}"


def _tested(result: TransferResult) -> str:
    nets = result.found.nets
    if nets == 1:
        return "One network of each kind: nothing is said of chance."
    return (
        f"Mean ± standard deviation of {nets} networks, each with random images of its own; gains by a "
        f"paired {significance.RULE}."
    )


def _kept(each: np.ndarray, own: np.ndarray, where: str) -> str:
    share = float(each.mean() / own.mean())
    kept = f"**{100 * share:.0f} %**" if share > 0 else "**none**"
    return f"{kept} of that {where} ({_points(each)})"


def _points(values: np.ndarray) -> str:
    """Mean and spread of some networks' points."""
    mean = f"{round(float(values.mean()), 1) + 0.0:+.1f}"
    return plus_minus(mean, deviation(values)).replace("-", "−")
