"""What is shown of a finished `pixels`: figures, table, sentence, pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.contract import Arrays, Drawn, Option
from analysis.shared import colours, drawing
from analysis.suite.pixels.maths import density, extremes
from analysis.suite.pixels.result import Extremes, PixelsResult
from analysis.suite.pixels.spec import REAL
from ddcore.base.texts import percent

if TYPE_CHECKING:
    pass


def options(result: PixelsResult, picked: dict[str, str]) -> Iterator[Option]:
    """Whole sets, or one image of a class; all channels together or one of them."""
    yield Option("of", "Pixels of", {"sets": "whole sets", "image": "one image each"})
    if picked["of"] == "image":
        yield Option("cls", "Class", {str(i): n for i, n in enumerate(result.class_names)})
        ipc = min(run.ipc for run in result.runs)
        yield Option("nth", "Image of the class", {str(i): str(i + 1) for i in range(min(ipc, 50))})
    if result.found.channels > 1:
        names = ("red", "green", "blue") if result.found.channels == 3 else ()
        each = {str(c + 1): n for c, n in enumerate(names)}
        yield Option("channel", "Channel", {"0": "all together", **each})


def curves(
    result: PixelsResult, arrays: Arrays, picked: dict[str, str]
) -> list[tuple[str, str, np.ndarray, Extremes]]:
    """(key, label, density (G,), exact facts) of the real images, then of each run."""
    channel, grid = int(picked.get("channel", 0)), arrays["grid"]
    labels = {REAL: "Real images", **{r.key: r.label for r in result.runs}}
    found = []
    for key, label in labels.items():
        if picked["of"] == "sets":
            found.append(
                (key, label, arrays[f"density.{key}"][channel], _facts(result, key, channel))
            )
            continue
        if key == REAL and "real_images" not in arrays:
            continue
        image = one_image(arrays, key, int(picked["cls"]), int(picked["nth"]))
        part = image if channel == 0 else image[channel - 1]
        found.append((key, label, density(part.ravel(), grid), extremes(part)))
    return found


def _facts(result: PixelsResult, key: str, channel: int = 0) -> Extremes:
    return result.found.sets[key][channel]


def one_image(arrays: Arrays, key: str, cls: int, nth: int) -> np.ndarray:
    """Pixels (C, H, W) of an image of a class; the last one where there are fewer."""
    pixels = arrays["real_images"] / 255 if key == REAL else arrays[f"pixels.{key}"]
    rows = np.flatnonzero(arrays["real_labels" if key == REAL else f"labels.{key}"] == cls)
    return pixels[rows[min(nth, len(rows) - 1)]].astype(np.float64)


def figures(result: PixelsResult, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """Overlaid densities, and where the exact extremes are."""
    found = curves(result, arrays, picked)
    looks = dict(zip([r.key for r in result.runs], _styles(result)))
    figure = drawing.new_figure("pixel value (0 black, 1 white)", "density")
    for key, label, y, _ in found:
        look = looks.get(key, colours.Style(colours.REAL))
        figure.add_scatter(
            x=arrays["grid"],
            y=y,
            name=label,
            mode="lines",
            line={"color": look.colour, "dash": look.dash, "width": 2.5},
            fill="tozeroy",
            fillcolor=drawing.faded(look.colour, 0.14),
        )
    for edge in (0, 1):
        figure.add_vline(edge, line={"color": colours.REAL, "dash": "dot", "width": 1})
    span = drawing.new_figure("pixel value", height=70 + 44 * len(found), legend=False)
    for key, label, _, facts in found:
        look = looks.get(key, colours.Style(colours.REAL))
        text = f"{label}: {facts.min:.3f} to {facts.max:.3f}, {share(facts)} outside 0..1"
        span.add_scatter(
            x=[facts.min, facts.max],
            y=[label, label],
            mode="lines+markers",
            line={"color": look.colour, "width": 4},
            marker={"color": look.colour, "symbol": "line-ns-open", "size": 16},
            hovertemplate=text + "<extra></extra>",
        )
    span.add_vrect(0, 1, fillcolor=drawing.faded(colours.REAL, 0.15), line_width=0)
    span.update_yaxes(autorange="reversed", type="category")
    words = "; ".join(
        f"{label} {facts.min:.2f} to {facts.max:.2f}, {share(facts)} outside 0..1"
        for _, label, _, facts in found
    )
    return [
        Drawn(
            "Density of pixel values",
            figure,
            "Kernel density estimate; dotted: black and white. A curve beyond them is partly smoothing: "
            "the figure below is exact.",
        ),
        Drawn("Smallest and largest value", span, f"Exact, not smoothed. {words}."),
    ]


def share(facts: Extremes) -> str:
    """Share outside 0..1 for reading."""
    return percent(facts.outside)


def _styles(result: PixelsResult) -> list[colours.Style]:
    return colours.styles([r.method for r in result.runs])


def table(result: PixelsResult, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per set and channel."""
    labels = {REAL: "Real images", **{r.key: r.label for r in result.runs}}
    channels = ["all"] + [
        str(c + 1) for c in range(result.found.channels) if result.found.channels > 1
    ]
    return [
        {"set": label, "key": key, "channel": channel, **asdict(result.found.sets[key][i])}
        for key, label in labels.items()
        for i, channel in enumerate(channels)
    ]


def headline(result: PixelsResult) -> str:
    """How much lies outside the range of real pixels."""
    shares = sorted({_facts(result, run.key).outside for run in result.runs})
    low, high = percent(shares[0]), percent(shares[-1])
    words = low if low == high else f"{low} to {high}"
    return f"**{words}** of the distilled pixel values lie outside the range of real ones."


def sentence(result: PixelsResult) -> str:
    """How much of each set lies outside the range of real pixels."""
    parts = [f"**{share(_facts(result, r.key))}** of {r.label}" for r in result.runs]
    real = _facts(result, REAL)
    rounded = [r.label for r in result.runs if r.key in result.found.eight_bit]
    limit = (
        f" {', '.join(rounded)}: from 8-bit pixels, which cannot show values outside 0..1, whatever the "
        "method had made."
        if rounded
        else ""
    )
    return (
        f"Outside the range of real pixels lie {', '.join(parts)}; of real images {share(real)}. The "
        f"distilled values reach from {min(_facts(result, r.key).min for r in result.runs):.2f} "
        f"to {max(_facts(result, r.key).max for r in result.runs):.2f}.{limit}"
    )
