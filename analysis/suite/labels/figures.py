"""What is shown of a finished `labels`: figures, table, sentence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from analysis.contract import Arrays, Drawn, Option
from analysis.shared import colours, drawing, significance
from analysis.shared.sources import MEAN, RANDOM
from analysis.shared.texts import span
from analysis.suite.labels.maths import Parts, edited, gains, parts, softened, spreads
from analysis.suite.labels.result import LabelledSource, LabelsResult
from analysis.suite.labels.spec import (
    AS_IS,
    EDITS,
    HARD,
    ONLINE,
    ORDER,
    SOFT,
)
from ddcore.base import spread
from ddcore.base.foreign_text import wrapped

KINDS = {HARD: "hard", SOFT: "soft", ONLINE: "teacher"}  # on axes
LETTERS = {HARD: "H", SOFT: "S", ONLINE: "T"}  # on narrow ones
FAR = 0.2  # below all others: not on the axis
WORDS = {
    HARD: "hard labels",
    SOFT: "fixed soft labels",
    ONLINE: "a teacher on every batch",
}
LOOKS = {  # of real images, told apart by dash and marker
    RANDOM: colours.real_style(RANDOM),
    MEAN: colours.real_style(MEAN),
    "easiest": colours.Style(colours.REAL, "solid", "triangle-up"),
    "medium": colours.Style(colours.REAL, "dashdot", "circle-open"),
    "hardest": colours.Style(colours.REAL, "longdash", "triangle-down"),
}
IMAGES, LABELS = colours.SERIES[4], colours.SERIES[6]  # what images and what labels contribute
STEP = len(ORDER) + 0.6  # from one size to the next on the axis


def options(result: LabelsResult, picked: dict[str, str]) -> Iterator[Option]:
    """Whose labels are looked at, at which temperature, and what is done to them."""
    sources = {key: result.found.source(key).label for key in result.found.close}
    yield Option("of", "Labels of", sources)
    steps = {f"{t:g}": f"{t:g}" for t in result.found.temperatures}
    usual = f"{result.found.temperature:g}"
    yield Option("temperature", "Label temperature", steps, slider=True, usual=usual)
    yield Option("edit", "Changed", {edit: EDITS[edit] for edit in result.found.edits})


def figures(result: LabelsResult, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """Accuracy by regime, gain over random, what images and labels give, and labels as they are changed."""
    temperature = float(picked["temperature"])
    return [
        _accuracy(result),
        _gain(result),
        _contributions(result),
        *_labels(result, arrays, picked["of"], temperature, picked["edit"]),
        _by_temperature(result, temperature),
        _by_edit(result, picked["edit"]),
    ]


def sizes(result: LabelsResult) -> list[int]:
    """Images per class of the sources, from the smallest on."""
    return sorted({s.ipc for s in result.found.sources})


def looks(result: LabelsResult) -> dict[str, colours.Style]:
    """The look of each source by its key; one selection looks alike at every size."""
    own = iter(colours.styles([s.method for s in result.found.sources if not s.selection]))
    return {s.key: LOOKS[s.selection] if s.selection else next(own) for s in result.found.sources}


def _name(source: LabelledSource) -> str:
    """Of a series: real images have one for all sizes."""
    return source.label.rpartition(", ")[0] if source.selection else source.label


def _regimes(
    result: LabelsResult,
    values: dict[str, np.ndarray],
    y: str,
    names: dict[str, str],
    *,
    per_cent: bool,
    unit: str,
) -> Any:
    """A figure with the regimes of every size side by side: values (regimes, nets) by the source's key."""
    at = {ipc: place * STEP for place, ipc in enumerate(sizes(result))}
    figure = drawing.new_figure("", y, per_cent=per_cent)
    own, named = looks(result), set()
    for source in result.found.sources:
        if source.key not in values:
            continue
        look, name = own[source.key], _name(source)
        deviations = spread.deviations(values[source.key])
        bars = drawing.bars(deviations)
        figure.add_scatter(
            x=[at[source.ipc] + i for i in range(len(ORDER))],
            y=values[source.key].mean(1),
            error_y=bars,
            name=name,
            legendgroup=name,
            showlegend=name not in named,
            mode="lines+markers",
            line={"color": look.colour, "dash": look.dash, "width": 2},
            marker={"color": look.colour, "symbol": look.symbol, "size": 9},
            customdata=[f"{source.ipc} per class, {WORDS[kind]}" for kind in ORDER],
            hovertemplate=f"{name}<br>%{{customdata}}: %{{y{unit}}}<extra></extra>",
        )
        named.add(name)
    ticks = [(at[ipc] + i, names[kind], ipc) for ipc in at for i, kind in enumerate(ORDER)]
    middle = len(ORDER) // 2
    texts = [
        f"{kind}<br>{ipc} per class" if i % len(ORDER) == middle else kind
        for i, (_, kind, ipc) in enumerate(ticks)
    ]
    figure.update_xaxes(
        tickvals=[x for x, *_ in ticks], ticktext=texts, tickangle=0, showgrid=False
    )
    return figure


