"""Figures of a search: networks under a proxy and under full training, ranks, regret."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from analysis.contract import Drawn
from analysis.shared import drawing
from analysis.uses.search import maths
from analysis.uses.search.result import Ranking, Searched, net_text

NORM_COLOURS = {
    "none": "#c8690e",
    "instance": "#4e79a7",
    "batch": "#4a9049",
    "layer": "#a065a0",
    "group": "#a58209",
}
SYMBOLS = {"relu": "circle", "leaky_relu": "diamond", "sigmoid": "x", "swish": "square"}
GREY = "#7F8387"
TEN = 10
TICKS = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998)


def _names(rankings: Sequence[Ranking]) -> list[str]:
    """Titles, with the size where it tells two apart."""
    often = Counter(r.title for r in rankings)
    return [r.title if often[r.title] == 1 else r.label() for r in rankings]


def scatter(found: Searched, ranking: Ranking) -> Drawn:
    """Every network: what the proxy says of it, and what full training makes of it."""
    trained = ranking.test.shape[1] > 0
    axis = "Accuracy on validation images, trained on the proxy" if trained else "Parameters"
    figure = drawing.new_figure(axis, "Test accuracy, trained fully", height=400)
    across = _nines(ranking.score, found.val_images) if trained else ranking.score
    truth = found.truth
    up = _nines(truth, found.test_images)
    for norm, activation in dict.fromkeys((n.norm, n.activation) for n in found.nets):
        rows = [i for i, n in enumerate(found.nets) if (n.norm, n.activation) == (norm, activation)]
        figure.add_scatter(
            x=across[rows],
            y=up[rows],
            name=f"norm {norm}, {str(activation).replace('_', ' ')}",
            mode="markers",
            marker={
                "color": NORM_COLOURS[str(norm)],
                "symbol": SYMBOLS[str(activation)],
                "size": 9,
                "opacity": 0.8,
            },
            text=[
                f"{_described(found, i)}<br>proxy {_said(ranking, i)}, fully {truth[i]:.1%}"
                for i in rows
            ],
            hovertemplate="%{text}<extra></extra>",
        )
    figure.update_yaxes(**_accuracies(up))
    figure.update_xaxes(**(_accuracies(across) if trained else {"type": "log"}))
    chosen = maths.first(found, ranking)
    figure.add_scatter(
        x=[across[chosen.net]],
        y=[up[chosen.net]],
        name="its first choice",
        mode="markers",
        marker={"symbol": "circle-open", "size": 17, "color": "#d64b4e", "line": {"width": 2}},
        hoverinfo="skip",
    )
    caption = (
        f"{len(found.nets)} networks under {ranking.label()}: colour is the norm, shape the activation; mean "
        f"over networks of an architecture. {agreement_text(found, ranking)}"
    )
    return Drawn("Each network under the proxy and fully trained", figure, caption)


def _nines(shares: np.ndarray, images: int) -> np.ndarray:
    """-log10 of the errors, so that good networks do not fall on each other; none counts as half an image."""
    return -np.log10(np.maximum(1 - np.asarray(shares, float), 0.5 / images))


def _accuracies(nines: np.ndarray) -> dict[str, Any]:
    """An axis of `_nines`, labelled with accuracies."""
    low, high = float(nines.min()), float(nines.max())
    shown = [s for s in TICKS if low - 0.05 <= -np.log10(1 - s) <= high + 0.05]
    return {
        "tickvals": [float(-np.log10(1 - s)) for s in shown],
        "ticktext": [f"{100 * s:g}%" for s in shown],
    }


def _said(ranking: Ranking, net: int) -> str:
    """What a proxy says of a network: an accuracy, or a number of parameters."""
    score = float(ranking.score[net])
    return f"{score:.1%}" if ranking.test.shape[1] else f"{score:,.0f}"


def _described(found: Searched, net: int) -> str:
    return f"{net_text(found.nets[net])}, {int(found.parameters[net]):,} parameters"


def agreement_text(found: Searched, ranking: Ranking) -> str:
    """Rho over the slices, each with its interval and n."""
    parts = []
    for name, own in maths.agreements(found, ranking).items():
        if own:
            parts.append(
                f"over {maths.SLICES[name]} ρ = {own.rho:.2f} ({own.low:.2f} to {own.high:.2f}, n = {own.n})"
            )
        else:
            parts.append(f"over {maths.SLICES[name]} no ρ can be given")
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."


def bumps(found: Searched) -> Drawn:
    """Where the ten best networks stand with every proxy."""
    figure = drawing.new_figure("", "Place", height=420, legend=False)
    rankings = maths.ranked(found)
    names = ["Fully trained", *_names(rankings)]
    orders = [np.argsort(-found.truth, kind="stable"), *(r.order for r in rankings)]
    best = orders[0][:TEN]
    for place, net in enumerate(best):
        ranks = [int(np.flatnonzero(order == net)[0]) + 1 for order in orders]
        label = net_text(found.nets[net])
        figure.add_scatter(
            x=names,
            y=ranks,
            name=label,
            mode="lines+markers",
            line={"color": _shade(place), "width": 2},
            marker={"color": _shade(place), "size": 7},
            hovertemplate=label + ": place %{y} of " + str(len(found.nets)) + "<extra>%{x}</extra>",
        )
    figure.update_yaxes(autorange="reversed").update_xaxes(tickangle=-40)
    caption = (
        f"The {len(best)} networks that are best on test images when trained fully, and their places among "
        f"{len(found.nets)} with each proxy (by validation images)."
    )
    return Drawn("Where the ten best are put", figure, caption)


def _shade(place: int) -> str:
    """From blue for the best to orange."""
    ends = np.array([[78, 121, 167], [200, 105, 14]])
    r, g, b = (ends[0] + (ends[1] - ends[0]) * place / (TEN - 1)).astype(int)
    return f"#{r:02x}{g:02x}{b:02x}"


def regret(found: Searched) -> Drawn:
    """What is lost by trusting a proxy, beside what chance loses."""
    figure = drawing.new_figure("Points below the best network", height=420)
    rankings = [*reversed(maths.ranked(found)), found.full]
    names = _names(rankings)
    for title, choose, shade in (
        ("its first", maths.first, "#4e79a7"),
        (f"best of its {maths.TRIED}, trained fully", maths.best_of, "#a9bfd6"),
    ):
        figure.add_bar(
            x=[100 * choose(found, r).regret for r in rankings],
            y=names,
            name=title,
            orientation="h",
            marker={"color": shade},
            text=[net_text(found.nets[choose(found, r).net]) for r in rankings],
            textposition="none",
            hovertemplate="%{text}: %{x:.2f} points<extra>%{y}</extra>",
        )
    for tried, dash in ((1, "dash"), (maths.TRIED, "dot")):
        figure.add_vline(
            100 * maths.random_choice(found, tried), line={"dash": dash, "color": GREY, "width": 2}
        )
    figure.update_layout(barmode="group")
    one, few = (100 * maths.random_choice(found, tried) for tried in (1, maths.TRIED))
    caption = (
        "Test accuracy of the best network minus that of the one chosen, both trained fully. A random choice "
        f"loses {one:.1f} points on average (dashed), the best of {maths.TRIED} random ones {few:.1f} "
        "(dotted), both exact."
    )
    return Drawn("Regret", figure, caption)


def table(found: Searched) -> list[dict[str, str]]:
    """Rows for people: all training images last."""
    rows = []
    for ranking in [*maths.ranked(found), found.full]:
        own = maths.agreements(found, ranking)
        one, few = maths.first(found, ranking), maths.best_of(found, ranking)
        rows.append(
            {
                "Ranked by": ranking.label(),
                "ρ, all": _rho(own["all"]) if ranking is not found.full else "",
                "ρ, trainable": _rho(own["trainable"]) if ranking is not found.full else "",
                "ρ, its best fifth": _rho(own["top"]) if ranking is not found.full else "",
                "Regret, first": f"{100 * one.regret:.1f}",
                "Regret, best of five": f"{100 * few.regret:.1f}",
                "Its first": net_text(found.nets[one.net]),
                "CPU s, ranking": f"{ranking.cpu_seconds:.0f}" if ranking.cpu_seconds else "",
                "CPU s, making": f"{ranking.distil_seconds:.0f}" if ranking.distil_seconds else "",
            }
        )
    return rows


def _rho(own: maths.Agreement | None) -> str:
    return f"{own.rho:.2f} ({own.low:.2f} to {own.high:.2f})" if own else ""


def ceiling_text(found: Searched) -> str:
    """What no ranking can exceed, and what chance gives."""
    everything = np.arange(len(found.nets))
    able = np.flatnonzero(maths.trainable(found))
    parts = []
    for words, rows in (("over all", everything), (f"over {len(able)} trainable ones", able)):
        most = maths.ceiling(found, rows)
        if most is not None:
            parts.append(f"{most:.2f} {words}")
    if not parts:
        return (
            f"Of fewer than {maths.LEAST} networks, or where full training repeats none of its own order, "
            "no ρ is given."
        )
    return (
        f"Trained fully {found.full.test.shape[1]} times from other weights, networks do not rank the same: "
        f"a ranking without any error would reach ρ = {' and '.join(parts)}."
    )
