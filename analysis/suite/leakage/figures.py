"""What is shown of a finished `leakage`: figures, table, sentence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from analysis.contract import Arrays, Drawn, Option
from analysis.shared import colours, drawing, significance
from analysis.shared.attacks import needed
from analysis.shared.texts import span
from analysis.suite.leakage.maths import ATTACKS, OFFLINE
from analysis.suite.leakage.result import LeakageResult, LeakFacts, MemorisedFacts
from analysis.suite.leakage.spec import IMAGES, KINDS, OWN, TAUGHT, TEACHERS

WORDS = {IMAGES: "images", OWN: "own labels", TAUGHT: "labels"}  # on axes
SYMBOLS = {IMAGES: "circle", OWN: "square", TAUGHT: "diamond-open"}
DASHES = {IMAGES: "solid", OWN: "dash", TAUGHT: "dot"}


def options(result: LeakageResult, picked: dict[str, str]) -> Iterator[Option]:
    """Which attack, at how many false positives, and whose curves."""
    likelihood = {name: words.removeprefix("likelihood ") for name, words in ATTACKS.items()}
    yield Option("attack", "Attack", likelihood)
    most = max(leak.others for leak in result.found.leaks)
    told = [r for r in result.found.rates if needed(r) <= most]
    yield Option("rate", "False positives", {f"{r:g}": f"{100 * r:g} %" for r in told})
    yield Option("of", "Curves", {s.key: s.label for s in result.found.sources})


def figures(result: LeakageResult, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """Members caught, false labels that come through, whole curves, and areas under them."""
    rate = result.found.rates.index(float(picked["rate"]))
    return [
        _caught(result, picked["attack"], rate),
        _memorised(result),
        _curves(result, arrays, picked["of"], picked["attack"]),
        _areas(result, picked["attack"]),
    ]


def looks(result: LeakageResult) -> dict[str, colours.Style]:
    """The look of each source by its key."""
    images = [s for s in result.found.sources if s.key != TEACHERS]
    return colours.looks(images) | {TEACHERS: colours.Style(colours.REAL, "dash", "star")}


def _name(result: LeakageResult, leak: LeakFacts) -> str:
    label = next(s.label for s in result.found.sources if s.key == leak.key)
    return label if leak.key == TEACHERS else f"{label}: {WORDS[leak.kind]}"


def _dots(
    result: LeakageResult, rows: list[tuple[LeakFacts, list[float]]], x: str, chance: float
) -> Any:
    """A row for each channel: value and interval, with chance as a line."""
    figure = drawing.new_figure(x, "", legend=False, height=90 + 26 * len(rows))
    own = looks(result)
    for leak, (value, low, high) in rows:
        name = _name(result, leak)
        figure.add_scatter(
            x=[value],
            y=[name],
            error_x={"array": [high - value], "arrayminus": [value - low], "thickness": 1.5},
            mode="markers",
            marker={"color": own[leak.key].colour, "symbol": SYMBOLS[leak.kind], "size": 11},
            hovertemplate=f"{name}: %{{x:.3f}} ({low:.3f} to {high:.3f})<extra></extra>",
        )
    figure.add_vline(x=chance, line_dash="dot", line_color=colours.REAL)
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False)
    return figure


def _caught(result: LeakageResult, attack: str, place: int) -> Drawn:
    found, rate = result.found, result.found.rates[place]
    rows, few = [], []
    for leak in found.leaks:
        share = leak.attacks[attack].caught[place]
        if share is None:
            few.append(f"{_name(result, leak)} ({leak.others:,} held-out)")
        else:
            rows.append((leak, share))
    figure = _dots(result, rows, "share of training images found", rate)
    figure.update_xaxes(tickformat=".1%", rangemode="tozero")
    words = "; ".join(
        f"{_name(result, leak)} {_share(share)} of {leak.members:,}" for leak, share in rows
    )
    lacking = (
        f" Not measured, as {needed(rate):,} held-out images or more are needed: {'; '.join(few)}."
        if few
        else ""
    )
    caption = (
        f"While {100 * rate:g} % of held-out images are wrongly taken for training images; dotted: "
        f"guessing. Networks learned {KINDS[IMAGES]}, or {KINDS[TAUGHT]} of them. Attack: {ATTACKS[attack]}. "
        f"Bars: 95 % of bootstrap samples. {words}.{lacking}"
    )
    return Drawn(f"Training images found at {100 * rate:g} % false positives", figure, caption)


def _share(values: list[float]) -> str:
    value, low, high = (100 * v for v in values)
    return f"{value:.1f} % ({low:.1f} to {high:.1f})"


def _areas(result: LeakageResult, attack: str) -> Drawn:
    rows = [(leak, leak.attacks[attack].auc) for leak in result.found.leaks]
    figure = _dots(result, rows, "area under the curve", 0.5)
    words = "; ".join(
        f"{_name(result, leak)} {v:.3f} ({low:.3f} to {high:.3f})" for leak, (v, low, high) in rows
    )
    caption = (
        f"Chance that a training image has a larger score than a held-out one; 0.5 is guessing. Attack: "
        f"{ATTACKS[attack]}. {words}."
    )
    return Drawn("Training image or not: area under the curve", figure, caption, folded=True)


def _curves(result: LeakageResult, arrays: Arrays, key: str, attack: str) -> Drawn:
    figure = drawing.new_figure("false positives", "training images found")
    own, words = looks(result), []
    for leak in result.found.leaks:
        if leak.key != key and leak.key != TEACHERS:
            continue
        kept = arrays[f"curve.{leak.key}.{leak.kind}.{attack}"]
        rates = np.geomspace(1e-4, 1, len(kept))
        known = (kept > 0) & (rates * leak.others >= 1)
        name = _name(result, leak)
        figure.add_scatter(
            x=rates[known],
            y=kept[known],
            name=name,
            mode="lines",
            line={"color": own[leak.key].colour, "dash": DASHES[leak.kind], "width": 2},
            hovertemplate=f"{name}: %{{y:.2%}} at %{{x:.2%}}<extra></extra>",
        )
        words.append(f"{name} begins at {100 / leak.others:.2g} %")
    figure.add_scatter(
        x=[1e-4, 1],
        y=[1e-4, 1],
        name="guessing",
        mode="lines",
        line={"color": colours.REAL, "width": 1},
        hoverinfo="skip",
    )
    figure.update_xaxes(type="log", tickformat=".2~%")
    figure.update_yaxes(type="log", tickformat=".2~%")
    caption = (
        f"Both axes logarithmic, since few false positives are what harms. Attack: {ATTACKS[attack]}. A "
        f"curve begins where one held-out image is that share: {'; '.join(words)}."
    )
    return Drawn("Training images found, by false positives", figure, caption)


def interval(facts: MemorisedFacts) -> tuple[float, float, float]:
    """Mean share over teachers and its 95 % interval by Student's t, within 0 and 1."""
    from scipy.stats import t

    shares = np.array(facts.shares)
    mean = float(shares.mean())
    half = float(t.ppf(0.975, len(shares) - 1) * shares.std(ddof=1) / np.sqrt(len(shares)))
    return mean, max(0.0, mean - half), min(1.0, mean + half)


