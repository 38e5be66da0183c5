"""Small graphs that nobody distilled: nodes that were picked, and means of what propagation makes of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ddcore.base import rng
from ddcore.graphs.artefact import GraphSet
from ddcore.graphs.graph import Graph, class_counts, smoothed
from ddcore.graphs.problem import random_nodes

Embedding = Callable[[], np.ndarray]  # (N, hidden) of a network trained on the whole graph


def baseline(
    name: str, graph: Graph, ratio: float, seed: int, draw: int, embedding: Embedding
) -> GraphSet:
    """The set called `name`; `draw` counts random draws, `embedding` is asked where features choose."""
    counts = class_counts(graph.labels[graph.train], ratio)
    generator = rng.numpy_generator(seed, name, draw)
    if name == "class_mean":
        return class_means(graph)
    if name == "kmeans":
        return centroids(graph, counts, rng.derive(seed, name) % 2**31)
    if name == "random_smoothed":
        nodes = random_nodes(graph, counts, generator)
        return without_edges(graph, smoothed(graph)[nodes].toarray(), graph.labels[nodes], nodes)
    if name == "random":
        return induced(graph, random_nodes(graph, counts, generator))
    pick = {"herding": herding, "kcenter": farthest_first}[name]
    features, chosen = embedding(), []
    for c in sorted(counts):
        members = np.flatnonzero(graph.train & (graph.labels == c))
        chosen.append(members[pick(features[members], counts[c])])
    return induced(graph, np.concatenate(chosen))


def induced(graph: Graph, nodes: np.ndarray) -> GraphSet:
    """Some nodes with their features and the edges between them."""
    return GraphSet(
        features=graph.features[nodes].toarray(),
        adjacency=graph.adjacency()[nodes][:, nodes].toarray(),
        labels=graph.labels[nodes],
        class_names=graph.class_names,
        sources=nodes,
    )


def without_edges(
    graph: Graph, features: np.ndarray, labels: np.ndarray, sources: np.ndarray | None = None
) -> GraphSet:
    """Nodes that are linked to none."""
    none = np.zeros((len(features), len(features)))
    return GraphSet(
        features=features,
        adjacency=none,
        labels=labels,
        class_names=graph.class_names,
        sources=sources,
    )


def class_means(graph: Graph) -> GraphSet:
    """One node per class: the mean of P²X over its training nodes."""
    h = smoothed(graph)
    means = [
        np.asarray(h[graph.train & (graph.labels == c)].mean(0)).ravel()
        for c in range(graph.classes)
    ]
    return without_edges(graph, np.stack(means), np.arange(graph.classes))


def centroids(graph: Graph, counts: dict[int, int], seed: int) -> GraphSet:
    """k-means of P²X of each class's training nodes."""
    from sklearn.cluster import KMeans

    h, found = smoothed(graph), []
    for c in sorted(counts):
        members = h[graph.train & (graph.labels == c)].toarray()
        wanted = min(counts[c], len(np.unique(members, axis=0)))
        made = KMeans(wanted, n_init=3, random_state=seed).fit(members).cluster_centers_
        found.append(np.resize(made, (counts[c], made.shape[1])))
    labels = [c for c in sorted(counts) for _ in range(counts[c])]
    return without_edges(graph, np.concatenate(found), np.array(labels))


def herding(features: np.ndarray, wanted: int) -> list[int]:
    """Rows of (n, h) whose running mean stays nearest the mean of all (Welling 2009)."""
    mean, total = features.mean(0), np.zeros(features.shape[1])
    taken: list[int] = []
    for k in range(wanted):
        distance = np.linalg.norm(mean - (total + features) / (k + 1), axis=1)
        distance[taken] = np.inf
        taken.append(int(distance.argmin()))
        total = total + features[taken[-1]]
    return taken


def farthest_first(features: np.ndarray, wanted: int) -> list[int]:
    """Rows of (n, h): the nearest to the mean, then always the one farthest from those taken."""
    taken = [int(np.linalg.norm(features - features.mean(0), axis=1).argmin())]
    nearest = np.linalg.norm(features - features[taken[0]], axis=1)
    while len(taken) < wanted:
        nearest[taken] = -1.0
        taken.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(features - features[taken[-1]], axis=1))
    return taken
