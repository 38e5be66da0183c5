"""What is shown of a finished `curvature`: figures, table, sentence, pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.contract import Arrays, Drawn, Option
from analysis.shared import colours, drawing, significance
from analysis.shared.texts import span
from analysis.suite.curvature.maths import density, mean_and_error, moment_of, quadratic, smooth
from analysis.suite.curvature.result import Course, CurvatureResult
from analysis.suite.curvature.spec import GRID, HESSIAN, LOWEST_DENSITY, REAL, TRACES, VIEWS, WIDTH

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def options(result: CurvatureResult, picked: dict[str, str]) -> Iterator[Option]:
    """Which curves, and when the spectrum is looked at."""
    yield Option("trace", "Trace", TRACES)
    yield Option("view", "Curves", VIEWS)
    moments = [(str(i), str(t)) for i, t in enumerate(result.found.spectra)]
    yield Option("at", "Spectrum at iteration", dict(reversed(moments)))


def series(result: CurvatureResult) -> list[tuple[str, str, colours.Style]]:
    """(key, label, look) of each run, then of the real images."""
    runs, real = result.runs, result.found.sets[REAL].images
    looks = colours.styles([r.method for r in runs])
    found = [(r.key, r.label, look) for r, look in zip(runs, looks)]
    label = f"All {real:,} real images" if result.found.all_real else f"{real:,} real images"
    return [*found, (REAL, label, colours.Style(colours.REAL))]


def curve(result: CurvatureResult, arrays: Arrays, key: str, view: str) -> tuple[np.ndarray, ...]:
    """Trace (T,) of a set, and the lower and upper edge of its band: a standard error of the probes, or, of
    several networks, the lowest and highest of them."""
    mean, error = mean_and_error(quadratic(arrays, key, view, result.found.every))
    if result.found.nets == 1:
        return mean, mean - error, mean + error
    each = arrays[f"samples.{key}"].mean(-1).T
    each = smooth(each, result.found.every) if view == "smooth" else each
    return mean, each.min(1), each.max(1)


def fisher_curve(result: CurvatureResult, arrays: Arrays, key: str, view: str) -> np.ndarray:
    """Fisher trace (T,) of a set, mean of the networks."""
    mean = arrays[f"fisher.{key}"].mean(0)
    return smooth(mean, result.found.every) if view == "smooth" else mean


def number(value: float) -> str:
    """For reading: 4,812, 73.5, -0.52."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def figures(result: CurvatureResult, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """The picked trace with the moment of the density and of the eigenvalues; the other trace."""
    view, place = picked["view"], int(picked["at"])
    traces = [_trace(result, arrays, view), _fisher(result, arrays, view)]
    shown, other = traces if picked["trace"] == HESSIAN else reversed(traces)
    _cursor(shown.figure, int(arrays["spectra"][place]))
    spectrum = [_density(result, arrays, place), _eigenvalues(result, arrays, place)]
    return [shown, *spectrum, dataclasses.replace(other, folded=True)]


def _cursor(figure: Figure, moment: int) -> None:
    """The iteration whose spectrum is shown."""
    look = {"color": colours.REAL, "dash": "dot", "width": 1.5}
    figure.add_vline(moment, line=look, annotation_text="spectrum", annotation_position="top left")


def _networks(result: CurvatureResult) -> str:
    return (
        f"{result.found.nets} network{'s' if result.found.nets > 1 else ''} {result.found.network}"
    )


def _trace(result: CurvatureResult, arrays: Arrays, view: str) -> Drawn:
    steps, title = arrays["steps"], "trace of the Hessian"
    figure = drawing.new_figure("iteration of training on real data", title)
    for key, label, look in series(result):
        mean, low, high = curve(result, arrays, key, view)
        figure.add_scatter(
            x=np.concatenate([steps, steps[::-1]]),
            y=np.concatenate([high, low[::-1]]),
            mode="lines",
            fill="toself",
            fillcolor=drawing.faded(look.colour, 0.18),
            line={"width": 0},
            hoverinfo="skip",
            legendgroup=key,
            showlegend=False,
        )
        figure.add_scatter(
            x=steps,
            y=mean,
            name=label,
            legendgroup=key,
            mode="lines",
            line={"color": look.colour, "dash": look.dash, "width": 3 if key == REAL else 2},
            hovertemplate=f"{label}<br>iteration %{{x}}: %{{y:.4g}}<extra></extra>",
        )
        known = result.found.sets[key].course(view)
        marks = [("peak", known.peak_at, look.symbol), ("below real", known.below, "x-thin")]
        for words, t, symbol in marks:
            if t is None:
                continue
            figure.add_scatter(
                x=[t],
                y=[mean[np.searchsorted(steps, t)]],
                mode="markers",
                marker={
                    "color": look.colour,
                    "symbol": symbol,
                    "size": 11,
                    "line": {"width": 3 if symbol == "x-thin" else 0, "color": look.colour},
                },
                legendgroup=key,
                showlegend=False,
                hovertemplate=f"{label}<br>{words}, iteration %{{x}}: %{{y:.4g}}<extra></extra>",
            )
    words = "; ".join(_words(result, key, label, view) for key, label, _ in series(result))
    band = (
        "from the lowest to the highest"
        if result.found.nets > 1
        else "one standard error of the probes"
    )
    caption = (
        f"{_networks(result)}, {result.found.probes} probes; bands: {band}. Marker: peak; cross: below the "
        f"real curve from there to the end ({_tested(result)}). {words}."
    )
    return Drawn(f"Trace of the Hessian, {VIEWS[view]}", figure, caption)


def _tested(result: CurvatureResult) -> str:
    """What was tested, and over what it varies."""
    nets = result.found.nets
    over = f"{nets} networks" if nets > 1 else "the probes of this one network alone"
    return f"{significance.RULE} at every moment, over {over}"


def _words(result: CurvatureResult, key: str, label: str, view: str) -> str:
    known = result.found.sets[key].course(view)
    text = f"{label}: peak {number(known.peak)} at {known.peak_at}, end {number(known.last)}"
    return text + ("" if known.below is None else f", below real {_from(known, result)}")


def _from(known: Course, result: CurvatureResult) -> str:
    """Moments are `every` iterations apart, so the last of them may be the only one."""
    start = known.below
    return f"at {start}, the end" if start == ends(result) else f"from {start} to the end"


def ends(result: CurvatureResult) -> int:
    """The last iteration at which traces are measured."""
    return result.found.last - result.found.last % result.found.every


def _fisher(result: CurvatureResult, arrays: Arrays, view: str) -> Drawn:
    figure = drawing.new_figure("iteration of training on real data", "trace of the Fisher matrix")
    parts = []
    for key, label, look in series(result):
        mean = fisher_curve(result, arrays, key, view)
        figure.add_scatter(
            x=arrays["steps"],
            y=mean,
            name=label,
            mode="lines",
            line={"color": look.colour, "dash": look.dash, "width": 3 if key == REAL else 2},
            hovertemplate=f"{label}<br>iteration %{{x}}: %{{y:.4g}}<extra></extra>",
        )
        parts.append(f"{label} {number(mean.max())}, then {number(mean[-1])}")
    caption = (
        "Mean squared norm of the gradient of single images, which cannot be negative and needs no "
        f"probes. Highest value and end: {'; '.join(parts)}."
    )
    return Drawn(f"Trace of the empirical Fisher matrix, {VIEWS[view]}", figure, caption)


def densities(
    result: CurvatureResult, arrays: Arrays, place: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Grid of eigenvalues (G,) that holds all sets' spectra, and the density of each set on it."""
    nodes = {key: arrays[f"nodes.{key}"][:, place] for key in result.found.sets}
    low, high = min(n.min() for n in nodes.values()), max(n.max() for n in nodes.values())
    spread = max(high - low, 1e-9)
    width = WIDTH * spread
    grid = np.linspace(low - 4 * width, high + 4 * width, GRID)
    return grid, {
        key: density(n, arrays[f"weights.{key}"][:, place], grid, width) for key, n in nodes.items()
    }


