"""GCond: Jin et al., "Graph Condensation for Graph Neural Networks" (ICLR 2022).

Match the gradients of a linear graph network on the real graph and on a small one, along its training on the
small one. Features are free; edges are what a perceptron over pairs of nodes says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ddcore.graphs.contract import GraphMethod
from ddcore.graphs.params import GCondParams
from ddcore.graphs.protocols import GRAPH_PROTOCOLS

if TYPE_CHECKING:
    from ddcore.distil.loop import Driven
    from ddcore.graphs.problem import GraphProblem


def build(problem: GraphProblem) -> Driven:
    """Gradient matching with learned edges."""
    from ddcore.graphs.matching import GraphMatching

    return GraphMatching(problem)


GRAPH_METHOD = GraphMethod(
    name="gcond",
    title="Graph condensation",
    idea="A small graph with learned features and edges on which a linear graph network gets the gradients "
    "it gets on the real one.",
    explanation="A linear graph network is trained on the small graph. Along the way its gradient there is "
    "compared, class by class, with its gradient on the labelled nodes of the real graph, and the small "
    "graph is changed so that they agree. Features are free numbers; whether two nodes are linked is what a "
    "perceptron says about their features, so that edges follow features.",
    paper="Jin et al. 2022, Graph Condensation for Graph Neural Networks",
    params=GCondParams,
    build=build,
    presets={
        "quick": {"params": {"epochs": 100}},
        "teaching": {"params": {"epochs": 200}},
        "paper": {
            "protocol": GRAPH_PROTOCOLS["gcond-paper"],
            "params": {"epochs": 600, "neighbours": (10, 5), "order": "official"},
        },
    },
    seconds=0.6,
    smallest={"epochs": "2", "outer": "2", "inner": "1", "hidden": "8", "protocol": "short"},
)
