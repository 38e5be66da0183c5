"""What is shown of a finished `influence`: figures, table, sentence, pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.contract import Arrays, Drawn, Option, Pictures
from analysis.shared import colours, drawing
from analysis.shared.effects import CENTRED, EFFECTS, RAW
from analysis.shared.texts import span
from analysis.suite.influence.result import EstimatorScores, InfluenceResult
from analysis.suite.influence.spec import ESTIMATES, TOP
from analysis.suite.influence.tiles import mean, of_class, of_image, of_test
from analysis.suite.influence.view import InfluenceView
from ddcore.base import rng
from ddcore.base.foreign_text import wrapped
from ddcore.base.spread import deviation

if TYPE_CHECKING:
    pass

FOLDED = (1, 4, 6)  # the poster of a class, every image on a test image, the estimates
NAMES = {"dot": "gradient dot product", "cg": "inverse Hessian"}
ESTIMATE_LOOKS = {"dot": ("#8F6BB0", "x"), "cg": ("#1FA6A0", "circle-open")}


def options(result: InfluenceResult, picked: dict[str, str]) -> Iterator[Option]:
    """Which set, which of its images, which test image, and what counts as influence."""
    yield Option("set", "Set", {r.key: r.label for r in result.runs})
    facts, names = result.found.sets[picked["set"]], result.class_names
    yield Option("effect", "Show", EFFECTS)
    seen: dict[int, int] = {}
    choices = {}
    for j, c in enumerate(facts.labels):
        seen[c] = seen.get(c, 0) + 1
        choices[str(j)] = f"{names[c]}, image {seen[c]}"
    yield Option("image", "Image", choices)
    tests = {str(i): f"{names[result.found.test_classes[str(i)]]}, number {i}" for i in facts.tests}
    yield Option("test", "Test image", tests)


def figures(result: InfluenceResult, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """Values of all sets; the picked class, image and test image; classes; the estimates."""
    view = InfluenceView.of(result, arrays, picked)
    found = [_values(result, arrays), of_class(view), of_image(view), of_test(view), _bars(view)]
    found.append(_classes(view, arrays[f"influence.{view.run.key}"]))
    if view.facts.estimates:
        found.append(_estimates(view, view.facts.estimates, arrays[f"points.{view.run.key}"]))
    return [dataclasses.replace(d, folded=i in FOLDED) for i, d in enumerate(found)]


def _bars(view: InfluenceView) -> Drawn:
    """Influence of every image on the picked test image."""
    column, own = view.influence[:, view.test], view.labels == view.test_labels[view.test]
    figure = drawing.new_figure("image of the set", f"{view.effect} on its loss", height=300)
    look = colours.style(view.run.method)
    for which, label, colour in (
        (own, "images of its class", look.colour),
        (~own, "images of other classes", colours.REAL),
    ):
        rows = np.flatnonzero(which)
        figure.add_bar(
            x=rows,
            y=column[rows],
            name=label,
            marker={"color": colour},
            customdata=[view.name(j) for j in rows.tolist()],
            hovertemplate="%{customdata}: %{y:+.3f}<extra></extra>",
        )
    weight = float(np.abs(column).sum())
    share = 100 * float(np.abs(column[own]).sum()) / weight if weight else 0.0
    caption = (
        f"Test image {view.test}: the {int(own.sum())} images of its class carry {share:.0f} % of the sum "
        f"of absolute values; equal shares would be {100 * own.mean():.0f} %."
    )
    return Drawn("All images on the picked test image", figure, caption)


def _classes(view: InfluenceView, influence: np.ndarray) -> Drawn:
    """Mean influence of the images of a class on the test images of each class."""
    table_ = by_class(influence, view.labels, view.test_labels, len(view.names))
    most = float(np.abs(table_).max()) or 1.0
    figure = drawing.new_figure(
        "test images of class", "an image of class left out", height=440, legend=False
    )
    figure.add_heatmap(
        z=table_,
        x=view.names,
        y=view.names,
        zmin=-most,
        zmax=most,
        colorscale="RdBu",
        colorbar={"thickness": 12},
        hovertemplate="an image of %{y} on %{x}: %{z:+.3f}<extra></extra>",
    )
    figure.update_xaxes(type="category", dtick=1)
    figure.update_yaxes(autorange="reversed", type="category", dtick=1)
    diagonal, rest = np.trace(table_) / len(table_), table_[~np.eye(len(table_), dtype=bool)]
    caption = (
        f"{view.run.label}: mean influence of an image of a class on the test images of each class. "
        f"On its own class {diagonal:+.3f}, on others {rest.mean():+.3f}."
    )
    return Drawn("Classes on classes", figure, caption)


def _estimates(view: InfluenceView, found: EstimatorScores, pairs: np.ndarray) -> Drawn:
    """The cheap estimates against the exact influence."""
    exact, *values = pairs
    figure = drawing.new_figure("exact influence", "estimate, in standard deviations")
    words = []
    for (name, label), y in zip(NAMES.items(), values):
        colour, symbol = ESTIMATE_LOOKS[name]
        figure.add_scattergl(
            x=exact,
            y=y / (y.std() or 1.0),
            name=label.capitalize() if name == "dot" else "Inverse Hessian",
            mode="markers",
            marker={"color": colour, "symbol": symbol, "size": 5, "opacity": 0.6},
            hovertemplate=f"{label}: exact %{{x:.3f}}, %{{y:.2f}}<extra></extra>",
        )
        one = found.named(name)
        words.append(
            f"{label} {one.pearson:.2f} (ranks {one.spearman:.2f}, beyond class mates "
            f"{one.beyond:.2f})"
        )
    lost = found.given_up
    stuck = f"; {lost} equations met negative curvature and were given up" if lost else ""
    caption = (
        f"Correlation with exact leave-one-out over all pairs of images, means of {view.result.found.inits} "
        f"initialisations: {'; '.join(words)}. Derivatives with respect to "
        f"{ESTIMATES[view.result.found.weights]}, damping {view.result.found.damping:g}, residual "
        f"{found.residual:.0e} after at most {found.steps} steps{stuck}. {len(exact)} pairs "
        "are drawn."
    )
    return Drawn("Cheap estimates", figure, caption)


def by_class(influence: np.ndarray, own: np.ndarray, tests: np.ndarray, classes: int) -> np.ndarray:
    """(K, K) mean influence (M, N) of an image of class a (row) on test images of class b."""

    def means(labels: np.ndarray) -> np.ndarray:
        member = np.eye(classes)[labels]  # (M, K)
        return member / np.maximum(member.sum(0), 1)

    return means(own).T @ influence.astype(np.float64) @ means(tests)


def _values(result: InfluenceResult, arrays: Arrays) -> Drawn:
    figure = drawing.new_figure("", "mean influence on the test loss", legend=False)
    figure.add_hline(0, line={"color": colours.REAL, "dash": "dot", "width": 1})
    looks, words = colours.styles([r.method for r in result.runs]), []
    for place, (run_, look) in enumerate(zip(result.runs, looks)):
        value = arrays[f"value.{run_.key}"].mean(0)
        names = [result.class_names[c] for c in arrays[f"labels.{run_.key}"]]
        shift = rng.numpy_generator(0, "strip", run_.key).uniform(-0.25, 0.25, len(value))
        figure.add_scatter(
            x=place + shift,
            y=value,
            mode="markers",
            name=run_.label,
            marker={"color": look.colour, "symbol": look.symbol, "size": 8, "opacity": 0.8},
            customdata=names,
            hovertemplate=f"{run_.label}, class %{{customdata}}: %{{y:+.4f}}<extra></extra>",
        )
        words.append(
            f"{run_.label} {value.min():+.3f} to {value.max():+.3f}, {int((value < 0).sum())} of "
            f"{len(value)} below 0"
        )
    labels = ["<br>".join(wrapped(r.label, 14)) for r in result.runs]
    places = list(range(len(labels)))
    figure.update_xaxes(
        tickvals=places, ticktext=labels, tickangle=0, range=[-0.5, len(labels) - 0.5]
    )
    caption = (
        f"A point is an image: how much the mean test loss grows when it is left out, mean of "
        f"{result.found.inits} initialisations. {'; '.join(words)}. Below 0: the set is better without it."
    )
    return Drawn("What each image is worth", figure, caption)


def table(result: InfluenceResult, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per set and distilled image."""
    found, tests = [], arrays["test_labels"]
    for run_ in result.runs:
        key = run_.key
        influence, own = arrays[f"influence.{key}"].astype(np.float64), arrays[f"labels.{key}"]
        value = arrays[f"value.{key}"].astype(np.float64)
        for j, c in enumerate(own):
            mine = tests == c
            top = np.argsort(-influence[j], kind="stable")[:TOP]
            found.append(
                {
                    "set": key,
                    "label": run_.label,
                    "image": j,
                    "class": result.class_names[c],
                    "value": float(value[:, j].mean()),
                    "value_std": deviation(value[:, j]),
                    "on_own_class": mean(influence[j, mine]),
                    "on_others": mean(influence[j, ~mine]),
                    "top_of_own_class": float((tests[top] == c).mean()),
                    "most_helped": int(top[0]),
                    "most_hurt": int(np.argmin(influence[j])),
                }
            )
    return found


