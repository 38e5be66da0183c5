"""`GraphSet`: a small graph and all that is known of it, read and written exactly. No torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp

from ddcore.base.errors import DataError
from ddcore.tasks.store import Task
from ddcore.tasks.worker import Context

FORMAT, VERSION = "graph set", 1
FULL = np.float16  # in which features and edges are kept: half of what single precision takes


@dataclass(frozen=True, eq=False)
class GraphSet:
    """Nodes with features (n, d), edges (n, n) (symmetric, from 0 to 1, no loops), float32, and labels (n,).

    `sources` (n,) are the real nodes it was picked from, where it was. Features are scaled as `data` says.
    """

    features: np.ndarray
    adjacency: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    method: str = ""
    run_key: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    sources: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name in ("features", "adjacency"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), np.float32))
        object.__setattr__(self, "labels", np.asarray(self.labels, np.int64))
        n, a = len(self.features), self.adjacency
        _check(self.features.ndim == 2 and n > 0, "features of shape (n, d)")
        _check(a.shape == (n, n), f"edges of shape ({n}, {n})")
        _check(bool((a >= 0).all() and (a <= 1).all()), "edges from 0 to 1")
        _check(bool((a == a.T).all() and not a.diagonal().any()), "symmetric edges without loops")
        inside = self.labels.shape == (n,) and self.labels.min() >= 0
        _check(
            bool(inside and self.labels.max() < self.classes), f"{n} labels below {self.classes}"
        )
        _check(bool(np.isfinite(self.features).all()), "features that are numbers")

    @property
    def classes(self) -> int:
        """K."""
        return len(self.class_names)

    def rounded(self) -> GraphSet:
        """As it is kept: in half precision."""
        kept = {n: np.asarray(getattr(self, n), FULL) for n in ("features", "adjacency")}
        return GraphSet(**{**self.__dict__, **kept})

    def edges(self, threshold: float = 0.0) -> np.ndarray:
        """A (n, n) without the edges that are not above `threshold`."""
        return np.where(self.adjacency > threshold, self.adjacency, 0.0).astype(np.float32)

    def propagation(self, threshold: float = 0.0) -> np.ndarray:
        """P = D^-1/2 (A + I) D^-1/2 (n, n) float32 at that threshold."""
        a = self.edges(threshold).astype(np.float64) + np.eye(len(self.labels))
        root = a.sum(1) ** -0.5
        return (root[:, None] * a * root).astype(np.float32)

    def edge_count(self, threshold: float = 0.0) -> int:
        """Undirected edges above it."""
        return int((self.edges(threshold) > 0).sum() // 2)

    # --- keeping --------------------------------------------------------------------------------

    def to_arrays(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Arrays in half precision and the rest, ready for JSON."""
        arrays = {"features": self.features.astype(FULL), "labels": self.labels}
        if self.adjacency.any():
            arrays["adjacency"] = self.adjacency.astype(FULL)
        if self.sources is not None:
            arrays["sources"] = self.sources
        told = {n: getattr(self, n) for n in ("method", "run_key", "data", "params")}
        names = {"class_names": list(self.class_names)}
        return arrays, {"format": FORMAT, "version": VERSION, **names, **told}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> GraphSet:
        """Inverse of `to_arrays`; `DataError` if something is missing or does not fit together."""
        if meta.get("format") != FORMAT or meta.get("version") != VERSION:
            raise DataError("This is not a condensed graph of this version of the program.")
        told = {n: meta[n] for n in ("method", "run_key", "data", "params")}
        n = len(arrays["features"])
        return cls(
            features=arrays["features"],
            adjacency=arrays.get("adjacency", np.zeros((n, n))),
            labels=arrays["labels"],
            class_names=tuple(meta["class_names"]),
            sources=arrays.get("sources"),
            **told,
        )

    def write(self, context: Context) -> dict[str, Any]:
        """Save the arrays as a task's "set"; returns what belongs in its result under "set"."""
        arrays, meta = self.to_arrays()
        context.save_arrays(arrays, name="set")
        return meta

    @classmethod
    def from_task(cls, task: Task) -> GraphSet:
        """The set of a finished task."""
        return cls.from_arrays(task.arrays("set"), task.result()["set"])

    def smoothed(self, threshold: float = 0.0) -> np.ndarray:
        """P²X (n, d)."""
        p = self.propagation(threshold)
        return p @ (p @ self.features)

    def stored_bytes(self, threshold: float = 0.0) -> int:
        """Bytes of features, edges and labels in half precision, each dense or sparse, whichever is less."""
        n = len(self.labels)
        links = min(n * (n - 1) // 2 * 2, self.edge_count(threshold) * (4 + 2))
        return matrix_bytes(self.features) + links + n


def matrix_bytes(features: Any) -> int:
    """Bytes of a matrix (n, d) in half precision: dense, or the entries that are not 0 with their columns.

    Of values that are all the same (words that are there or not) sparse ones need no values.
    """
    n, d = features.shape
    values = features.data if sp.issparse(features) else features[features != 0]
    one = len(values) == 0 or bool((values == values[0]).all())
    return min(2 * n * d, len(values) * (2 if one else 4) + 4 * n)


def _check(ok: bool, expected: str) -> None:
    if not ok:
        raise DataError(f"This condensed graph is not usable: expected {expected}.")
