"""Spread over networks: the sample standard deviation (n - 1), which one figure alone does not have."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def deviation(values: Sequence[float] | np.ndarray) -> float | None:
    """Sample standard deviation; None of fewer than two values."""
    return statistics.stdev(float(v) for v in values) if len(values) > 1 else None


def deviations(values: np.ndarray) -> np.ndarray | None:
    """The same along the last axis (..., n), for error bars and bands."""
    return values.std(-1, ddof=1) if values.shape[-1] > 1 else None


def of(figure: Mapping[str, Any]) -> float | None:
    """The spread of a stored figure with `mean`, `std` and, where it is known, `n`.

    Older results hold a `std` of 0 for a single network, which is none.
    """
    return None if figure.get("n") == 1 else figure["std"]


def plus_minus(mean: str, spread: float | None) -> str:
    """ "84.6 ± 1.2", or the mean alone where there is no spread."""
    return mean if spread is None else f"{mean} ± {spread:.1f}"


def figure_text(figure: Mapping[str, Any]) -> str:
    """ "84.6 ± 1.2 % (n = 10)" or "84.2 % (n = 1)" of a stored figure, whose mean and std are shares."""
    std = of(figure)
    text = plus_minus(f"{100 * figure['mean']:.1f}", None if std is None else 100 * std)
    return f"{text} % (n = {figure['n']})"


def summary(accuracies: list[float]) -> dict[str, Any]:
    """Mean, standard deviation over networks (None for a single one) and n; as shares, not per cent."""
    std = deviation(accuracies)
    return {"mean": statistics.fmean(accuracies), "std": std, "n": len(accuracies)}
