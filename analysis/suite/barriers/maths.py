"""How far a path between two networks rises. No torch here."""

from __future__ import annotations

import numpy as np


def shares(points: int) -> np.ndarray:
    """How much (points,) of the second network there is at each point of a path, from 0 to 1."""
    return np.linspace(0, 1, points)


def barrier(values: np.ndarray) -> np.ndarray:
    """The most (...) that values (points, ...) along a path rise above the straight line between its ends.

    As Entezari et al. 2022 define it. Never below 0, which the ends give; 0 of anything convex.
    """
    along = shares(len(values)).reshape(-1, *(1,) * (values.ndim - 1))
    straight = (1 - along) * values[0] + along * values[-1]
    return (values - straight).max(0)


def instability(values: np.ndarray) -> np.ndarray:
    """The most (...) that values (points, ...) rise above the mean of the two ends (Frankle et al. 2020)."""
    return values.max(0) - (values[0] + values[-1]) / 2
