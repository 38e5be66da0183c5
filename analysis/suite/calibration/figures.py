"""What is shown of a finished `calibration`: figures, table, sentence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from analysis.contract import Arrays, Drawn, Option
from analysis.shared import colours, drawing, equal_figures
from analysis.shared.sources import RANDOM, SET
from analysis.shared.texts import span
from analysis.suite.calibration.maths import METRICS, SCORES, gaps, known_gaps
from analysis.suite.calibration.result import CalibrationResult
from analysis.suite.calibration.spec import UNKNOWN

TEMPERATURES = {"plain": "none", "scaled": "fitted on validation images"}


def options(result: CalibrationResult, picked: dict[str, str]) -> Iterator[Option]:
    """With or without a temperature, which figure, which unknown images and which score."""
    yield Option("temperature", "Temperature", TEMPERATURES)
    yield Option("metric", "Figure", METRICS)
    yield Option("kind", "Unknown", UNKNOWN)
    yield Option("score", "Score", SCORES)


def figures(result: CalibrationResult, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """Reliability, the figure along training and at equal accuracy, and unknown images."""
    scaled, metric = picked["temperature"] == "scaled", picked["metric"]
    return [
        _reliability(result, scaled),
        _gaps(result, metric, scaled),
        _along(result, metric, scaled),
        _unknown(result, picked["kind"], picked["score"]),
    ]


def _reliability(result: CalibrationResult, scaled: bool) -> Drawn:
    found, looks = result.found, colours.looks(result.found.sources)
    figure = drawing.new_figure("confidence", "accuracy", per_cent=True)
    words = []
    for i, source in enumerate(found.sources):
        look = looks[source.key]
        figure.add_scatter(
            x=found.confidence[i][int(scaled)],
            y=found.right[i][int(scaled)],
            name=source.label,
            mode="lines+markers",
            line={"color": look.colour, "dash": look.dash, "width": 2},
            marker={"color": look.colour, "symbol": look.symbol, "size": 7},
            hovertemplate=f"{source.label}: confidence %{{x:.1%}}, accuracy %{{y:.1%}}<extra></extra>",
        )
        error = found.along("ece", scaled)[source.key][-1].mean()
        words.append(f"{source.label} {100 * error:.1f}")
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        name="Calibrated",
        mode="lines",
        hoverinfo="skip",
        line={"color": colours.REAL, "width": 1},
    )
    figure.update_xaxes(tickformat=".0%")
    caption = (
        f"Below the diagonal networks are surer than they are right. A marker is a fifteenth of the "
        f"{found.images} test images by confidence, mean of {found.nets} networks in the end of training, "
        f"temperature {TEMPERATURES['scaled' if scaled else 'plain']}. Expected calibration error in per "
        f"cent: {'; '.join(words)}."
    )
    return Drawn("Accuracy by confidence", figure, caption)


def _gaps(result: CalibrationResult, metric: str, scaled: bool) -> Drawn:
    pairs = gaps(result, metric, scaled)
    figure = equal_figures.gaps(pairs, result.found.sources, METRICS[metric].lower())
    words = "; ".join(
        f"{p.source.label} against {equal_figures.other(p)} {p.difference.mean():+.3f} at "
        f"{100 * p.accuracy.mean():.0f} % ({equal_figures.told(p, 'more', 'less')})"
        for p in pairs
    )
    caption = f"What a set has more than others at equal accuracy. {words}."
    return Drawn(f"{METRICS[metric]} at equal accuracy", figure, caption)


def _along(result: CalibrationResult, metric: str, scaled: bool) -> Drawn:
    found = result.found
    values = found.along(metric, scaled)
    figure = equal_figures.along(
        found.sources,
        found.accuracies,
        values,
        found.looks,
        METRICS[metric].lower(),
        per_cent=False,
    )
    words = "; ".join(f"{s.label} {values[s.key][-1].mean():.3f}" for s in found.sources)
    caption = f"A line is one training, from left to right. In the end: {words}."
    return Drawn(f"{METRICS[metric]} along training", figure, caption, folded=True)


def _unknown(result: CalibrationResult, kind: str, score: str) -> Drawn:
    found = result.found
    values = found.areas(kind, score)
    figure = equal_figures.along(
        found.sources, found.accuracies, values, found.looks, "area under the curve", per_cent=False
    )
    figure.add_hline(y=0.5, line_dash="dot", line_color=colours.REAL)
    words = "; ".join(f"{s.label} {values[s.key][-1].mean():.3f}" for s in found.sources)
    caption = (
        f"Chance that a test image seems better known than one of {UNKNOWN[kind].lower()}; 0.5 is guessing. "
        f"Score: {SCORES[score].lower()}. In the end: {words}."
    )
    return Drawn("Do they know what they do not know?", figure, caption)


def table(result: CalibrationResult, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per source, look and network."""
    found = result.found
    columns = {
        f"{metric}{'_scaled' if scaled else ''}": found.along(metric, scaled)
        for metric in METRICS
        for scaled in (False, True)
    }
    columns |= {f"auroc_{k}_{s}": found.areas(k, s) for k in UNKNOWN for s in SCORES}
    return [
        {
            "set": source.key,
            "label": source.label,
            "iteration": iteration,
            "number": n,
            "accuracy": float(found.accuracies[source.key][i, n]),
        }
        | {name: float(values[source.key][i, n]) for name, values in columns.items()}
        for source in found.sources
        for i, iteration in enumerate(found.looks)
        for n in range(found.nets)
    ]


