"""Stratified splits by index: which pictures are held out, class by class, from a fixed stream."""

from __future__ import annotations

import numpy as np


def held_out(labels: np.ndarray, quota: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Boolean mask `(N,)`, True for `quota[c]` random members of every class c."""
    mask = np.zeros(len(labels), dtype=bool)
    for label, count in enumerate(quota):
        members = np.flatnonzero(labels == label)
        mask[generator.permutation(members)[:count]] = True
    return mask


def quota_by_fraction(labels: np.ndarray, classes: int, fraction: float) -> np.ndarray:
    """Held-out count per class: the rounded share, but at least 1 and never the whole class."""
    counts = np.bincount(labels, minlength=classes)
    wanted = np.maximum(1, np.rint(fraction * counts)).astype(np.int64)
    return np.minimum(wanted, np.maximum(counts - 1, 0))


def quota_by_total(labels: np.ndarray, classes: int, total: int) -> np.ndarray:
    """Held-out count per class that adds up to `total` (largest remainders)."""
    share = np.bincount(labels, minlength=classes) * (total / len(labels))
    quota = np.floor(share).astype(np.int64)
    largest = np.argsort(quota - share, kind="stable")[: total - int(quota.sum())]
    quota[largest] += 1
    return quota
