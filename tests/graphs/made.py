"""Small graphs with a known structure: classes that are linked within and share words."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ddcore.graphs.files import resolve_graph
from ddcore.graphs.layouts import graph_of

NODES, FEATURES, CLASSES = 60, 24, 3


def arrays(seed: int = 0) -> dict[str, np.ndarray]:
    """A graph as arrays of our own layout, its features dense."""
    rng = np.random.default_rng(seed)
    labels = np.arange(NODES) % CLASSES
    alike = labels[:, None] == labels
    linked = np.triu(rng.random((NODES, NODES)) < np.where(alike, 0.25, 0.03), 1)
    words = rng.random((NODES, FEATURES)) < 0.1
    words[np.arange(NODES), labels * 8 + rng.integers(0, 8, NODES)] = True
    part = np.arange(NODES) // CLASSES  # 20 of each class
    return {
        "features": words.astype(np.float32),
        "edge_index": np.stack(np.nonzero(linked)),
        "labels": labels,
        "train": part < 8,
        "val": (part >= 8) & (part < 12),
        "test": part >= 12,
    }


def graph(seed: int = 0):
    """The same as a `Graph`, its features scaled."""
    return graph_of(arrays(seed), "made").scaled("rows")


def data(folder: Path, seed: int = 0):
    """The same as a file, and the spec that names it."""
    path = folder / f"made-{seed}.npz"
    np.savez(path, **arrays(seed))
    return resolve_graph(str(path))
