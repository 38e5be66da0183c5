"""What the page Graphs draws: where nodes lie, and how edges divide over classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddcore.graphs.graph import block_means
from ddcore.tasks.store import Task

LEVELS = 255.0  # of edges in a snapshot


# --- pictures -------------------------------------------------------------------------------------


def ring_places(labels: np.ndarray) -> np.ndarray:
    """(n, 2): classes around a circle, the nodes of each around a smaller one.

    It depends on labels only, so that nodes stay where they are at every threshold and step.
    """
    classes = np.unique(labels)
    apart = 2 * np.sin(np.pi / max(len(classes), 2))  # between the centres of neighbouring classes
    found = np.zeros((len(labels), 2))
    for k, c in enumerate(classes):
        rows = np.flatnonzero(labels == c)
        turn = np.pi / 2 - 2 * np.pi * k / len(classes)
        around = turn + 2 * np.pi * np.arange(len(rows)) / len(rows)
        small = 0.36 * apart if len(rows) > 1 else 0.0
        centre = np.array([np.cos(turn), np.sin(turn)])
        found[rows] = centre + small * np.stack([np.cos(around), np.sin(around)], 1)
    return found


@dataclass(frozen=True, eq=False)
class Moment:
    """A condensed graph at one step: edges (n, n) from 0 to 1 and places in the map (n, 2)."""

    edges: np.ndarray
    places: np.ndarray


def moment(task: Task, step: int) -> Moment:
    """The snapshot of a run at a step, edges in 8 bits."""
    arrays = task.snapshot_arrays(step)
    return Moment(arrays["edges"] / LEVELS, arrays["places"])


def within(edges: np.ndarray, labels: np.ndarray) -> tuple[float | None, float]:
    """Share of the weight of edges (n, n) between nodes of one class (None without any), and of all pairs."""
    same = labels[:, None] == labels
    np.fill_diagonal(same, False)
    n = len(labels)
    total = float(edges.sum())
    share = float(edges[same].sum()) / total if total > 0 else None
    return share, float(same.sum()) / max(n * (n - 1), 1)


def blocks(edges: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Mean weight between classes (K, K)."""
    return block_means(edges, labels, classes)