def headline(result: InfluenceResult) -> str:
    """Whether it is the class that is taught."""
    own = [100 * result.found.sets[run.key].same_class[RAW] for run in result.runs]
    return (
        f"Of the test images helped most, **{span(own, '%')}** are of the image's own class; chance "
        f"{100 / len(result.class_names):.0f} %."
    )


def sentence(result: InfluenceResult) -> str:
    """Is it the class that is taught, do initialisations agree, do the estimates."""
    parts, chance = [], 100 / len(result.class_names)
    for run_ in result.runs:
        facts = result.found.sets[run_.key]
        words = f"of {run_.label} **{100 * facts.same_class[RAW]:.0f} %**"
        if (rank := facts.agreement[RAW]) is not None:
            words += f" (rank correlation of two initialisations {rank:.2f}"
            beyond = facts.agreement[CENTRED]
            words += f", beyond class mates {beyond:.2f})" if beyond is not None else ")"
        parts.append(words)
    text = (
        f"Of the {TOP} test images that a distilled image helps most, this share is of its own class: "
        f"{'; '.join(parts)}; chance is about {chance:.0f} %."
    )
    known = [f.estimates for f in result.found.sets.values() if f.estimates]
    if known:
        ranges = []
        for name, label in NAMES.items():
            values = [e.named(name).spearman for e in known]
            low, high = min(values), max(values)
            span = f"{low:.2f}" if len(values) == 1 else f"{low:.2f} to {high:.2f}"
            ranges.append(f"{label} {span}")
        text += f" Rank correlation of cheap estimates with the exact values: {'; '.join(ranges)}."
    return text


def pictures(result: InfluenceResult, arrays: Arrays) -> list[Pictures]:
    """Of each set the images that are worth most and least."""
    found = []
    for run_ in result.runs:
        key = run_.key
        value, own = arrays[f"value.{key}"].mean(0), arrays[f"labels.{key}"]
        order = np.argsort(-value, kind="stable")
        few = min(len(order) // 2, 5)
        rows = np.concatenate([order[:few], order[len(order) - few :]])
        lines = [f"{result.class_names[own[j]][:6]} {value[j]:+.4f}" for j in rows]
        title = f"{run_.label}: the images worth most, then those worth least"
        found.append(Pictures(title, arrays[f"pixels.{key}"][rows], lines, folded=True))
    return found