def _accuracy(result: LabelsResult) -> Drawn:
    found = result.found
    figure = _regimes(result, found.accuracies, "test accuracy", KINDS, per_cent=True, unit=":.1%")
    words = "; ".join(
        f"{s.label} " + ", ".join(f"{100 * v:.1f}" for v in found.accuracies[s.key].mean(1))
        for s in found.sources
    )
    caption = (
        f"Mean of {_networks(result)}{_bars(result)}. Hard labels, fixed soft labels, a teacher on every "
        f"batch ({100 * found.teacher:.1f} % itself). In per cent, in the order of the figure: {words}."
    )
    return Drawn("Test accuracy under three regimes of labels", figure, caption)


def _gain(result: LabelsResult) -> Drawn:
    every = gains(result)
    figure = _regimes(result, every, "points", LETTERS, per_cent=False, unit=":+.1f")
    figure.add_hline(y=0, line_dash="dot", line_color=colours.REAL)
    words = "; ".join(
        f"{result.found.source(key).label} " + ", ".join(f"{_signed(v)}" for v in values.mean(1))
        for key, values in every.items()
    )
    caption = (
        "Test accuracy minus that of as many random images with hard labels (H), fixed soft labels (S), a "
        f"teacher (T). Networks are paired{_bars(result)}. {words}."
    )
    return Drawn("Gain over random images", figure, caption, folded=True)


def _contributions(result: LabelsResult) -> Drawn:
    size = result.found.size
    own = [s for s in result.found.sources if s.ipc == size and s.selection != RANDOM]
    bars = [(s, kind, parts(result, s.key, kind)) for s in own for kind in (SOFT, ONLINE)]
    figure = drawing.new_figure("points", "", barmode="relative", height=120 + 24 * len(bars))
    names = [f"{s.label}, {KINDS[kind]}" for s, kind, _ in bars]
    for name, colour, part in (("Images", IMAGES, "images"), ("Labels", LABELS, "labels")):
        figure.add_bar(
            y=names,
            x=[getattr(found, part) for *_, found in bars],
            name=name,
            orientation="h",
            marker={"color": colour},
            hovertemplate=f"{name}<br>%{{y}}: %{{x:+.1f}} points<extra></extra>",
        )
    figure.update_yaxes(autorange="reversed", type="category")
    words = "; ".join(f"{name}: {_parts_text(found)}" for name, (*_, found) in zip(names, bars))
    caption = (
        f"Points above random images with hard labels, {size} per class. What both give together counts half "
        f"for each. {words}."
    )
    return Drawn("What images and labels contribute", figure, caption)


def _parts_text(found: Parts) -> str:
    share = "" if found.share is None else f" ({100 * found.share:.0f} % images)"
    return f"images {_signed(found.images)}, labels {_signed(found.labels)}{share}"