def _density(result: CurvatureResult, arrays: Arrays, place: int) -> Drawn:
    about = result.found
    figure = drawing.new_figure("eigenvalue of the Hessian", "density")
    grid, curves = densities(result, arrays, place)
    floor = LOWEST_DENSITY * max(c.max() for c in curves.values())
    parts = []
    for key, label, look in series(result):
        figure.add_scatter(
            x=grid,
            y=np.where(curves[key] > floor, curves[key], np.nan),
            name=label,
            mode="lines",
            line={"color": look.colour, "dash": look.dash, "width": 3 if key == REAL else 2},
            hovertemplate=f"{label}<br>%{{x:.4g}}: density %{{y:.3g}}<extra></extra>",
        )
        mean, square = (moment_of(arrays, key, place, power) for power in (1, 2))
        parts.append(f"{label} {mean:.3g} and {np.sqrt(square):.3g}")
    figure.update_yaxes(type="log", tickformat="~g", dtick=1)
    t = int(arrays["spectra"][place])
    mass = [moment_of(arrays, key, place, 0) for key in curves]
    caption = (
        f"How the {about.parameters:,} eigenvalues are distributed after {t} iterations, each smoothed "
        f"by {100 * WIDTH:g} % of the range (mass {min(mass):.3f} to {max(mass):.3f}). Mean and root mean "
        f"square: {'; '.join(parts)}."
    )
    return Drawn(f"Density of the eigenvalues at iteration {t}", figure, caption)


