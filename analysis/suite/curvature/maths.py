"""What both the computing and the figures of `curvature` need."""

from __future__ import annotations

import numpy as np

from analysis.contract import Arrays
from analysis.shared import significance
from analysis.suite.curvature.result import Course
from analysis.suite.curvature.spec import KEEP, REAL, VIEWS


def smooth(values: np.ndarray, every: int) -> np.ndarray:
    """s_t = k s_(t-1) + (1 - k) x_t along the first axis, started at the first value.

    k is .9 for each iteration, as published, so .9^every for moments that far apart.
    """
    keep = KEEP**every
    found = [values[0]]
    for value in values[1:]:
        found.append(keep * found[-1] + (1 - keep) * value)
    return np.stack(found)


def mean_and_error(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the last axis, the probes, and its standard error."""
    return samples.mean(-1), samples.std(-1, ddof=1) / np.sqrt(samples.shape[-1])


def quadratic(arrays: Arrays, key: str, view: str, every: int) -> np.ndarray:
    """v.Hv (T, probes) of a set, mean of the networks. Smoothing is linear, so each probe is smoothed."""
    samples = arrays[f"samples.{key}"].mean(0)
    return smooth(samples, every) if view == "smooth" else samples


def courses(arrays: Arrays, every: int) -> dict[str, dict[str, Course]]:
    """For each set (key, or `REAL`) and view: the peak, the end, and from when on it is below the real one.

    `below` is the first moment, not before the peak, from which on the trace is smaller than the real one
    at *every* measured moment: by the tests of `lower`, with the correction over all sets and moments of a
    view. None if there is none. Peaks and ends are also given as shares of the real ones.
    """
    steps = arrays["steps"]
    keys = [k.removeprefix("samples.") for k in arrays if k.startswith("samples.")]
    found: dict[str, dict[str, Course]] = {key: {} for key in keys}
    for view in VIEWS:
        truth = mean_and_error(quadratic(arrays, REAL, view, every))[0]
        others = [key for key in keys if key != REAL]
        tests = np.array([lower(arrays, key, view, every).p for key in others])
        claimed = dict(zip(others, significance.discoveries(tests)))
        for key in keys:
            values, errors = mean_and_error(quadratic(arrays, key, view, every))
            peak = int(values.argmax())
            start = None if key == REAL else since(claimed[key], peak)
            found[key][view] = Course(
                peak=float(values[peak]),
                peak_at=int(steps[peak]),
                peak_to_real=_share(values[peak], truth.max()),
                below=None if start is None else int(steps[start]),
                last=float(values[-1]),
                last_to_real=_share(values[-1], truth[-1]),
                error=float(errors[peak]),
            )
    return found


def lower(arrays: Arrays, key: str, view: str, every: int) -> significance.Test:
    """Whether a set's trace (T,) is smaller than the real one, at each moment.

    Of several networks each has one value of the difference, since it is networks that vary. Of one network
    each probe has one, which both sets share: then only the estimate is in doubt, and nothing is said of
    other networks.
    """
    gap = arrays[f"samples.{key}"] - arrays[f"samples.{REAL}"]  # (nets, T, probes)
    gap = gap[0] if len(gap) == 1 else gap.mean(-1).T
    return significance.paired(smooth(gap, every) if view == "smooth" else gap, significance.LESS)


def since(claimed: np.ndarray, peak: int) -> int | None:
    """The first place, not before `peak`, from which on all are claimed; None if the last is not."""
    unclaimed = np.flatnonzero(~claimed)
    first = max(peak, int(unclaimed[-1]) + 1 if len(unclaimed) else 0)
    return first if first < len(claimed) else None


def _share(value: float, of: float) -> float | None:
    """None where the whole is not positive."""
    return float(value / of) if of > 0 else None


def density(nodes: np.ndarray, weights: np.ndarray, grid: np.ndarray, width: float) -> np.ndarray:
    """Spectral density on a grid: the quadratures (..., m) of all starts, each node a Gaussian of `width`."""
    count = nodes.size // nodes.shape[-1]
    apart = (grid[:, None] - nodes.ravel()) / width
    bells = np.exp(-0.5 * apart**2) / (width * np.sqrt(2 * np.pi))
    return (bells * weights.ravel()).sum(1) / count


def moment_of(arrays: Arrays, key: str, place: int, power: int) -> float:
    """Mean of the eigenvalues' powers at a spectrum, by the quadratures; power 0 is the mass."""
    nodes, weights = arrays[f"nodes.{key}"][:, place], arrays[f"weights.{key}"][:, place]
    return float((weights * nodes**power).sum(-1).mean())
