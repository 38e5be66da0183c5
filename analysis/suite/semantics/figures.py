"""What is shown of a finished `semantics`: figures, table, sentence, pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.contract import Arrays, Drawn, Option, Pictures
from analysis.runs import Run
from analysis.shared import colours, drawing
from analysis.shared.effects import CENTRED, RAW
from analysis.shared.texts import span
from analysis.suite.semantics.result import SemanticsResult
from analysis.suite.semantics.spec import VIEWS

if TYPE_CHECKING:
    pass


def options(result: SemanticsResult, picked: dict[str, str]) -> Iterator[Option]:
    """By which influence test images are ranked, and whose lifts are shown."""
    yield Option("view", "Test images", VIEWS)
    yield Option("set", "Lifts of", {r.key: r.label for r in result.runs})


def figures(result: SemanticsResult, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """Shares with a discovery beside the control; lifts of a set; which attributes are found."""
    view, key = picked["view"], picked["set"]
    run_ = next(r for r in result.runs if r.key == key)
    return [
        _shares(result, view),
        _lifts(result, arrays, run_, view),
        _attributes_found(result, arrays, view),
    ]


def _shares(result: SemanticsResult, view: str) -> Drawn:
    about = result.found
    figure = drawing.new_figure("", "images with a discovery", per_cent=True, scattermode="group")
    labels = [r.label for r in result.runs]
    looks = colours.styles([r.method for r in result.runs])
    facts = [about.sets[r.key].view(view) for r in result.runs]
    figure.add_bar(
        x=labels,
        y=[f.share for f in facts],
        marker={"color": [look.colour for look in looks]},
        name="Most helped test images",
        showlegend=False,
        hovertemplate="%{x}: %{y:.0%}<extra></extra>",
    )
    figure.add_bar(
        x=labels,
        y=[f.control for f in facts],
        marker={"color": colours.REAL},
        name="Random test images of the class",
        hovertemplate="%{x}, random: %{y:.1%}<extra></extra>",
    )
    figure.update_yaxes(range=[0, 1.02])
    words = "; ".join(
        f"{label} {100 * f.share:.0f} % (random {100 * f.control:.1f} %), {f.pairs} pairs"
        for label, f in zip(labels, facts)
    )
    low, high = min(about.top), max(about.top)
    top = f"{low}" if low == high else f"{low} to {high}"
    caption = (
        f"Share of distilled images that teach an attribute. Their {top} most helped test images of their "
        f"own class differ from the rest of the class in at least one of {len(about.attributes)} attributes, "
        f"at a false-discovery rate of {about.fdr:g}. {words}. Random: mean of {about.controls} draws."
    )
    return Drawn("Images that mean more than their class", figure, caption)


def _numbered(result: SemanticsResult, labels: list[int]) -> list[str]:
    """Every image of a set as its class and its number there: "3 no. 2"."""
    return [f"{result.class_names[c]} no. {labels[: j + 1].count(c)}" for j, c in enumerate(labels)]


def _lifts(result: SemanticsResult, arrays: Arrays, run_: Run, view: str) -> Drawn:
    lift, found = (arrays[f"{what}.{view}.{run_.key}"] for what in ("lift", "found"))
    p, own = arrays[f"p.{view}.{run_.key}"], result.found.sets[run_.key].labels
    names, most = result.found.attributes, float(np.abs(lift).max()) or 1.0
    figure = drawing.new_figure("", "distilled image", height=480, legend=False)
    rows = _numbered(result, own)
    figure.add_heatmap(
        z=np.where(found, lift, np.nan),
        x=names,
        y=rows,
        zmin=-most,
        zmax=most,
        colorscale="RdBu",
        colorbar={"tickformat": "+.0%", "thickness": 12},
        hoverinfo="skip",
    )
    figure.add_heatmap(
        z=lift,
        x=names,
        y=rows,
        customdata=p,
        opacity=0,
        showscale=False,
        hovertemplate="%{y}, %{x}: %{z:+.0%}, p %{customdata:.1e}<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed", type="category", tickformat=None)
    figure.update_xaxes(type="category")
    caption = (
        f"{run_.label}: share of an attribute among the most helped test images minus its share in the "
        f"class, where that is a discovery ({int(found.sum())} of {found.size} pairs). The largest is "
        f"{100 * most:.0f} points. Empty: not told from chance."
    )
    return Drawn("Which attribute, in which image", figure, caption)


def _attributes_found(result: SemanticsResult, arrays: Arrays, view: str) -> Drawn:
    figure = drawing.new_figure(
        "", "images with this discovery", per_cent=True, scattermode="group"
    )
    looks = colours.styles([r.method for r in result.runs])
    best = []
    for run_, look in zip(result.runs, looks):
        share = arrays[f"found.{view}.{run_.key}"].mean(0)
        figure.add_scatter(
            x=result.found.attributes,
            y=share,
            name=run_.label,
            mode="markers",
            marker={"color": look.colour, "symbol": look.symbol, "size": 11},
            hovertemplate=f"{run_.label}, %{{x}}: %{{y:.0%}}<extra></extra>",
        )
        top = int(share.argmax())
        if share[top] > 0:
            best.append(f"{run_.label}: {result.found.attributes[top]}, {100 * share[top]:.0f} %")
        else:
            best.append(f"{run_.label}: none")
    caption = f"Share of the images of a set with a discovery, by attribute. Most often {'; '.join(best)}."
    return Drawn("Which attributes", figure, caption)


def table(result: SemanticsResult, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per set, ranking, distilled image and attribute."""
    found = []
    for run_ in result.runs:
        key = run_.key
        own = result.found.sets[key].labels
        for view in VIEWS:
            lift, p, hit = (arrays[f"{what}.{view}.{key}"] for what in ("lift", "p", "found"))
            for j, c in enumerate(own):
                for a, name in enumerate(result.found.attributes):
                    found.append(
                        {
                            "set": key,
                            "label": run_.label,
                            "ranked": view,
                            "image": j,
                            "class": result.class_names[c],
                            "attribute": name,
                            "lift": float(lift[j, a]),
                            "p": float(p[j, a]),
                            "discovery": int(hit[j, a]),
                        }
                    )
    return found


