"""Rows of evaluations as people compare them: our own set over seeds, baselines beside it. No torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ddcore.base.spread import summary
from ddcore.graphs.contract import GraphRun
from ddcore.graphs.measure_spec import OURS, GraphEvaluate
from ddcore.graphs.published import published
from ddcore.tasks.store import Store, Task


@dataclass(frozen=True)
class GraphRow:
    """A line of the table: two figures (shares) with spread and n, what the set takes, what was published.

    Of our own set figures are over seeds, where there are several: each the mean of its networks.
    """

    subject: str
    best: dict[str, Any]
    last: dict[str, Any]
    nodes: int
    edges: int
    bytes: int
    seeds: int
    published: tuple[float, float] | None


def sisters(store: Store, run: GraphRun) -> list[Task]:
    """Finished evaluations of the same run and of those that differ from it by seed only."""
    found = []
    for task in store.tasks(GraphEvaluate.KIND):
        if (
            task.opens()
            and (spec := task.spec_as(GraphEvaluate)).of_run.replace(seed=run.seed) == run
        ):
            found.append((spec.of_run.seed, task))
    return [task for _, task in sorted(found, key=lambda each: (each[0], each[1].key))]


def rows_over_seeds(
    evaluations: Iterable[Task], run: GraphRun, arch: str, protocol: str
) -> list[GraphRow]:
    """One row per subject in one network at threshold 0, our own first."""
    own: dict[Any, dict[str, Any]] = {}  # by seed
    others: dict[Any, dict[str, Any]] = {}
    for task in evaluations:
        spec = task.spec_as(GraphEvaluate)
        rows = task.result()["rows"] if spec.protocol.name == protocol else []
        for row in rows:
            if row["arch"] == arch and row["threshold"] == 0:
                ours = row["subject"] == OURS
                known, name = (own, spec.of_run.seed) if ours else (others, row["subject"])
                if name not in known or row["best"]["n"] > known[name]["best"]["n"]:
                    known[name] = row
    figures = published(run.data.name, run.ratio, run.method)
    found = [_ours(list(own.values()), figures.get(OURS))] if own else []
    found += [
        GraphRow(
            name,
            row["best"],
            row["last"],
            row["nodes"],
            row["edges"],
            row["bytes"],
            1,
            figures.get(name),
        )
        for name, row in others.items()
    ]
    return found


def _ours(rows: list[dict[str, Any]], figure: tuple[float, float] | None) -> GraphRow:
    first = rows[0]
    several = len(rows) > 1
    best, last = (
        summary([row[column]["mean"] for row in rows]) if several else first[column]
        for column in ("best", "last")
    )
    return GraphRow(
        OURS, best, last, first["nodes"], first["edges"], first["bytes"], len(rows), figure
    )


def protocols_of(evaluations: Iterable[Task]) -> dict[str, tuple[str, ...]]:
    """The networks that each protocol has judged."""
    found: dict[str, dict[str, None]] = {}
    for task in evaluations:
        spec = task.spec_as(GraphEvaluate)
        found.setdefault(spec.protocol.name, {}).update(dict.fromkeys(spec.archs))
    return {name: tuple(archs) for name, archs in found.items()}


def over_thresholds(evaluations: Iterable[Task], run: GraphRun, arch: str) -> list[dict[str, Any]]:
    """The rows of a run's own set by ascending threshold; empty unless there are several."""
    found: dict[float, dict[str, Any]] = {}
    for task in evaluations:
        if task.spec_as(GraphEvaluate).of_run == run:
            for row in task.result()["rows"]:
                if row["subject"] == OURS and row["arch"] == arch:
                    found[row["threshold"]] = row
    return [found[t] for t in sorted(found)] if len(found) > 1 else []
