"""Does a canvas tile without a seam? The step across the wrap line against the steps inside.

A canvas repeats at its border, so the last and the first row (column) are neighbours like any two. If it
tiles without a seam, values change across that line by as much as they do everywhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Seam:
    """Mean |difference| of neighbouring values: across the wrap line, and between lines inside."""

    wrap: float
    interior: float

    @property
    def ratio(self) -> float:
        """1: no seam. Larger: an edge shows; smaller: a band where too little happens."""
        return self.wrap / self.interior


def seam(canvases: np.ndarray) -> Seam:
    """The seam of canvases (M, C, H, W), rows and columns together; `ValueError` without an inside."""
    if canvases.ndim != 4 or min(canvases.shape[2:]) < 2:
        raise ValueError(f"canvases of shape {canvases.shape}: expected (M, C, H, W), H and W > 1")
    steps = [np.abs(canvases - np.roll(canvases, 1, axis)) for axis in (2, 3)]
    wrap = [steps[0][:, :, :1], steps[1][:, :, :, :1]]
    interior = [steps[0][:, :, 1:], steps[1][:, :, :, 1:]]
    return Seam(_mean(wrap), _mean(interior))


def _mean(parts: list[np.ndarray]) -> float:
    return float(np.concatenate([p.ravel() for p in parts]).mean())