def _memorised(result: LeakageResult) -> Drawn:
    found, own = result.found, looks(result)
    chance = 1 / (len(result.class_names) - 1)
    figure = drawing.new_figure("share of false labels recovered", "", legend=False)
    words = []
    for facts in found.memorised:
        name = next(s.label for s in found.sources if s.key == facts.key)
        mean, low, high = interval(facts)
        figure.add_scatter(
            x=[mean],
            y=[name],
            error_x={"array": [high - mean], "arrayminus": [mean - low], "thickness": 1.5},
            mode="markers",
            marker={"color": own[facts.key].colour, "symbol": own[facts.key].symbol, "size": 11},
            hovertemplate=f"{name}: {facts.hits} of {facts.trials}<extra></extra>",
        )
        words.append(f"{name} {facts.hits} of {facts.trials} (p = {facts.p:.2g})")
    figure.add_vline(x=chance, line_dash="dot", line_color=colours.REAL)
    figure.update_xaxes(tickformat=".0%", rangemode="tozero")
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False)
    caption = (
        f"Each of {found.shadows} teachers learned {found.planted} false labels; networks saw only a set "
        f"with its labels, never these images. Which class gained most against other teachers? Dotted: "
        f"guessing, {100 * chance:.0f} %. Bars: 95 % by Student's t over teachers. {'; '.join(words)}."
    )
    return Drawn("False labels that come through a set's labels", figure, caption)