def _eigenvalues(result: CurvatureResult, arrays: Arrays, place: int) -> Drawn:
    about = result.found
    figure = drawing.new_figure("rank", "eigenvalue")
    parts = []
    for key, label, look in series(result):
        # Mean of the networks; a rank that has not converged in one of them is NaN, and not drawn.
        top, bounds = (arrays[f"{name}.{key}"][:, place].mean(0) for name in ("top", "bounds"))
        figure.add_scatter(
            x=np.arange(1, len(top) + 1),
            y=top,
            error_y={"array": bounds, "thickness": 1},
            name=label,
            mode="lines+markers",
            line={"color": look.colour, "dash": look.dash, "width": 1},
            marker={"color": look.colour, "symbol": look.symbol, "size": 9},
            hovertemplate=f"{label}<br>number %{{x}}: %{{y:.5g}}<extra></extra>",
        )
        low = arrays[f"lowest.{key}"][:, place].mean()
        ends_ = f"{_known(top[0])} to {_known(low)}"
        parts.append(f"{label} {ends_}, {int(np.isfinite(top).sum())} of {len(top)} ranks shown")
    figure.update_xaxes(dtick=1, range=[0.5, arrays[f"top.{REAL}"].shape[-1] + 0.5])
    t = int(arrays["spectra"][place])
    caption = (
        "Lanczos from several random starts. A rank is shown where estimates from each start, from fewer "
        f"steps and from all starts together differ by at most {100 * about.agreed:g} % of the largest "
        "eigenvalue, and so do all ranks before it; the others have not converged. Bars: by how much these "
        f"estimates differ, but for rounding (about {about.asymmetry:.0e} of the largest). Largest to "
        f"smallest: {'; '.join(parts)}."
    )
    return Drawn(f"Largest eigenvalues at iteration {t}", figure, caption)


def _known(value: float) -> str:
    return number(value) if np.isfinite(value) else "(not converged)"


def table(result: CurvatureResult, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per set, network and moment; eigenvalues where there is a spectrum."""
    rows, spectra = [], arrays["spectra"].tolist()
    for key, label, _ in series(result):
        samples = arrays[f"samples.{key}"]
        value, error = mean_and_error(samples)
        smoothed = smooth(value.T, result.found.every).T
        top, bounds = arrays[f"top.{key}"], arrays[f"bounds.{key}"]
        for net in range(result.found.nets):
            for i, t in enumerate(arrays["steps"].tolist()):
                row = {"set": key, "label": label, "net": net, "iteration": t}
                row |= {"trace": float(value[net, i]), "standard_error": float(error[net, i])}
                row["trace_smoothed"] = float(smoothed[net, i])
                row["fisher_trace"] = float(arrays[f"fisher.{key}"][net, i])
                row["asymmetry"] = float(arrays[f"asymmetry.{key}"][net, i])
                if t in spectra:
                    place = spectra.index(t)
                    for k in range(top.shape[-1]):
                        row[f"eigenvalue_{k + 1}"] = _cell(top[net, place, k])
                        row[f"bound_{k + 1}"] = _cell(bounds[net, place, k])
                    row["lowest"] = _cell(arrays[f"lowest.{key}"][net, place])
                rows.append(row)
    return rows


def _cell(value: float) -> float | str:
    """Empty where it has not converged."""
    return float(value) if np.isfinite(value) else ""


def headline(result: CurvatureResult) -> str:
    """How bent the loss on the sets is in the end, beside that on real images."""
    shares = [result.found.sets[run.key].smooth.last_to_real for run in result.runs]
    known = [100 * share for share in shares if share is not None]
    if not known:
        return (
            "The trace on real images is not positive in the end: there is nothing to compare with."
        )
    return f"In the end the Hessian's trace on the sets is **{span(known, '%')}** of that on real images."


def sentence(result: CurvatureResult) -> str:
    """Where each set's smoothed trace peaks, how it ends, and since when it is below the real one."""
    real = result.found.sets[REAL].smooth
    parts = [
        f"{run.label} **{number(known.peak)}** at {known.peak_at}, {ending(known, result)}"
        for run in result.runs
        for known in [result.found.sets[run.key].smooth]
    ]
    return (
        "Along training on real data the smoothed trace of the Hessian on real images peaks at "
        f"{number(real.peak)} (iteration {real.peak_at}) and ends at {number(real.last)}. On the "
        f"sets: {'; '.join(parts)}. Tested: {_tested(result)}."
    )


def ending(known: Course, result: CurvatureResult) -> str:
    """How a trace ends: below the real one, where that was shown, or what was measured and not shown."""
    share = known.last_to_real
    if share is None or known.last < 0:  # as a share it would say nothing
        measured = f"ends at {number(known.last)}"
    elif share < 1:
        measured = f"ends at {per_cent(share)} of the real one"
    else:
        measured = f"ends at {per_cent(share)} of the real one, not below it"
    if known.below is not None:
        return f"below the real one {_from(known, result)} ({measured})"
    if share is None or share < 1:
        return f"{measured}, not shown to be below it"
    return measured


def per_cent(share: float) -> str:
    """Without decimals, unless rounding would make the part the whole."""
    digits = next(d for d in (0, 1, 2, 6) if share == 1 or d == 6 or round(100 * share, d) != 100)
    return f"{100 * share:.{digits}f} %"
