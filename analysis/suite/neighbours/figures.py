"""What is shown of a finished `neighbours`: figures, table, sentence, pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.contract import Arrays, Drawn, Pictures
from analysis.shared import colours, drawing
from analysis.shared.texts import span
from analysis.suite.neighbours.result import NeighboursResult
from analysis.suite.neighbours.spec import BESIDE, DOTS, FEATURES, HELD_OUT, PIXELS, SPACES

if TYPE_CHECKING:
    pass


def rows_of(result: NeighboursResult) -> list[tuple[str, str, colours.Style]]:
    """(key, label, look) of each run, then of the held-out real images."""
    looks = colours.styles([r.method for r in result.runs])
    found = [(r.key, r.label, look) for r, look in zip(result.runs, looks)]
    return [*found, (HELD_OUT, "Held-out real images", colours.Style(colours.REAL))]


def figures(result: NeighboursResult, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """How far the nearest training image is, and whether it is of the same class."""
    return [_distances(result, arrays), _classes(result)]


def _distances(result: NeighboursResult, arrays: Arrays) -> Drawn:
    """A box with its images for each set, in both spaces; features of the first network."""
    about = result.found
    rows = rows_of(result)
    figure = drawing.new_figure(height=110 + 60 * len(rows), legend=False)
    figure.set_subplots(1, 2, subplot_titles=list(SPACES.values()), shared_yaxes=True)
    figure.update_layout(margin_t=40)
    for column, space in enumerate(SPACES, 1):
        for key, label, look in rows:
            values = arrays[f"{space}.relative.{key}"][0]
            figure.add_box(
                x=values,
                y=[label] * len(values),
                orientation="h",
                name=label,
                boxpoints="all" if len(values) <= DOTS else "outliers",
                jitter=0.6,
                pointpos=0,
                line={"color": look.colour, "width": 1.5},
                fillcolor=drawing.faded(look.colour, 0.15),
                marker={
                    "color": drawing.faded(look.colour, 0.55),
                    "symbol": look.symbol,
                    "size": 4,
                },
                hovertemplate=f"{label}: %{{x:.2f}}<extra></extra>",
                row=1,
                col=column,
            )
        line = {"color": colours.REAL, "dash": "dot", "width": 1}
        figure.add_vline(1, line=line, row=1, col=column)
    figure.update_xaxes(title="distance (held-out median = 1)", rangemode="tozero")
    figure.update_yaxes(autorange="reversed", type="category")
    words = "; ".join(
        f"{label} {_middle(result, key, PIXELS):.2f} and {_middle(result, key, FEATURES):.2f}"
        for key, label, _ in rows
    )
    caption = (
        f"1 (dotted) is the median of {about.held_out_images} held-out real images; features are those "
        f"of the first of {len(about.test)} networks {about.network}. Medians in pixels and, mean "
        f"of all networks, in features: {words}."
    )
    return Drawn("How near to the training images", figure, caption)


def _middle(result: NeighboursResult, key: str, space: str) -> float:
    """Median distance, mean of the networks."""
    return float(np.mean(result.found.sets[key][space].median))


def _own(result: NeighboursResult, key: str, space: str) -> float:
    """Per cent whose nearest training image is of their class, mean of the networks."""
    return 100 * float(np.mean(result.found.sets[key][space].own_class))


def _classes(result: NeighboursResult) -> Drawn:
    """One dot for pixels and one per network for features, side by side for each set."""
    figure = drawing.new_figure("", "nearest is of their class", per_cent=True, scattermode="group")
    lowest = 1.0
    for key, label, look in rows_of(result):
        for space, words in SPACES.items():
            values = result.found.sets[key][space].own_class
            lowest = min(lowest, *values)
            figure.add_scatter(
                x=[words] * len(values),
                y=values,
                name=label,
                mode="markers",
                offsetgroup=key,
                legendgroup=key,
                showlegend=space == PIXELS,
                marker={"color": look.colour, "symbol": look.symbol, "size": 10, "opacity": 0.8},
                hovertemplate=f"{label}, {words.lower()}: %{{y:.1%}}<extra></extra>",
            )
    figure.update_yaxes(range=[max(0.0, min(0.9, lowest - 0.05)), 1.01])
    figure.update_xaxes(type="category")
    words = "; ".join(
        f"{label} {_own(result, key, PIXELS):.0f} and {_own(result, key, FEATURES):.0f} %"
        for key, label, _ in rows_of(result)
    )
    caption = (
        "Share of images whose nearest training image is of their own class; in features a dot for each of "
        f"{len(result.found.test)} networks. In pixels and, mean of all networks, in features: {words}."
    )
    return Drawn("Is the nearest of the same class?", figure, caption)


def table(result: NeighboursResult, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per image and space (features: of the first network), with its nearest training image."""
    names = result.class_names
    return [
        {
            "set": key,
            "label": label,
            "image": i,
            "class": names[int(own)],
            "space": space,
            "nearest": int(arrays[f"{space}.rows.{key}"][i, 0]),
            "its class": names[int(arrays[f"{space}.classes.{key}"][i, 0])],
            "distance": float(arrays[f"{space}.distances.{key}"][i, 0]),
            "relative": float(arrays[f"{space}.relative.{key}"][0, i]),
        }
        for key, label, _ in rows_of(result)
        for i, own in enumerate(arrays[f"labels.{key}"])
        for space in SPACES
    ]


def headline(result: NeighboursResult) -> str:
    """How far the nearest training image is."""
    pixels, features = (
        span([_middle(result, run.key, space) for run in result.runs], digits=1) for space in SPACES
    )
    return (
        f"The nearest training image is **{pixels}** times as far as from held-out images (in features "
        f"{features})."
    )


def sentence(result: NeighboursResult) -> str:
    """How far the nearest training image is, and whether it is of the same class."""

    def words(key: str, label: str) -> str:
        near = [f"**{_middle(result, key, space):.2f}**" for space in SPACES]
        own = [f"{_own(result, key, space):.0f}" for space in SPACES]
        return f"{label} {near[0]} and {near[1]} ({own[0]} and {own[1]} %)"

    *sets, (held, real, _) = rows_of(result)
    own = [f"{_own(result, held, space):.0f}" for space in SPACES]
    return (
        "Distance to the nearest training image in pixels and in features, in units of that of "
        f"{real.lower()}, and how often it is of the same class: "
        f"{'; '.join(words(key, label) for key, label, _ in sets)}; {real.lower()} 1 "
        f"({own[0]} and {own[1]} %)."
    )


def pictures(result: NeighboursResult, arrays: Arrays) -> list[Pictures]:
    """Of each set the nearest and the farthest image, before their nearest in pixels and in features."""
    names, found = result.class_names, []
    for key, label, _ in rows_of(result)[:-1]:
        if any(f"{space}.real.{key}" not in arrays for space in SPACES):
            continue
        made, shown = arrays[f"made.{key}"], arrays[f"shown.{key}"]
        for at, which in enumerate(("nearest to", "farthest from")):
            images, lines = [], []
            for space in SPACES:
                real = arrays[f"{space}.real.{key}"].reshape(len(shown), -1, *made.shape[1:])
                classes = arrays[f"{space}.classes.{key}"][shown[at], :BESIDE]
                images += [made[at][None], real[at].astype(np.float32) / 255]
                lines += [f"by {space}", *(names[int(c)][:14] for c in classes)]
            own = names[int(arrays[f"labels.{key}"][shown[at]])]
            title = (
                f"{label}, the image {which} the training images (class {own}): its nearest in pixels, then "
                "in features"
            )
            found.append(Pictures(title, np.concatenate(images), lines))
    return found
