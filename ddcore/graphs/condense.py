"""The run of a method for graphs: the outer `loop`, with validation, snapshots and what is kept."""

from __future__ import annotations

import statistics
from typing import Any, Protocol

import numpy as np
import torch

from ddcore.base import rng
from ddcore.base.spread import summary
from ddcore.distil.loop import Driven, Loop
from ddcore.graphs.artefact import GraphSet
from ddcore.graphs.contract import GraphRun, graph_method
from ddcore.graphs.graph import Graph
from ddcore.graphs.judge import Bench
from ddcore.graphs.places import plane
from ddcore.graphs.problem import GraphProblem
from ddcore.tasks.worker import Context

SNAPSHOTS = 30
LEVELS = 255  # of an edge in a snapshot: to be looked at


class DrivenGraph(Driven, Protocol):
    """What a method for graphs hands to the loop."""

    features: torch.Tensor
    labels: torch.Tensor

    def adjacency(self) -> torch.Tensor:
        """A' (n, n)."""


def load(context: Context, data: Any) -> Graph:
    """The graph as a run uses it, read now if it has not been."""
    task = context.need(data.task())
    names = tuple(task.result()["class_names"])
    return Graph.from_arrays(task.arrays(), names).scaled(data.scale)


def run(context: Context[GraphRun]) -> None:
    """Task `graph_run`."""
    spec = context.spec
    graph = load(context, spec.data)
    if context.device == "cpu":
        torch.set_num_threads(1)  # matrices of a hundred rows gain nothing from more
    problem = GraphProblem(spec.seed, spec.ratio, spec.params, graph, context.device)
    distiller = graph_method(spec.method).build(problem)
    run = _GraphLoop(context, distiller, graph)  # type: ignore[arg-type]
    run.restore()
    run.loop()
    run.finish()


def snapshot_epochs(total: int) -> set[int]:
    """Epochs at which the set is kept for looking at: the first ones, then evenly."""
    even = {round(i * total / SNAPSHOTS) for i in range(SNAPSHOTS + 1)}
    return {e for e in {0, 1, 2, 5, 10} | even if e <= total}


class _GraphLoop(Loop):
    def __init__(self, context: Context[GraphRun], distiller: DrivenGraph, graph: Graph) -> None:
        self.spec, self.graph, self.made_by = context.spec, graph, distiller
        self.plane = plane(graph)
        total = self.spec.params.epochs
        super().__init__(
            context,
            distiller,
            total,
            validations=self.spec.validations,
            snapshot_at=snapshot_epochs(total),
        )
        self.bench = Bench(graph, self.spec.net, context.device)

    def snapshot(self) -> None:
        """Edges in 8 bits, and where the nodes lie in the map of the real graph."""
        made = self.current()
        codes = np.rint(made.adjacency * LEVELS).astype(np.uint8)
        places = self.plane.of(made.smoothed())
        self.context.save_snapshot(self.step, {"edges": codes, "places": places})

    def validate(self) -> float:
        """Mean validation accuracy of a few fresh networks, each at its best look."""
        lesson = self.bench.of_set(self.current())
        seeds = [rng.derive(self.spec.seed, "validation", i) for i in range(self.spec.val_nets)]
        found = [self.bench.judge(lesson, self.spec.protocol, s).validation for s in seeds]
        score = statistics.fmean(found)
        self.keep(score, summary(found))
        return score

    def current(self) -> GraphSet:
        """The set as it stands, as it would be kept."""
        spec, of = self.spec, self.made_by
        with torch.no_grad():
            features, edges = of.features.detach(), of.adjacency()
            edges = (
                edges + edges.T
            ) / 2  # sigmoids of equal numbers may differ in their last digit
        return GraphSet(
            features=features.cpu().numpy(),
            adjacency=edges.cpu().numpy(),
            labels=of.labels.cpu().numpy(),
            class_names=self.graph.class_names,
            method=spec.method,
            run_key=spec.key,
            data=spec.data.to_dict(),
            params=spec.params.to_dict(),
        ).rounded()

    def finish(self) -> None:
        """Write the set that is kept, and what it took."""
        self.load_arrays(self.best_arrays)
        made = self.current()
        meta = made.write(self.context)
        self.context.save_result(
            {
                "set": meta,
                "validation": self.best.get("of"),
                "best_epoch": self.best["step"],
                "epochs": self.total,
                "nodes": len(made.labels),
                "edges": made.edge_count(),
                "bytes": made.stored_bytes(),
                "halvings": self.halvings,
                "seconds": self.context.seconds,
                "cpu_seconds": self.context.cpu_seconds,
                "device": self.context.device,
            }
        )
