"""GCond-X: the same without edges (Jin et al. 2022): features alone carry what propagation would add."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ddcore.graphs.contract import GraphMethod
from ddcore.graphs.params import GCondXParams
from ddcore.graphs.protocols import GRAPH_PROTOCOLS

if TYPE_CHECKING:
    from ddcore.distil.loop import Driven
    from ddcore.graphs.problem import GraphProblem


def build(problem: GraphProblem) -> Driven:
    """Gradient matching without edges."""
    from ddcore.graphs.matching import GraphMatching

    return GraphMatching(problem)


GRAPH_METHOD = GraphMethod(
    name="gcond-x",
    title="Graph condensation without edges",
    idea="As gcond, but the nodes of the set have no links.",
    explanation="The set is a handful of nodes without any edge, made by the same gradient matching as "
    "gcond. Beside gcond it tells what learned edges are good for.",
    paper="Jin et al. 2022, Graph Condensation for Graph Neural Networks",
    params=GCondXParams,
    build=build,
    presets={
        "quick": {"params": {"epochs": 100, "lr_features": 1e-5}},
        "teaching": {"params": {"epochs": 200, "lr_features": 1e-5}},
        "paper": {
            "protocol": GRAPH_PROTOCOLS["gcond-paper"],
            "params": {"epochs": 600, "neighbours": (10, 5), "order": "official"},
        },
    },
    seconds=0.35,
    smallest={"epochs": "2", "outer": "2", "inner": "1", "protocol": "short"},
)
