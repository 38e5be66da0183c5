"""What is shown of a finished `privacy`: figures, table, sentence, pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.contract import Arrays, Drawn, Pictures
from analysis.results import known
from analysis.shared import colours, drawing
from analysis.shared.texts import span
from analysis.suite.privacy.result import Giving, PrivacyResult
from analysis.suite.privacy.spec import ALL, SAME, TITLES

if TYPE_CHECKING:
    pass


def rows_of(result: PrivacyResult) -> list[tuple[str, str, Giving, colours.Style]]:
    """(key, label, facts, look) of each run, then of the two yardsticks."""
    looks = colours.styles([r.method for r in result.runs])
    found = [
        (r.key, r.label, result.found.sets[r.key], look) for r, look in zip(result.runs, looks)
    ]
    real = ((SAME, "circle-open"), (ALL, "diamond"))
    return found + [
        (k, TITLES[k], result.found.sets[k], colours.Style(colours.REAL, "dot", s)) for k, s in real
    ]


def figures(result: PrivacyResult, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """How near the sets are to training images, and what networks give away."""
    return [_distances(result, arrays), _membership(result)]


def _distances(result: PrivacyResult, arrays: Arrays) -> Drawn:
    figure = drawing.new_figure(
        "distance to the nearest training image (pixels 0..1)", "share of images", per_cent=True
    )
    series = [
        (label, np.sort(arrays[f"distance.{key}"]), look)
        for key, label, _, look in rows_of(result)
        if key not in TITLES
    ]
    series.append(("Held-out real images", arrays["held_out"], colours.Style(colours.REAL, "dot")))
    for label, values, look in series:
        figure.add_scatter(
            x=np.concatenate([[values[0]], values]),
            y=np.linspace(0, 1, len(values) + 1),
            name=label,
            mode="lines",
            line={"color": look.colour, "dash": look.dash, "shape": "hv", "width": 2},
            hovertemplate=f"{label}<br>%{{y:.0%}} nearer than %{{x:.3g}}<extra></extra>",
        )
    words = "; ".join(f"{label} median {np.median(values):.3g}" for label, values, _ in series)
    caption = (
        f"Share of images nearer to a training image than a distance. Euclidean, all pixels of an image on "
        f"the scale 0 black to 1 white. {words}. Left of the dotted line: nearer to the "
        "training data than real images that were not in it."
    )
    return Drawn("How near to training images", figure, caption)


def _membership(result: PrivacyResult) -> Drawn:
    figure = drawing.new_figure("AUC of the membership test", "", legend=False, height=330)
    for _, label, facts, look in reversed(rows_of(result)):
        m = facts.membership
        figure.add_scatter(
            x=[m.mean],
            y=[label],
            error_x={
                "array": [m.high - m.mean],
                "arrayminus": [m.mean - m.low],
                "thickness": 1.5,
            },
            mode="markers",
            marker={"color": look.colour, "symbol": look.symbol, "size": 12},
            hovertemplate=f"{label}: %{{x:.3f}}<extra></extra>",
        )
    figure.add_vline(x=0.5, line_dash="dot", line_color=colours.REAL)
    words = "; ".join(
        f"{label} {f.membership.mean:.3f} ({f.membership.low:.3f} to {f.membership.high:.3f})"
        for _, label, f, _ in rows_of(result)
    )
    n = len(result.found.sets[ALL].membership.auc)
    of = f"Mean of {n} networks" if n > 1 else "One network"
    over = "one of the networks and the images" if n > 1 else "the images"
    caption = (
        f"{of}; bars: 95 % of bootstrap samples, which draw {over} anew. 0.5 is guessing. {words}."
    )
    return Drawn("Can training images be told from others by a network's loss?", figure, caption)


def table(result: PrivacyResult, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per set and network."""
    found = []
    for key, label, facts, _ in rows_of(result):
        near = {
            name: "" if (own := getattr(facts, name)) is None else own
            for name in ("median_distance", "nearer_than_held_out", "copies", "largest_psnr")
        }
        for i, value in enumerate(facts.membership.auc):
            found.append({"set": key, "label": label, "number": i, "auc": value, **near})
    return found


def headline(result: PrivacyResult) -> str:
    """Copies, and what networks give away."""
    runs = [result.found.sets[run.key] for run in result.runs]
    count = sum(facts.copies or 0 for facts in runs)
    copies = f"Copies of training images: **{count}**" if count else "No image is a copy"
    auc = span([facts.membership.mean for facts in runs], digits=2)
    return (
        f"{copies}; networks tell training images from others with AUC **{auc}** (all data "
        f"{result.found.sets[ALL].membership.mean:.2f})."
    )


def sentence(result: PrivacyResult) -> str:
    """Copies, closeness, and what the networks give away."""
    runs = [(label, f) for key, label, f, _ in rows_of(result) if key not in TITLES]
    copies = [f"{f.copies} of {label}" for label, f in runs if f.copies]
    close = "; ".join(
        f"{label} **{100 * known(f.nearer_than_held_out):.0f} %**" for label, f in runs
    )
    given = "; ".join(f"{label} **{f.membership.mean:.2f}**" for label, f in runs)
    real = result.found.sets
    first = (
        f"Copies of training images: **{', '.join(copies)}**." if copies else "No image is a copy."
    )
    return (
        f"{first} Nearer to a training image than the median held-out real image: {close}. Networks "
        f"trained on the sets tell training images from others with AUC {given}; on as many real images "
        f"{real[SAME].membership.mean:.2f}, on all of them {real[ALL].membership.mean:.2f}."
    )


def pictures(result: PrivacyResult, arrays: Arrays) -> list[Pictures]:
    """Of each set the images nearest to a training image, each beside it."""
    found = []
    for run in result.runs:
        if f"nearest.{run.key}" not in arrays:
            continue
        mine = arrays[f"pixels.{run.key}"]
        real = arrays[f"nearest.{run.key}"].astype(np.float32) / 255
        pairs = np.stack([mine, real], 1).reshape(-1, *mine.shape[1:])
        apart = arrays[f"closest.{run.key}"]
        lines = [text for d in apart for text in (f"at {d:.2f}", "training")]
        title = f"{run.label}: the images nearest to a training image, each beside it"
        found.append(Pictures(title, pairs, lines))
    return found
