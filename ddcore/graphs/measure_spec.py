"""Specs of judging a condensed graph: one accuracy, a run beside its baselines, a map. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ddcore.base.fields import REQUIRED, choice, choices, number, numbers, part, seed
from ddcore.base.specs import TaskSpec
from ddcore.graphs.contract import GraphRun
from ddcore.graphs.protocols import GRAPH_PROTOCOLS, NETS, GraphProtocol
from ddcore.graphs.spec import GraphData

OURS = "distilled"
GRAPH_BASELINES = {
    "class_mean": "one node per class: the mean of P²X over its training nodes, no edges",
    "kmeans": "k-means of P²X of each class, no edges",
    "random_smoothed": "random training nodes with their P²X, no edges",
    "random": "random training nodes with the edges between them, drawn anew for every network",
    "herding": "training nodes whose running mean stays nearest the class mean, with their edges",
    "kcenter": "training nodes that cover the class, farthest first, with their edges",
    "whole": "the whole graph with all training labels",
}
DEFAULT_BASELINES = ("class_mean", "kmeans", "random_smoothed", "random", "whole")


def _threshold_help() -> str:
    return "Edges of the set that are not above it are left out."


@dataclass(frozen=True, kw_only=True)
class GraphAccuracy(TaskSpec):
    """Test accuracy of networks trained on one small graph."""

    KIND: ClassVar[str] = "graph_accuracy"
    RUNNER: ClassVar[str] = "ddcore.graphs.accuracy:run_accuracy"

    data: GraphData = part(GraphData, "The real graph.")
    ratio: float = number(0.5, 1e-4, 1, "Size of a baseline, as a share of the training nodes.")
    subject: str = choice(
        OURS, lambda: {OURS: "the set of the run", **GRAPH_BASELINES}, "What is judged."
    )
    of_run: GraphRun | None = part(None, "The run, where its set is judged.")
    net: str = choice("gcn", NETS, "The network.")
    protocol: GraphProtocol = part(
        lambda: GRAPH_PROTOCOLS["gcond"], "How networks are trained.", names=lambda: GRAPH_PROTOCOLS
    )
    nets: int = number(3, 1, 1000, "How many.", unit="networks")
    threshold: float = number(0.0, 0, 1, _threshold_help())
    seed: int = seed()

    def validate(self) -> None:
        """A run for its set, and for nothing else; sizes only where there are any."""
        ours = self.subject == OURS
        self.require(
            "of_run", (self.of_run is not None) == ours, "a run for the subject distilled only"
        )
        if self.subject in ("class_mean", "whole") or ours:
            self.require("ratio", self.ratio == 1, f"1, since {self.subject} has a size of its own")
        if not ours:
            self.require("threshold", self.threshold == 0, "0 for what is not distilled")

    def title(self) -> str:
        """Line for lists."""
        of = (
            self.of_run.title()
            if self.of_run
            else f"{self.subject} of {self.data.title_of_graph()}"
        )
        return f"{self.net} accuracy of {of}"


@dataclass(frozen=True, kw_only=True)
class GraphEvaluate(TaskSpec):
    """A run beside its baselines under one protocol, for one or several networks and thresholds."""

    KIND: ClassVar[str] = "graph_evaluate"
    RUNNER: ClassVar[str] = "ddcore.graphs.accuracy:run_evaluate"

    of_run: GraphRun = part(REQUIRED, "The run.")
    protocol: GraphProtocol = part(
        lambda: GRAPH_PROTOCOLS["gcond"], "How networks are trained.", names=lambda: GRAPH_PROTOCOLS
    )
    nets: int = number(3, 1, 1000, "Networks trained on each set.", unit="networks")
    archs: tuple[str, ...] = choices(
        ("gcn",), NETS, "one or several of " + ", ".join(NETS), "The networks."
    )
    thresholds: tuple[float, ...] = numbers(
        (0.0,), 0, 1, "numbers from 0 to 1, 0 first", _threshold_help()
    )
    baselines: tuple[str, ...] = choices(
        DEFAULT_BASELINES,
        GRAPH_BASELINES,
        "any of " + ", ".join(GRAPH_BASELINES),
        "What the set is compared with.",
    )
    seed: int = seed()

    def validate(self) -> None:
        """The set as it is belongs to it."""
        self.require("archs", len(self.archs) > 0)
        self.require("thresholds", self.thresholds[:1] == (0.0,))

    def title(self) -> str:
        """Line for lists."""
        return f"evaluation of {self.of_run.title()}, {self.protocol.name}"

    def rows(self) -> list[GraphAccuracy]:
        """The accuracies that it consists of."""
        common: dict[str, Any] = {"data": self.of_run.data, "protocol": self.protocol}
        common |= {"nets": self.nets, "seed": self.seed}
        found = []
        for net in self.archs:
            for threshold in self.thresholds:
                own: dict[str, Any] = {
                    "subject": OURS,
                    "of_run": self.of_run,
                    "ratio": 1.0,
                    "threshold": threshold,
                }
                found.append(GraphAccuracy(net=net, **own, **common))
            for name in self.baselines:
                ratio = 1.0 if name in ("class_mean", "whole") else self.of_run.ratio
                found.append(GraphAccuracy(net=net, subject=name, ratio=ratio, **common))
        return found


@dataclass(frozen=True, kw_only=True)
class GraphMap(TaskSpec):
    """Where the nodes of a real graph lie by their P²X, and between which classes its edges are."""

    KIND: ClassVar[str] = "graph_map"
    RUNNER: ClassVar[str] = "ddcore.graphs.accuracy:run_map"
    SLOT: ClassVar[str] = "light"

    data: GraphData = part(GraphData, "The graph.")

    def title(self) -> str:
        """Line for lists."""
        return f"map of {self.data.title_of_graph()}"


def default_graph_evaluation(run: GraphRun, **changes: Any) -> GraphEvaluate:
    """The evaluation that belongs to a run (its own network and protocol), with some fields changed."""
    own = run.follow_ups()[0]
    assert isinstance(own, GraphEvaluate)
    return own.replace(**changes)
