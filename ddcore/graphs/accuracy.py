"""Tasks that judge: one accuracy, a run beside its baselines, the map of a real graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from ddcore.base import rng
from ddcore.base.spread import summary
from ddcore.graphs.artefact import GraphSet, matrix_bytes
from ddcore.graphs.baselines import baseline
from ddcore.graphs.condense import load
from ddcore.graphs.graph import Graph, block_means, smoothed
from ddcore.graphs.judge import Bench, GraphJudged, Lesson
from ddcore.graphs.measure_spec import GraphAccuracy, GraphEvaluate, GraphMap
from ddcore.graphs.places import plane
from ddcore.tasks.worker import Context

DRAWN = ("random", "random_smoothed")  # anew for every network


def run_accuracy(context: Context[GraphAccuracy]) -> None:
    """Task `graph_accuracy`: rows "best" and "last", with what the set takes."""
    spec = context.spec
    if context.device == "cpu":
        import torch

        torch.set_num_threads(1)
    graph = load(context, spec.data)
    bench = Bench(graph, spec.net, context.device)
    found: list[GraphJudged] = []
    size: dict[str, Any] = {}
    lesson: Lesson | None = None
    for i in range(spec.nets):
        if lesson is None or spec.subject in DRAWN:
            lesson, size = _lesson(context, bench, graph, i)

        def report(epoch: int, epochs: int, i: int = i) -> None:
            context.progress(i * epochs + epoch, spec.nets * epochs)

        seed = rng.derive(spec.seed, "net", i)
        found.append(bench.judge(lesson, spec.protocol, seed, report))
    context.save_result(
        {
            **size,
            "best": _figure([j.best for j in found]),
            "last": _figure([j.last for j in found]),
            "validation": _figure([j.validation for j in found]),
            "epochs": [j.epoch for j in found],
        }
    )


def _figure(values: list[float]) -> dict[str, Any]:
    return {**summary(values), "values": values}


def _lesson(
    context: Context[GraphAccuracy], bench: Bench, graph: Graph, draw: int
) -> tuple[Lesson, dict[str, Any]]:
    """What networks are trained on, and what it takes: nodes, edges, bytes."""
    spec = context.spec
    if spec.subject == "whole":
        edges = graph.edges.shape[1]
        links = 8 * edges
        takes = matrix_bytes(graph.features) + links + graph.nodes
        return bench.whole(), {"nodes": graph.nodes, "edges": edges, "bytes": takes}
    if spec.of_run is not None:
        made = GraphSet.from_task(context.need(spec.of_run))
    else:

        def embedding() -> np.ndarray:
            seed = rng.derive(spec.seed, "embedding")
            return Bench(graph, "gcn", context.device).embedding(spec.protocol, seed)

        made = baseline(spec.subject, graph, spec.ratio, spec.seed, draw, embedding)
    facts = {
        "nodes": len(made.labels),
        "edges": made.edge_count(spec.threshold),
        "bytes": made.stored_bytes(spec.threshold),
    }
    return bench.of_set(made, spec.threshold), facts


def run_evaluate(context: Context[GraphEvaluate]) -> None:
    """Task `graph_evaluate`: one row per subject, network and threshold."""
    wanted = context.spec.rows()
    rows = []
    for index, row in enumerate(wanted):
        context.progress(index, len(wanted), message=f"{row.subject} in {row.net}")
        task = context.need(row)
        told = {"subject": row.subject, "arch": row.net, "threshold": row.threshold}
        rows.append({**told, "key": task.key, **task.result()})
    run = context.need(context.spec.of_run).result()
    context.progress(len(wanted), len(wanted))
    cost = {name: run[name] for name in ("cpu_seconds", "seconds", "epochs", "nodes")}
    context.save_result({"rows": rows, "run_key": context.spec.of_run.key, "run": cost})


def run_map(context: Context[GraphMap]) -> None:
    """Task `graph_map`: places (N, 2), and per pair of classes the density of the real edges."""
    graph = load(context, context.spec.data)
    places = plane(graph).of(smoothed(graph))
    parts = np.select([graph.train, graph.val, graph.test], [1, 2, 3], 0).astype(np.uint8)
    labels = graph.labels.astype(np.int16)
    context.save_arrays({"places": places, "labels": labels, "parts": parts})
    density = block_means(graph.adjacency(), graph.labels, graph.classes)
    context.save_result({**graph.facts(), "density": density.tolist()})