def table(result: LeakageResult, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per channel and attack; then one per source and teacher."""
    names = {s.key: s.label for s in result.found.sources}
    rows = []
    for leak in result.found.leaks:
        for attack, facts in leak.attacks.items():
            row: dict[str, Any] = {"set": leak.key, "label": names[leak.key], "what": leak.kind}
            row |= {"attack": attack, "targets": leak.targets, "members": leak.members}
            row |= {"others": leak.others, "teacher": "", "recovered": ""}
            row |= dict(zip(("auc", "auc_low", "auc_high"), facts.auc))
            for rate, share in zip(result.found.rates, facts.caught):
                ends = (f"caught_{rate:g}", f"caught_{rate:g}_low", f"caught_{rate:g}_high")
                row |= dict(zip(ends, share or ("", "", "")))
            rows.append(row)
    for told in result.found.memorised:
        for i, recovered in enumerate(told.shares):
            own = {"set": told.key, "label": names[told.key], "what": "false labels"}
            rows.append(dict.fromkeys(rows[0], "") | own | {"teacher": i, "recovered": recovered})
    return rows


def _values(result: LeakageResult) -> list[tuple[float, float, float]]:
    """Per cent found from images at the first rate with its interval, of the sets, by the usual attack."""
    sets = {s.key for s in result.found.sources if s.method}
    every = [
        x.attacks[OFFLINE].caught[0]
        for x in result.found.leaks
        if x.kind == IMAGES and x.key in sets
    ]
    return [(100 * value, 100 * low, 100 * high) for value, low, high in filter(None, every)]


def headline(result: LeakageResult) -> str:
    """Members found from images, and false labels from labels."""
    sets = {s.key for s in result.found.sources if s.method}
    false = span([100 * m.hits / m.trials for m in result.found.memorised if m.key in sets], "%")
    chance = 100 / (len(result.class_names) - 1)
    told = f"false labels recovered: **{false}** (chance {chance:.0f})"
    images = _values(result)
    if not images:
        return f"Too few images to tell members; {told}."
    share = span([value for value, *_ in images], "%", digits=1)
    guessed = 100 * result.found.rates[0]
    clear = sum(low > guessed for _, low, _ in images)
    above = f"{clear}/{len(images)} above"
    return f"Members from images: **{share}** (chance {guessed:g}, {above}); {told}."


def sentence(result: LeakageResult) -> str:
    """Both channels of every set, beside the yardsticks, and false labels that are more than chance."""
    found = result.found
    areas = "; ".join(
        f"{_name(result, leak)} **{leak.attacks[OFFLINE].auc[0]:.2f}**" for leak in found.leaks
    )
    names = {s.key: s.label for s in found.sources}
    shown = significance.discoveries(np.array([m.p for m in found.memorised]))
    false = "; ".join(
        f"{names[m.key]} **{100 * m.hits / m.trials:.0f} %**{' (shown)' if more else ''}"
        for m, more in zip(found.memorised, shown)
    )
    chance = 100 / (len(result.class_names) - 1)
    return (
        f"Area under the curve of the likelihood-ratio attack, 0.5 being guessing: {areas}. False labels "
        f"recovered, by chance {chance:.0f} %: {false}. Shown: more than chance, exact binomial test with "
        f"{100 * significance.LEVEL:g} % false discoveries. The sets were made once; {found.shadows} "
        f"teachers learned a random half of {2 * found.half:,} images each."
    )