def headline(result: CalibrationResult) -> str:
    """Calibration error against as many random images at equal accuracy, before and after a temperature."""
    words = []
    for scaled in (False, True):
        pairs = [p for p in gaps(result, "ece", scaled) if p.other.kind == RANDOM]
        points = [100 * p.difference.mean() for p in pairs]
        words.append(f"**{span(points, signed=True, digits=1)}**")
    return (
        f"At equal accuracy, calibration error against random images: {words[0]} points; "
        f"after a temperature {words[1]}."
    )


def sentence(result: CalibrationResult) -> str:
    """Every set: its error in the end, gaps at equal accuracy, and unknown images."""
    found, parts = result.found, []
    plain, scaled = (gaps(result, "ece", which) for which in (False, True))
    for i, source in enumerate(found.sources):
        if source.kind != SET:
            continue
        error, over = (100 * found.along(m, False)[source.key][-1].mean() for m in ("ece", "over"))
        after = 100 * found.along("ece", True)[source.key][-1].mean()
        warm = float(np.mean(found.temperature[i]))
        own = [
            (p, q) for p, q in zip(plain, scaled) if p.source == source and p.other.kind == RANDOM
        ]
        words = ", ".join(
            f"{100 * p.difference.mean():+.1f} points ({equal_figures.told(p, 'more', 'less')}), after it "
            f"{100 * q.difference.mean():+.1f} ({equal_figures.told(q, 'more', 'less')})"
            for p, q in own
        )
        parts.append(
            f"{source.label}: calibration error **{error:.1f} %** in the end (confidence minus accuracy "
            f"{over:+.1f} points), {after:.1f} % after a temperature of {warm:.2f}; against random real "
            f"images at equal accuracy {words}."
        )
    areas = [
        found.areas(kind, "max")[s.key][-1].mean()
        for kind in UNKNOWN
        for s in found.sources
        if s.kind == SET
    ]
    return (
        f"{' '.join(parts)} Unknown images are told from test images with an area under the curve of "
        f"{span(areas, digits=2)} by the largest probability{_told_unknown(result)}. "
        f"{equal_figures.how(found.nets)}"
    )


def _told_unknown(result: CalibrationResult) -> str:
    """How many comparisons with random images were shown, by kind."""
    if result.found.nets == 1:
        return ""
    counts = []
    for kind, name in UNKNOWN.items():
        pairs = [p for p in known_gaps(result, kind, "max") if p.other.kind == RANDOM]
        less = sum(p.verdict < 0 for p in pairs)
        counts.append(f"{name.lower()}: {less} of {len(pairs)}")
    return (
        f"; shown to be less than with random real images at equal accuracy ({', '.join(counts)})"
    )
