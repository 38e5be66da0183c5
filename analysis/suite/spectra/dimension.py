"""How many dimensions points fill: by their nearest neighbours, and by their principal components."""

from __future__ import annotations

import numpy as np

LEAST = 50  # different points: with fewer a nearest-neighbour estimate is off by 14 % and more (1 / sqrt(n))
TWO = 2  # neighbours of TwoNN
MANY = 5  # neighbours of the maximum-likelihood estimate: fewer than a class of ten images has


def participation(points: np.ndarray) -> float:
    """Principal components that hold the variance of points (n, D): (sum v)^2 / sum v^2 of their variances v.

    Between 1 and the smaller of n - 1 and D; 0 of points that are all the same.
    """
    centred = points.astype(np.float64) - points.mean(0, dtype=np.float64)
    variances = np.linalg.svd(centred, compute_uv=False) ** 2
    total = float((variances**2).sum())
    return float(variances.sum()) ** 2 / total if total > 0 else 0.0


def likelihood(points: np.ndarray, neighbours: int) -> float | None:
    """Intrinsic dimension by the distances T_1 <= ... <= T_k of each point (n, D) to its k neighbours.

    The maximum-likelihood estimate of Levina & Bickel 2004, averaged over points as its inverse (MacKay &
    Ghahramani 2005), without its bias: (n (k - 1) - 1) / sum of ln(T_k / T_j). With two neighbours it is that
    of TwoNN (Facco et al. 2017). Points that are there twice count once; None of fewer than `LEAST`.
    """
    from scipy.spatial import cKDTree

    different = np.unique(points.astype(np.float64), axis=0)
    if len(different) < max(LEAST, neighbours + 1):
        return None
    distances, _ = cKDTree(different).query(different, neighbours + 1)
    logs = np.log(distances[:, -1:] / distances[:, 1:-1])
    total = float(logs.sum())
    return (logs.size - 1) / total if total > 0 else None
