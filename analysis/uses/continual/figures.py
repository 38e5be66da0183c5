"""Figures of continual learning, and what they say in words; each takes finished tasks of one setting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.contract import Drawn
from analysis.shared import colours, drawing, significance
from analysis.uses.continual import maths
from analysis.uses.continual.result import Learned
from ddcore.base.foreign_text import plain
from ddcore.base.spread import figure_text
from ddcore.base.texts import size

MANY = 8  # so many lines hide each other: replayed memories wait in the legend then
LOOKS = {  # colour, dash, symbol of what is no distilled set
    "random": ("#7F8387", "dot", "square"),
    "class_mean": ("#A58209", "dash", "diamond"),
    "kmeans": ("#2F8F8A", "solid", "diamond-open"),
    "herding": ("#4A9049", "dashdot", "triangle-up"),
    "kcenter": ("#A065A0", "dashdot", "triangle-down"),
    "finetune": ("#96705A", "longdash", "x"),
    "joint": ("#96705A", "longdash", "star"),
}


def look(learned: Learned) -> tuple[str, str, str]:
    """Colour, dash and symbol, the same for a source everywhere."""
    spec = learned.spec
    if spec.distill:
        style = colours.style(spec.distill.method, int(spec.strategy == "replay"))
        return style.colour, style.dash, style.symbol
    colour, dash, symbol = LOOKS.get(spec.strategy) or LOOKS[spec.source]
    return colour, "longdashdot" if spec.strategy == "replay" else dash, symbol


def name(learned: Learned) -> str:
    """What is kept, with how much."""
    kept = learned.spec.source_title()
    return kept if learned.spec.source == "none" else f"{kept}, {learned.spec.ipc} per class"


def in_order(tasks: Sequence[Learned]) -> list[Learned]:
    """From the best last accuracy on."""
    return sorted(tasks, key=lambda each: -maths.accuracy(each)[..., -1].mean())


def _visible(learned: Learned, lines: Sequence[object]) -> bool | str:
    """Whether a line is drawn at once, or when its name in the legend is clicked."""
    return "legendonly" if learned.spec.strategy == "replay" and len(lines) > MANY else True


def curve(tasks: Sequence[Learned]) -> Drawn:
    """Accuracy on all classes so far after every step, with 95 % bands over orders."""
    figure = drawing.new_figure("Classes so far", "Accuracy on them", per_cent=True, height=400)
    for each in in_order(tasks):
        values = maths.over_orders(maths.accuracy(each))
        mean, half = values.mean(0), maths.half_width(values)
        colour, dash, symbol = look(each)
        x = _classes_so_far(each)
        if np.isfinite(half).all():
            figure.add_scatter(
                x=[*x, *x[::-1]],
                y=np.clip([*(mean + half), *(mean - half)[::-1]], 0, 1),
                mode="lines",
                fill="toself",
                fillcolor=drawing.faded(colour, 0.13),
                line={"width": 0},
                hoverinfo="skip",
                showlegend=False,
                legendgroup=each.key,
                visible=_visible(each, tasks),
            )
        figure.add_scatter(
            x=x,
            y=mean,
            name=each.spec.source_title(),
            legendgroup=each.key,
            visible=_visible(each, tasks),
            mode="lines+markers",
            line={"color": colour, "dash": dash, "width": 2},
            marker={"color": colour, "symbol": symbol, "size": 8},
            customdata=half,
            hovertemplate="%{y:.1%} ± %{customdata:.1%}<extra>" + name(each) + "</extra>",
        )
    figure.update_xaxes(tickvals=_classes_so_far(tasks[0]))
    n = len(tasks[0].groups)
    caption = (
        f"Accuracy on test images of the classes seen so far; bands: 95 % intervals over {n} orders of the "
        "classes (Student's t)."
    )
    if any(trace.visible == "legendonly" for trace in figure.data):
        caption += " Replayed memories are drawn when their names are clicked."
    return Drawn("Accuracy while classes arrive", figure, caption)


def _classes_so_far(learned: Learned) -> list[int]:
    return np.cumsum([len(group) for group in learned.groups[0]]).tolist()


def heat(learned: Learned) -> Drawn:
    """Steps by the classes of steps: what is still known of each."""
    figure = drawing.new_figure("Classes of step", "After step", legend=False, height=340)
    r = maths.over_orders(maths.matrix(learned)).mean(0)
    steps = [str(i + 1) for i in range(len(r))]
    figure.add_heatmap(
        z=100 * r,
        x=steps,
        y=steps,
        zmin=0,
        zmax=100,
        colorscale="Viridis",
        text=[["" if np.isnan(v) else f"{100 * v:.0f}" for v in row] for row in r],
        texttemplate="%{text}",
        hovertemplate="after step %{y}, classes of step %{x}: %{z:.1f} %<extra></extra>",
        colorbar={"title": "%", "thickness": 12},
    )
    figure.update_yaxes(autorange="reversed", type="category").update_xaxes(type="category")
    caption = (
        f"{name(learned)}: share of the test images of each step's classes that are called right, mean over "
        "orders and networks."
    )
    return Drawn("What is still known of each step", figure, caption)


def forgetting(tasks: Sequence[Learned]) -> Drawn:
    """How far earlier steps fell, beside networks that have all images so far."""
    figure = drawing.new_figure("points lost", legend=False, height=340)
    shown = [each for each in in_order(tasks) if each.spec.steps > 1]
    for each in reversed(shown):
        values = 100 * maths.over_orders(maths.forgetting(maths.matrix(each)))
        colour, _, _ = look(each)
        figure.add_bar(
            x=[values.mean()],
            y=[each.spec.source_title()],
            orientation="h",
            marker={"color": colour},
            error_x={
                "array": [float(maths.half_width(values))],
                "thickness": 1.5,
                "color": colours.REAL,
            },
            hovertemplate="%{x:.1f} points<extra></extra>",
        )
    caption = (
        "Mean over earlier steps: best accuracy before the last step minus that after it. Networks trained "
        "on all images fall too, as there is more to confuse: only what exceeds their bar is forgetting."
    )
    return Drawn("Forgetting", figure, caption)


def by_bytes(tasks: Sequence[Learned]) -> Drawn:
    """Last accuracy by what the memory takes."""
    figure = drawing.new_figure(
        "Bytes of memory", "Last accuracy", per_cent=True, height=340, legend=False
    )
    sources: dict[str, list[Learned]] = {}
    for each in tasks:
        if each.spec.source != "none" and _visible(each, tasks) is True:
            sources.setdefault(each.spec.source_title(), []).append(each)
    for title, own in sources.items():
        own = sorted(own, key=lambda each: each.memory_bytes[:, -1].mean())
        values = [maths.over_orders(maths.accuracy(each)[..., -1]) for each in own]
        colour, dash, symbol = look(own[0])
        figure.add_scatter(
            x=[each.memory_bytes[:, -1].mean() for each in own],
            y=[v.mean() for v in values],
            error_y={"array": [float(maths.half_width(v)) for v in values], "thickness": 1},
            name=title,
            mode="lines+markers",
            line={"color": colour, "dash": dash, "width": 2},
            marker={"color": colour, "symbol": symbol, "size": 8},
            text=[f"{each.spec.ipc} per class" for each in own],
            hovertemplate="%{y:.1%}, %{x:,} bytes, %{text}<extra>" + title + "</extra>",
        )
    figure.update_xaxes(type="log", dtick=1)
    caption = (
        "New images are stored in 32 bits per value, real ones in the 8 they have: at equal bytes there are "
        "four times as many real ones. Colours as above."
    )
    return Drawn("At equal bytes", figure, caption)


# --- in words -----------------------------------------------------------------------------------------


def sentence(tasks: Sequence[Learned]) -> str:
    """The best memory, the floor and the ceiling, and what has been shown of the second."""
    kept = [each for each in in_order(tasks) if each.spec.source != "none"]
    if not kept:
        return "No memory has been tried in this setting yet."
    best = kept[0]
    text = f"**{name(best)}**: {_last(best)} on all {len(best.class_names)} classes after the last step"
    ends = {each.spec.strategy: each for each in tasks if each.spec.source == "none"}
    beside = [
        f"{words} {_last(ends[end])}"
        for end, words in (("finetune", "nothing kept"), ("joint", "everything kept"))
        if end in ends
    ]
    if beside:
        text += f" ({'; '.join(beside)})"
    rivals = [each for each in kept[1:] if each.spec.ipc == best.spec.ipc]
    if rivals:
        found = maths.paired(best, rivals[0])
        sure = np.isfinite(found.p) and found.p < significance.LEVEL
        verdict = "more" if sure else "not shown to be more"
        text += (
            f"; {verdict} than {name(rivals[0])}: {100 * found.difference:+.1f} points, 95 % interval "
            f"{100 * found.low:+.1f} to {100 * found.high:+.1f}, paired over {found.n} orders"
        )
    return f"{text}."


def unseen(parts: Learned, whole: Learned) -> str:
    """What it costs a method not to see the classes of other steps."""
    found = maths.unseen_cost(parts, whole)
    apart = "class by class" if parts.spec.class_wise else "step by step"
    return (
        f"{name(parts)}: {_last(parts)} made {apart}, {_last(whole)} made of all classes at once; difference "
        f"{100 * found.difference:+.1f} points, 95 % interval {100 * found.low:+.1f} to "
        f"{100 * found.high:+.1f}"
    )


def table(tasks: Sequence[Learned]) -> list[dict[str, str]]:
    """Rows for people."""
    rows = []
    for each in in_order(tasks):
        fact = maths.facts(each)
        forgot = fact["forgetting"]
        rows.append(
            {
                "Kept": name(each),
                "Last accuracy": figure_text(fact["accuracy"]),
                "Average over steps": figure_text(fact["average"]),
                "Forgetting": f"{100 * forgot['mean']:.1f} points" if forgot else "",
                "Memory": size(fact["memory_bytes"]) if fact["memory_bytes"] else "",
                "Distilling, CPU s": f"{each.distil_seconds:.0f}" if each.distil_seconds else "",
            }
        )
    return rows


def orders_text(learned: Learned) -> list[str]:
    """The classes of every order, step by step, by their names."""
    names = [plain(each) for each in learned.class_names]
    return [
        " → ".join(", ".join(names[c] for c in group) for group in groups)
        for groups in learned.groups
    ]


def _last(learned: Learned) -> str:
    values = maths.over_orders(maths.accuracy(learned)[..., -1])
    return figure_text(maths.figure(values))
