"""How well scores tell members from others: area under the curve, true positives at few false ones.

A member's score should be larger. Everything is exact for the scores that are given: ties count half for the
area, and never help at a rate of false positives.
"""

from __future__ import annotations

import numpy as np


def auc(members: np.ndarray, others: np.ndarray) -> float:
    """Chance that a member (n,) has a larger score than another (m,), ties counting half."""
    from scipy.stats import rankdata

    n, m = len(members), len(others)
    ranks = rankdata(np.concatenate([members, others]))[:n].sum()
    return float((ranks - n * (n + 1) / 2) / (n * m))


def caught(members: np.ndarray, others: np.ndarray, rate: float) -> float | None:
    """Largest share of members found while at most a share `rate` of the others is taken for members.

    None where `others` are too few for a single one of them to be that share: of 500, a rate of 0.1 % is half
    an image.
    """
    allowed = int(np.floor(rate * len(others) + 1e-9))
    if not allowed:
        return None
    if allowed >= len(others):
        return 1.0
    bar = np.partition(others, -allowed - 1)[-allowed - 1]  # the largest that must not be passed
    return float(np.mean(members > bar))


def needed(rate: float, least: int = 1) -> int:
    """Others of which `least` are that share: how many images a rate of false positives asks for."""
    return int(np.ceil(least / rate - 1e-9))


def curve(members: np.ndarray, others: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """`caught` at every rate (r,), 0 where others are too few."""
    return np.array([caught(members, others, rate) or 0.0 for rate in rates])
