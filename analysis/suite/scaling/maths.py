"""Laws of a gap that shrinks with the images per class, their intervals, and the worst of several set-ups.

gap(k) = floor + c k^-b. With b fixed it is linear in floor and c; with b free the best b is searched for,
floor and c being solved for at each. No torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

HALF = 0.5
BOUNDS = (0.05, 4.0)  # of a free exponent; one at an end is none
LEAST, LEAST_FREE = 3, 4  # sizes


@dataclass(frozen=True)
class GapLaw:
    """floor + c k^-b; `rest` is the root mean square of what it leaves of the gaps that it was fitted to."""

    floor: float
    c: float
    b: float
    rest: float

    def at(self, sizes: np.ndarray) -> np.ndarray:
        """The gap at so many images per class."""
        return self.floor + self.c * np.asarray(sizes, float) ** -self.b

    @property
    def at_an_end(self) -> bool:
        """Whether the exponent is where the search ended, so that none is known."""
        return bool(np.isclose(self.b, BOUNDS, rtol=1e-3).any())


def fitted(sizes: np.ndarray, gaps: np.ndarray, b: float = HALF) -> GapLaw:
    """Least squares of gaps (s,) with a fixed exponent; two sizes or more."""
    sizes, gaps = np.asarray(sizes, float), np.asarray(gaps, float)
    design = np.stack([np.ones_like(sizes), sizes**-b], 1)
    (floor, c), *_ = np.linalg.lstsq(design, gaps)
    rest = float(np.sqrt(np.mean((gaps - design @ (floor, c)) ** 2)))
    return GapLaw(float(floor), float(c), b, rest)


def free(sizes: np.ndarray, gaps: np.ndarray) -> GapLaw:
    """Least squares with the exponent within `BOUNDS` too: the best of a grid, then refined around it."""
    from scipy.optimize import minimize_scalar

    grid = np.geomspace(*BOUNDS, 41)
    best = int(np.argmin([fitted(sizes, gaps, b).rest for b in grid]))
    around = grid[max(0, best - 1)], grid[min(len(grid) - 1, best + 1)]
    found = minimize_scalar(
        lambda b: fitted(sizes, gaps, b).rest,
        bounds=around,
        method="bounded",
        options={"xatol": 1e-7},
    )
    return fitted(sizes, gaps, float(found.x))


@dataclass(frozen=True)
class Known:
    """A figure and its 95 % interval; no interval of one network. `each` are those that it rests on."""

    value: float
    interval: tuple[float, float] | None
    each: np.ndarray


def over_networks(each: np.ndarray) -> Known:
    """The mean of independent figures (n,), with Student's t."""
    from scipy.stats import t

    mean = float(each.mean())
    if len(each) < 2:
        return Known(mean, None, each)
    half = float(t.ppf(0.975, len(each) - 1) * each.std(ddof=1) / np.sqrt(len(each)))
    return Known(mean, (mean - half, mean + half), each)


def constants(sizes: np.ndarray, gaps: np.ndarray) -> tuple[Known, Known]:
    """Floor and c for gaps (s, n) of n networks at exponent 1/2.

    The fit is linear, so the mean over networks of their own fits is the fit of their mean gaps.
    """
    laws = [fitted(sizes, own) for own in gaps.T]
    return over_networks(np.array([w.floor for w in laws])), over_networks(
        np.array([w.c for w in laws])
    )


def exponent(sizes: np.ndarray, gaps: np.ndarray) -> Known | None:
    """The free exponent of gaps (s, n), with the jackknife over networks; None where none is known.

    `each` are Tukey's pseudo-values, whose mean is the jackknife's estimate; the interval is Student's t over
    them (Tukey 1958), about the exponent of all networks.
    """
    law, n = free(sizes, gaps.mean(1)), gaps.shape[1]
    if law.at_an_end:
        return None
    if n < 2:
        return Known(law.b, None, np.array([law.b]))
    without = [free(sizes, np.delete(gaps, i, 1).mean(1)) for i in range(n)]
    if any(w.at_an_end for w in without):
        return None
    pseudo = n * law.b - (n - 1) * np.array([w.b for w in without])
    spread = over_networks(pseudo)
    assert spread.interval is not None
    half = (spread.interval[1] - spread.interval[0]) / 2
    return Known(law.b, (law.b - half, law.b + half), pseudo)


def worst(accuracy: np.ndarray) -> Known:
    """The smallest mean over set-ups of accuracies (u, n), with an interval of at least 95 %.

    The smallest of several means is too small on average, and the interval says so: its lower end is the
    smallest lower end (2.5 % for the one set-up that is truly worst), its upper end the smallest upper end of
    intervals that hold for all set-ups at once (Bonferroni).
    """
    from scipy.stats import t

    mean, n = accuracy.mean(1), accuracy.shape[1]
    place = int(mean.argmin())
    if n < 2:
        return Known(float(mean[place]), None, accuracy[place])
    error = accuracy.std(1, ddof=1) / np.sqrt(n)
    low = (mean - t.ppf(0.975, n - 1) * error).min()
    high = (mean + t.ppf(1 - 0.025 / len(mean), n - 1) * error).min()
    return Known(float(mean[place]), (float(low), float(high)), accuracy[place])
