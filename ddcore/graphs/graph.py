"""A graph with features, labels and a split, and what networks make of its edges. No torch."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from ddcore.base.specs import canonical_json

UNKNOWN = -1  # the label of a node that has none
PARTS = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class Graph:
    """An undirected graph without weights.

    features: sparse (N, d) float32. edges: (2, E) int64, each once with i < j, in order. labels: (N,) int64,
    -1 unknown. train, val, test: (N,) bool, apart from each other; their nodes have labels.
    """

    features: sp.csr_matrix
    edges: np.ndarray
    labels: np.ndarray
    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    class_names: tuple[str, ...]

    @property
    def nodes(self) -> int:
        """N."""
        return self.features.shape[0]

    @property
    def classes(self) -> int:
        """K."""
        return len(self.class_names)

    def adjacency(self) -> sp.csr_matrix:
        """A (N, N): symmetric, ones, no loops."""
        i, j = self.edges
        ones = np.ones(2 * len(i), np.float32)
        places = np.concatenate([i, j]), np.concatenate([j, i])
        return sp.csr_matrix((ones, places), shape=(self.nodes, self.nodes))

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything as plain arrays; inverse of `from_arrays`."""
        kept = {name: getattr(self, name) for name in ("edges", "labels", *PARTS)}
        f = self.features
        return {
            **kept,
            "feat_data": f.data,
            "feat_indices": f.indices.astype(np.int32),
            "feat_indptr": f.indptr.astype(np.int32),
            "feat_shape": np.array(f.shape),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], class_names: tuple[str, ...]) -> Graph:
        """Inverse of `arrays`."""
        parts = tuple(arrays[f"feat_{name}"] for name in ("data", "indices", "indptr"))
        features = sp.csr_matrix(parts, shape=tuple(map(int, arrays["feat_shape"])))
        kept = {name: arrays[name] for name in ("edges", "labels", *PARTS)}
        return cls(features=features, class_names=class_names, **kept)

    def scaled(self, scale: str) -> Graph:
        """With the features as a run uses them: `rows` divides each node's by their sum."""
        if scale != "rows":
            return self
        return dataclasses.replace(self, features=rows_to_one(self.features))

    def facts(self) -> dict[str, Any]:
        """What lists and pages say of it, ready for JSON."""
        degree = np.bincount(self.edges.ravel(), minlength=self.nodes)
        return {
            "nodes": self.nodes,
            "edges": self.edges.shape[1],
            "features": self.features.shape[1],
            "class_names": list(self.class_names),
            **{name: int(getattr(self, name).sum()) for name in PARTS},
            "unlabelled": int((self.labels == UNKNOWN).sum()),
            "isolated": int((degree == 0).sum()),
            "isolated_test": int((degree[self.test] == 0).sum()),
            "homophily": homophily(self.edges, self.labels),
        }


def rows_to_one(features: sp.csr_matrix) -> sp.csr_matrix:
    """Features (N, d) with each row divided by its sum; rows of sum 0 stay."""
    total = np.asarray(features.sum(1)).ravel()
    factor = np.divide(1.0, total, out=np.zeros_like(total, np.float64), where=total != 0)
    return sp.csr_matrix(sp.diags(factor) @ features, dtype=np.float32)


def propagation(adjacency: sp.csr_matrix) -> sp.csr_matrix:
    """P = D^-1/2 (A + I) D^-1/2 (N, N) float32, D the degrees of A + I (Kipf & Welling 2017)."""
    with_loops = adjacency + sp.identity(adjacency.shape[0], dtype=np.float64, format="csr")
    root = sp.diags(np.asarray(with_loops.sum(1)).ravel() ** -0.5)
    return sp.csr_matrix(root @ with_loops @ root, dtype=np.float32)


def smoothed(graph: Graph, hops: int = 2) -> sp.csr_matrix:
    """H = P^hops X (N, d), sparse: what a linear network of that many layers sees of every node."""
    p, h = propagation(graph.adjacency()), graph.features
    for _ in range(hops):
        h = p @ h
    return sp.csr_matrix(h)


def homophily(edges: np.ndarray, labels: np.ndarray) -> float | None:
    """Share of the edges (2, E) between nodes of one class, among those whose classes are known."""
    ends = labels[edges]
    known = (ends != UNKNOWN).all(0)
    return float((ends[0] == ends[1])[known].mean()) if known.any() else None


def block_means(adjacency: Any, labels: np.ndarray, classes: int) -> np.ndarray:
    """Mean of A (n, n) between classes a and b (K, K), its diagonal left out; 0 where there is no pair."""
    known = labels != UNKNOWN
    one = np.eye(classes)[labels[known]]
    dense_or_sparse = adjacency[known][:, known]
    total = one.T @ (dense_or_sparse @ one)
    sizes = one.sum(0)
    pairs = np.outer(sizes, sizes) - np.diag(sizes)
    return np.divide(total, pairs, out=np.zeros_like(total), where=pairs > 0)


def content_mark(graph: Graph) -> str:
    """sha256 over everything that is in it: the same graph in another file has the same mark."""
    import hashlib

    digest = hashlib.sha256()
    for name, array in sorted(graph.arrays().items()):
        kind = np.dtype("<f4") if array.dtype.kind == "f" else np.dtype("<i8")
        digest.update(canonical_json([name, list(array.shape)]).encode())
        digest.update(np.ascontiguousarray(array, kind).tobytes())
    digest.update(canonical_json(list(graph.class_names)).encode())
    return digest.hexdigest()


def class_counts(labels: Any, ratio: float) -> dict[int, int]:
    """Nodes of each class in a set of a share `ratio` of training nodes with these `labels`.

    As the authors' code: by ascending number of training nodes (ties as they first appear), each class its
    share and at least one node, the last class what is left of the whole (at least one).
    """
    known = Counter(int(c) for c in labels)
    total = int(len(labels) * ratio)
    order = sorted(known.items(), key=lambda item: item[1])
    found: dict[int, int] = {}
    for c, n in order[:-1]:
        found[c] = max(int(n * ratio), 1)
    last = order[-1][0]
    found[last] = max(total - sum(found.values()), 1)
    return found
