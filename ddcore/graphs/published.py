"""Published accuracies of condensed graphs, and where they were read."""

from __future__ import annotations

SOURCE = (
    "Jin et al. 2022, Table 2, as repeated in arXiv 2402.04924v3; a graph convolution of 256 units at its "
    "best look on 500 validation nodes"
)
# (graph, share of the labelled nodes): per cent and spread, by the name of our row.
PUBLISHED: dict[tuple[str, float], dict[str, tuple[float, float]]] = {
    ("cora", 0.25): {"distilled": (79.8, 1.3), "random": (63.6, 3.7), "herding": (67.0, 1.3)},
    ("cora", 0.5): {"distilled": (80.1, 0.6), "random": (72.8, 1.1), "herding": (73.4, 1.0)},
    ("citeseer", 0.25): {"distilled": (70.5, 1.2), "random": (54.4, 4.4), "herding": (57.1, 1.5)},
    ("citeseer", 0.5): {"distilled": (70.6, 0.9), "random": (64.2, 1.7), "herding": (66.7, 1.0)},
}
KCENTER = {("cora", 0.25): (64.0, 2.3), ("cora", 0.5): (73.2, 1.2)}
KCENTER |= {("citeseer", 0.25): (52.4, 2.8), ("citeseer", 0.5): (64.3, 1.0)}
WHOLE = {"cora": (81.2, 0.2), "citeseer": (71.7, 0.1)}


def published(graph: str, ratio: float, method: str) -> dict[str, tuple[float, float]]:
    """Per cent and spread by row; empty where nothing was read. Of gcond alone "distilled"."""
    rows = dict(PUBLISHED.get((graph, ratio), {}))
    if not rows:
        return rows
    rows |= {"kcenter": KCENTER[graph, ratio], "whole": WHOLE[graph]}
    if method != "gcond":
        del rows["distilled"]
    return rows
