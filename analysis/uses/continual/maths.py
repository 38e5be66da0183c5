"""Figures of continual learning: accuracy by step, matrix, forgetting, differences paired by order.

Orders are what is sampled: figures are means over an order's networks, then mean, spread and interval over
orders. Forgetting is that of Chaudhry et al. 2018 (Riemannian Walk, eq. 3): how far each earlier step fell
from the best it had been. It also falls where nothing is forgotten but the task grows, hence stands beside
that of networks trained on all images so far.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.shared import significance
from analysis.uses.continual.result import Learned
from ddcore.base.spread import summary

CONFIDENCE = 0.95


def matrix(learned: Learned) -> np.ndarray:
    """R (O, n, T, T): share of the test images of step i called right after step t; NaN before it came."""
    correct = learned.correct.astype(np.float64)
    correct[learned.correct < 0] = np.nan
    return correct / learned.counts[:, None, None, :]


def accuracy(learned: Learned) -> np.ndarray:
    """A (O, n, T): share of the test images of all classes so far that are called right."""
    right = np.where(learned.correct < 0, 0, learned.correct).sum(-1)
    return right / np.cumsum(learned.counts, 1)[:, None, :]


def forgetting(r: np.ndarray) -> np.ndarray:
    """F (...) of a matrix R (..., T, T): mean over earlier steps of best before the last minus last.

    NaN where there is one step only.
    """
    steps = r.shape[-1]
    if steps < 2:
        return np.full(r.shape[:-2], np.nan)
    before = np.nanmax(r[..., : steps - 1, : steps - 1], axis=-2)
    return (before - r[..., steps - 1, : steps - 1]).mean(-1)


def backward_transfer(r: np.ndarray) -> np.ndarray:
    """BWT (...) of a matrix R (..., T, T): mean of R[T, i] - R[i, i] (Lopez-Paz & Ranzato 2017)."""
    steps = r.shape[-1]
    if steps < 2:
        return np.full(r.shape[:-2], np.nan)
    just = np.diagonal(r, axis1=-2, axis2=-1)
    return (r[..., steps - 1, : steps - 1] - just[..., : steps - 1]).mean(-1)


def over_orders(values: np.ndarray) -> np.ndarray:
    """Means over networks: (O, n, ...) to (O, ...)."""
    return values.mean(1)


def half_width(values: np.ndarray) -> np.ndarray:
    """Half of Student's 95 % interval of the mean over orders (O, ...); NaN of fewer than two."""
    from scipy.stats import t

    n = len(values)
    if n < 2:
        return np.full(values.shape[1:], np.nan)
    return t.ppf((1 + CONFIDENCE) / 2, n - 1) * values.std(0, ddof=1) / np.sqrt(n)


@dataclass(frozen=True)
class Compared:
    """A difference of two means, its 95 % interval and two-sided p; NaN where nothing can be tested."""

    difference: float
    low: float
    high: float
    p: float
    n: int


def paired(one: Learned, other: Learned) -> Compared:
    """Last accuracy of one minus the other's, order by order: the orders have to be the same."""
    assert one.groups == other.groups, "the same orders"
    differences = over_orders(accuracy(one)[..., -1]) - over_orders(accuracy(other)[..., -1])
    return _compared(significance.paired(differences, significance.GREATER), len(differences))


def unseen_cost(parts: Learned, whole: Learned) -> Compared:
    """Last accuracy of a memory made step by step minus that of a set made of all classes at once (Welch).

    Not paired: the order of classes means nothing to the whole set.
    """
    a, b = (over_orders(accuracy(each)[..., -1]) for each in (parts, whole))
    tested = significance.combined(float(a.mean() - b.mean()), [a, b], significance.GREATER)
    return _compared(tested, len(a))


def _compared(test: significance.Test, n: int) -> Compared:
    from scipy.stats import t

    mean, error, df = float(test.mean), float(test.error), float(test.df)
    half = float(t.ppf((1 + CONFIDENCE) / 2, df) * error) if np.isfinite(error) else np.nan
    one_sided = float(test.p)
    return Compared(mean, mean - half, mean + half, 2 * min(one_sided, 1 - one_sided), n)


def figure(values: np.ndarray) -> dict[str, Any]:
    """Mean, standard deviation and n over orders (O,)."""
    return summary([float(v) for v in values])


def facts(learned: Learned) -> dict[str, Any]:
    """One line of the table, plain values: shares, bytes, seconds."""
    spec, final = learned.spec, over_orders(accuracy(learned)[..., -1])
    r = matrix(learned)
    forgot = over_orders(forgetting(r))
    transfer = over_orders(backward_transfer(r))
    several = spec.steps > 1
    return {
        "key": learned.key,
        "kept": spec.source_title(),
        "strategy": spec.strategy,
        "source": spec.distill.method if spec.distill else spec.source,
        "ipc": spec.ipc if spec.source != "none" else None,
        "steps": spec.steps,
        "accuracy": figure(final),
        "average": figure(over_orders(accuracy(learned).mean(-1))),
        "forgetting": figure(forgot) if several else None,
        "backward_transfer": figure(transfer) if several else None,
        "memory_bytes": int(statistics.median(learned.memory_bytes[:, -1])),
        "by_step": [figure(step) for step in over_orders(accuracy(learned)).T],
        "distil_cpu_seconds": learned.distil_seconds,
        "cpu_seconds": learned.cpu_seconds,
    }