def headline(result: SemanticsResult) -> str:
    """How many images teach more than their class."""
    found = [result.found.sets[run.key].view(RAW) for run in result.runs]
    share = span([100 * facts.share for facts in found], "%")
    chance = span([100 * facts.control for facts in found], "%")
    return f"**{share}** of the images teach an attribute beyond their class; by chance it would be {chance}."


def sentence(result: SemanticsResult) -> str:
    """Shares with a discovery, in both rankings, beside the control."""
    parts = []
    for run_ in result.runs:
        raw, beyond = (result.found.sets[run_.key].view(view) for view in (RAW, CENTRED))
        parts.append(
            f"of {run_.label} **{100 * raw.share:.0f} %** (random {100 * raw.control:.1f} %; beyond "
            f"class mates {100 * beyond.share:.0f} %)"
        )
    return (
        "Images whose most helped test images of their own class share some attribute more, or less, than "
        f"the class does: {'; '.join(parts)}."
    )


def pictures(result: SemanticsResult, arrays: Arrays) -> list[Pictures]:
    """The clearest discoveries: the image, then the test images of its class that it helps most."""
    found = []
    for run_ in result.runs:
        key = run_.key
        examples = result.found.sets[key].raw.examples
        beside = arrays.get(f"beside.{RAW}.{key}")
        if beside is None:
            continue
        start, names = 0, _numbered(result, result.found.sets[key].labels)
        for one in examples:
            count = len(one.values)
            real = beside[start : start + count].astype(np.float32) / 255
            start += count
            image = names[one.image]
            name = result.found.attributes[one.attribute]
            less = "less" if one.lift < 0 else "more"
            title = (
                f"{run_.label}, {image}: {less} often “{name}” by {100 * abs(one.lift):.0f} points "
                f"(p = {one.p:.0e})"
            )
            pixels = np.concatenate([arrays[f"pixels.{key}"][one.image][None], real])
            labels = ["distilled", *(f"{v:+.2f}" for v in one.values)]
            found.append(Pictures(title, pixels, labels))
    return found