def _labels(
    result: LabelsResult, arrays: Arrays, key: str, temperature: float, edit: str
) -> list[Drawn]:
    """What the teacher says of each class's images, as networks would learn it."""
    if f"logits.{key}" not in arrays:
        return []
    said = edited(softened(arrays[f"logits.{key}"], temperature), edit).mean(1)  # (K, K)
    if edit == "no_images":
        said[-1] = np.nan
    names = list(result.class_names)
    figure = drawing.new_figure("entry of the label", "class of the image", legend=False)
    figure.add_heatmap(
        z=said,
        x=names,
        y=names,
        zmin=0,
        zmax=1,
        colorscale="Blues",
        colorbar={"thickness": 12, "tickformat": ".0%"},
        hovertemplate="image of %{y}, entry %{x}: %{z:.1%}<extra></extra>",
    )
    figure.update_xaxes(type="category")
    figure.update_yaxes(autorange="reversed", type="category")
    own = float(np.nanmean(np.diag(said)))
    caption = (
        f"{result.found.source(key).label}, temperature {temperature:g}, {EDITS[edit]}. The class itself has "
        f"{100 * own:.0f} % of a label on average."
    )
    return [Drawn("What the labels say", figure, caption)]


def _by_temperature(result: LabelsResult, temperature: float) -> Drawn:
    found, own = result.found, looks(result)
    figure = drawing.new_figure("label temperature", "test accuracy", per_cent=True)
    words = []
    for key, values in zip(found.close, np.array(found.by_temperature)):
        look, label = own[key], found.source(key).label
        figure.add_scatter(
            x=list(found.temperatures),
            y=values.mean(1),
            name=label,
            mode="lines+markers",
            cliponaxis=False,
            line={"color": look.colour, "dash": look.dash, "width": 2},
            marker={"color": look.colour, "symbol": look.symbol, "size": 9},
            hovertemplate=f"{label}, T = %{{x:g}}: %{{y:.1%}}<extra></extra>",
        )
        words.append(f"{label} " + ", ".join(f"{100 * v:.1f}" for v in values.mean(1)))
    figure.update_xaxes(
        type="log",
        tickvals=list(found.temperatures),
        ticktext=[f"{t:g}" for t in found.temperatures],
    )
    figure.add_vline(x=temperature, line_dash="dot", line_color=colours.REAL)
    caption = (
        f"Fixed soft labels at each temperature, mean of {_networks(result)}; the dotted line is the one "
        f"that is looked at. In per cent, from the lowest on: {'; '.join(words)}."
    )
    return Drawn("Accuracy by label temperature", figure, caption)


def _by_edit(result: LabelsResult, edit: str) -> Drawn:
    found, own = result.found, looks(result)
    figure = drawing.new_figure("test accuracy", "", scattermode="group", legend=False)
    means = np.array(found.by_edit).mean(2)
    far = [bool(v.max() < np.median(means) - FAR) for v in means.T]
    told = [
        f"{EDITS[name]} ({span(100 * means[:, i], '%')}, not on the axis)"
        if far[i]
        else EDITS[name]
        for i, name in enumerate(found.edits)
    ]
    names = ["<br>".join(wrapped(name, 22)) for name in told]
    words = []
    for key, values in zip(found.close, np.array(found.by_edit)):
        look, label = own[key], found.source(key).label
        figure.add_scatter(
            x=[None if off else v for off, v in zip(far, values.mean(1))],
            y=names,
            name=label,
            mode="markers",
            cliponaxis=False,
            marker={"color": look.colour, "symbol": look.symbol, "size": 10},
            hovertemplate=f"{label}, %{{y}}: %{{x:.1%}}<extra></extra>",
        )
        change = 100 * (values[found.edits.index(edit)] - values[0]).mean()
        words.append(f"{label} {_signed(change)}")
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_xaxes(tickformat=".1%")
    near = means[:, ~np.array(far)]
    margin = 0.08 * max(0.02, float(np.ptp(near)))
    figure.update_xaxes(range=[float(near.min()) - margin, float(near.max()) + margin])
    chosen = f"*{EDITS[edit]}*" if edit != AS_IS else "nothing changed"
    caption = (
        f"Fixed soft labels at temperature {found.temperature:g}, changed, mean of {_networks(result)}; "
        f"colours as above. Points by {chosen}: {'; '.join(words)}."
    )
    return Drawn("Accuracy with changed labels", figure, caption)


