"""What both the computing and the figures of `pixels` need."""

from __future__ import annotations

import numpy as np

from analysis.suite.pixels.result import Extremes
from analysis.suite.pixels.spec import FINE, ROUNDING


def extremes(pixels: np.ndarray) -> Extremes:
    """Exact facts about pixel values on the scale where real ones are 0..1; nothing is clamped."""
    below, above = pixels < -ROUNDING, pixels > 1 + ROUNDING
    return Extremes(
        min=float(pixels.min()),
        max=float(pixels.max()),
        below=float(below.mean()),
        above=float(above.mean()),
        outside=float((below | above).mean()),
        mean=float(pixels.mean()),
        std=float(pixels.std()),
    )


def density(values: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Gaussian kernel density (G,) of values (n,) on a grid, with Scott's bandwidth.

    That is the default of scipy and seaborn. Values are first rounded to 1/256 of the bandwidth, so that
    millions of them cost no more than thousands. Values that are all the same get a narrow peak.
    """
    width = values.std(ddof=1) * len(values) ** -0.2 if len(values) > 1 else 0.0
    width = max(float(width), 1e-3)
    cells, count = np.unique(np.rint(values * (FINE / width)), return_counts=True)
    apart = (grid[:, None] - cells * (width / FINE)) / width
    peak = width * np.sqrt(2 * np.pi) * len(values)
    return np.exp(-(apart**2) / 2) @ count / peak
