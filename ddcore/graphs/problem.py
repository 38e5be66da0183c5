"""What a method for graphs is given: the real graph as it needs it, and the set at its start."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from ddcore.base import rng
from ddcore.graphs.graph import Graph, class_counts, propagation
from ddcore.graphs.params import GraphParams, MatchingParams


@dataclass(frozen=True, eq=False)
class GraphProblem:
    """What a run asks for, its graph (features scaled), and where it is computed."""

    seed: int
    ratio: float
    params: GraphParams
    graph: Graph
    device: str

    @property
    def counts(self) -> dict[int, int]:
        """Nodes of each class in the set, in the order of the authors' code."""
        return class_counts(self.graph.labels[self.graph.train], self.ratio)

    def labels(self) -> Tensor:
        """(n,) classes of the set's nodes: sorted, or in the order of the authors' code."""
        counts = self.counts
        official = isinstance(self.params, MatchingParams) and self.params.order == "official"
        order = counts if official else sorted(counts)
        return torch.tensor([c for c in order for _ in range(counts[c])])

    def first_features(self) -> Tensor:
        """(n, d) float32 features of random training nodes: of each class in turn, 0 first.

        With labels in the order of the authors' code a class gets those of another one, as there.
        """
        chosen = self.chosen_nodes("features")
        dense = self.graph.features[chosen].toarray()
        return torch.from_numpy(np.ascontiguousarray(dense, np.float32))

    def chosen_nodes(self, *stream: object) -> np.ndarray:
        """Random training nodes, as many of each class as the set has, class 0 first."""
        generator = rng.numpy_generator(self.seed, *stream)
        return random_nodes(self.graph, self.counts, generator)

    def real_parts(self) -> RealNodes:
        """The labelled nodes and what surrounds them."""
        return RealNodes(self.graph)


def random_nodes(
    graph: Graph, counts: dict[int, int], generator: np.random.Generator
) -> np.ndarray:
    """`counts[c]` random training nodes of each class c, class 0 first."""
    parts = []
    for c in sorted(counts):
        members = np.flatnonzero(graph.train & (graph.labels == c))
        parts.append(generator.permutation(members)[: counts[c]])
    return np.concatenate(parts)


class RealNodes:
    """H = P²X of labelled nodes, exact or with sampled neighbours."""

    def __init__(self, graph: Graph) -> None:
        self.p = propagation(graph.adjacency())
        self.features = graph.features
        self.by_class = [
            np.flatnonzero(graph.train & (graph.labels == c)) for c in range(graph.classes)
        ]

    def exact(self) -> list[np.ndarray]:
        """For each class (n_c, d) float32: P²X of its training nodes."""
        once = sp.csr_matrix(self.p @ self.features)
        return [(self.p[rows] @ once).toarray() for rows in self.by_class]

    def sampled(
        self, sizes: tuple[int, ...], most: int, generator: np.random.Generator
    ) -> list[np.ndarray]:
        """The same for at most `most` nodes of a class, over at most `sizes[h]` neighbours of each at hop h.

        Neighbours (a node itself among them) are drawn without replacement and keep their weights in P, as in
        the authors' code. A node that several classes reach is drawn once for all, there once for each.
        """
        chosen = [generator.permutation(rows)[:most] for rows in self.by_class]
        batch = np.concatenate(chosen)
        first, reached = sampled_rows(self.p, batch, sizes[0], generator)
        second, sources = sampled_rows(self.p, reached, sizes[1], generator)
        dense = (first @ (second @ self.features[sources])).toarray()
        return np.split(dense, np.cumsum([len(c) for c in chosen])[:-1])


def sampled_rows(
    matrix: sp.csr_matrix, rows: np.ndarray, size: int, generator: np.random.Generator
) -> tuple[sp.csr_matrix, np.ndarray]:
    """At most `size` random entries of each of some rows, and the columns (ascending) that have any.

    The matrix (len(rows), len(columns)) keeps the entries' values.
    """
    part = matrix[rows]
    lengths = np.diff(part.indptr)
    row = np.repeat(np.arange(len(rows)), lengths)
    order = np.lexsort((generator.random(part.nnz), row))
    rank = np.arange(part.nnz) - np.repeat(part.indptr[:-1], lengths)
    kept = order[rank < size]
    columns, place = np.unique(part.indices[kept], return_inverse=True)
    shape = (len(rows), len(columns))
    return sp.csr_matrix((part.data[kept], (row[kept], place)), shape=shape), columns
