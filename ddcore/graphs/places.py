"""Where nodes lie in a map of P²X: two directions of the real graph, in which sets are drawn too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ddcore.graphs.graph import Graph, smoothed


@dataclass(frozen=True, eq=False)
class Plane:
    """Mean (d,) and two directions (2, d)."""

    mean: np.ndarray
    directions: np.ndarray

    def of(self, h: Any) -> np.ndarray:
        """Where rows of P²X (n, d), sparse or dense, lie: (n, 2) float32."""
        found = np.asarray(h @ self.directions.T) - self.mean @ self.directions.T
        return found.astype(np.float32)


def plane(graph: Graph) -> Plane:
    """The first two principal directions of P²X over all nodes of the real graph."""
    from sklearn.decomposition import PCA

    h = smoothed(graph).astype(np.float64)
    found = PCA(2, svd_solver="arpack", random_state=0).fit(h)
    return Plane(found.mean_, found.components_)
