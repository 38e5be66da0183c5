"""Is a difference more than chance? Student's t with its real degrees of freedom, corrected where many are
tested.

What is called less, more or below in a text has passed a test of this module. One network has no degrees
of freedom, so nothing is claimed from one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.05  # share of false discoveries among all claims of a text
RULE = f"t test with {100 * LEVEL:g} % false discoveries"
LESS, GREATER = "less", "greater"
EXACT = 1e-12  # of the values: a spread as small as this is rounding


@dataclass(frozen=True)
class Test:
    """A mean held against 0: standard error of the mean, degrees of freedom and p, all of one shape (...).

    p is NaN where nothing can be tested: of fewer than two values, or of values without any spread, whose
    error is unknown rather than 0.
    """

    mean: np.ndarray
    error: np.ndarray
    df: np.ndarray
    p: np.ndarray


def paired(differences: np.ndarray, alternative: str) -> Test:
    """Student's test of differences (..., n) within n pairs; `alternative` is LESS or GREATER than 0."""
    differences = np.asarray(differences, np.float64)
    n = differences.shape[-1]
    mean = differences.mean(-1)
    if n < 2:
        return _test(mean, np.full_like(mean, np.nan), np.nan, alternative)
    spread = differences.std(-1, ddof=1)
    spread = np.where(spread > EXACT * np.abs(differences).max(-1), spread, np.nan)
    return _test(mean, spread / np.sqrt(n), n - 1, alternative)


def combined(
    mean: float, samples: Sequence[Sequence[float] | np.ndarray], alternative: str
) -> Test:
    """A mean whose error has several independent sources: the variances of the means of `samples` add.

    Degrees of freedom after Satterthwaite 1946. With the difference of two samples' means and these samples
    it is Welch's test. Nothing can be tested if a sample has fewer than two values.
    """
    if any(len(sample) < 2 for sample in samples):
        return _test(np.float64(mean), np.float64(np.nan), np.nan, alternative)
    parts = np.array([np.var(sample, ddof=1) / len(sample) for sample in samples])
    scale = max(float(np.abs(sample).max()) for sample in samples)
    if np.sqrt(parts.sum()) <= EXACT * scale:
        return _test(np.float64(mean), np.float64(np.nan), np.nan, alternative)
    freedom = np.array([len(sample) - 1 for sample in samples])
    df = parts.sum() ** 2 / (parts**2 / freedom).sum()
    return _test(np.float64(mean), np.sqrt(parts.sum()), df, alternative)


def _test(
    mean: np.ndarray | np.float64, error: np.ndarray | np.float64, df: float, alternative: str
) -> Test:
    from scipy.stats import t

    tail = {LESS: t.cdf, GREATER: t.sf}[alternative]
    p = tail(mean / error, df)
    freedom = np.broadcast_to(np.float64(df), np.shape(mean))
    return Test(np.asarray(mean), np.asarray(error), freedom, np.asarray(p))


def discoveries(p: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """Benjamini & Hochberg 1995 over all entries: which of them are claimed, NaN (not tested) never."""
    from scipy.stats import false_discovery_control

    p = np.asarray(p, np.float64)
    found, tested = np.zeros(p.shape, bool), np.isfinite(p)
    if tested.any():
        found[tested] = false_discovery_control(p[tested]) <= level
    return found