def table(result: LabelsResult, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per source, regime and network; then those of changed labels."""
    found, above = result.found, gains(result)
    rows = [
        _row(source, kind, AS_IS, temperature, i, value, above.get(source.key))
        for source in found.sources
        for place, kind in enumerate(ORDER)
        for temperature in ["" if kind == HARD else found.temperature]
        for i, value in enumerate(found.accuracies[source.key][place].tolist())
    ]
    for key, by_t, by_edit in zip(found.close, found.by_temperature, found.by_edit):
        source = found.source(key)
        cells = [(t, AS_IS, v) for t, v in zip(found.temperatures, by_t) if t != found.temperature]
        cells += [
            (found.temperature, edit, v) for edit, v in zip(found.edits, by_edit) if edit != AS_IS
        ]
        for temperature, edit, values in cells:
            rows += [
                _row(source, SOFT, edit, temperature, i, v, None) for i, v in enumerate(values)
            ]
    return rows


def _row(
    source: LabelledSource,
    kind: str,
    edit: str,
    temperature: float | str,
    number: int,
    value: float,
    above: np.ndarray | None,
) -> dict[str, Any]:
    gain = "" if above is None else float(above[ORDER.index(kind), number])
    return {
        "set": source.key,
        "label": source.label,
        "per_class": source.ipc,
        "labels": kind,
        "temperature": temperature,
        "edit": edit,
        "number": number,
        "accuracy": value,
        "gain_over_random": gain,
    }


def headline(result: LabelsResult) -> str:
    """What sets gain over random images, with hard labels and with a teacher."""
    size = result.found.size
    own = [v.mean(1) for k, v in gains(result).items() if _is_set(result, k, size)]
    hard, taught = (
        span([v[ORDER.index(kind)] for v in own], digits=1, signed=True) for kind in (HARD, ONLINE)
    )
    return (
        f"Gain over random: **{hard} points** with hard labels, **{taught}** with a teacher "
        f"({size} per class)."
    )


def _is_set(result: LabelsResult, key: str, size: int) -> bool:
    source = result.found.source(key)
    return not source.selection and source.ipc == size


def shown(result: LabelsResult) -> dict[str, np.ndarray]:
    """Whether (regimes,) a set is better than random images labelled alike, by the run's key.

    Paired tests over networks, corrected over all sets and regimes. None of one network.
    """
    every = {k: v for k, v in gains(result).items() if not result.found.source(k).selection}
    p = significance.paired(np.stack(list(every.values())), significance.GREATER).p
    return dict(zip(every, significance.discoveries(p)))


def sentence(result: LabelsResult) -> str:
    """The gain of every set under every regime, and how far selections lie apart."""
    every, better = gains(result), shown(result)
    texts = []
    for key in better:
        told = ", ".join(
            f"**{_signed(mean)}**{' (shown)' if is_shown else ''} with {WORDS[kind]}"
            for mean, is_shown, kind in zip(every[key].mean(1), better[key], ORDER)
        )
        texts.append(f"{result.found.source(key).label} {told}")
    apart = "; ".join(
        f"{ipc} per class {', '.join(f'{v:.1f}' for v in spreads(result, ipc))}"
        for ipc in sizes(result)
    )
    tests = (
        "One network: nothing is said of chance."
        if result.found.nets == 1
        else f"Shown to be better: paired {significance.RULE}, over {result.found.nets} networks, "
        "which differ in starting weights and random images; the sets are the same for all."
    )
    return (
        f"Points above random images with labels of the same kind: {'; '.join(texts)}. From the best to "
        f"the worst of all images of a size, with hard, fixed soft and a teacher's labels: {apart} points. "
        f"{tests}"
    )


def _networks(result: LabelsResult) -> str:
    nets = result.found.nets
    return f"{nets} networks {result.found.network}" if nets > 1 else "one network"


def _bars(result: LabelsResult) -> str:
    return "; bars are standard deviations" if result.found.nets > 1 else ""


def _signed(value: float) -> str:
    text = f"{value:+.1f}"
    return "0.0" if float(text) == 0 else text
