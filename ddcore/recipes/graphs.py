"""The shipped condensed graphs: `python -m ddcore gallery --graphs` computes what is missing and copies all.

Of every size there is one set of gcond to look at; others are shipped as what they reach, since sets are
large.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from ddcore.base import paths
from ddcore.base.specs import TaskSpec
from ddcore.base.spread import figure_text
from ddcore.graphs.contract import GraphRun, make_graph_run
from ddcore.graphs.measure_spec import (
    GRAPH_BASELINES,
    GraphEvaluate,
    GraphMap,
    default_graph_evaluation,
)
from ddcore.graphs.rows import GraphRow, rows_over_seeds, sisters
from ddcore.graphs.spec import GraphData
from ddcore.tasks import jobs
from ddcore.tasks.store import Store, Task
from ddcore.tasks.task import snapshot_name

SIZES = ("cora", 0.5), ("citeseer", 0.5), ("cora", 0.25), ("citeseer", 0.25)
SEEDS = (0, 1, 2)
THRESHOLDS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
SNAPSHOTS = 11  # of a shipped run


def graph_runs(seed: int) -> list[GraphRun]:
    """The runs of a seed, preset quick; without edges only the largest of Cora and one seed."""
    found = [
        make_graph_run("gcond", GraphData(name=name), ratio=ratio, seed=seed)
        for name, ratio in SIZES
    ]
    return found + ([make_graph_run("gcond-x", found[0].data)] if seed == 0 else [])


def evaluations(run: GraphRun) -> list[GraphEvaluate]:
    """What is shown of a run: of the first seed all baselines, of its larger sets other thresholds."""
    found = [default_graph_evaluation(run)]
    if run.seed == 0 and run.method == "gcond":
        found.append(default_graph_evaluation(run, baselines=tuple(GRAPH_BASELINES)))
        if run.ratio == 0.5:
            few = {"thresholds": THRESHOLDS, "baselines": ("class_mean",)}
            found.append(default_graph_evaluation(run, **few))
    return found


def graph_tasks() -> list[TaskSpec]:
    """Everything that is shipped about graphs, in the order in which it is worth having."""
    found: list[TaskSpec] = [GraphMap(data=GraphData(name=n)) for n in ("cora", "citeseer")]
    for seed in SEEDS:
        runs = graph_runs(seed)
        found += [spec for run in runs for spec in (run, *evaluations(run)[:1])]
        found += [spec for run in runs for spec in evaluations(run)[1:]]
    return found


def build_graphs(wait: Callable[[Store, Task], Task], target: Path = paths.GALLERY) -> list[str]:
    """Compute what is missing in the user's store and copy all of it to `target`; returns the keys."""
    store = Store(gallery=None)
    for spec in graph_tasks():
        wait(store, jobs.submit(store, [spec])[0])
    return ship_graphs(target)


def ship_graphs(target: Path = paths.GALLERY) -> list[str]:
    """Copy what there is of it in the user's store to `target`, computing nothing; returns the keys."""
    from ddcore.recipes.gallery import LEFT_OUT

    store, keys = Store(gallery=None), []
    for spec in graph_tasks():
        task = store.task(spec)
        shown = not isinstance(spec, GraphRun) or (spec.method, spec.seed) == ("gcond", SEEDS[0])
        if not task.is_done() or not shown:
            continue
        folder = target / task.kind / task.key
        keys.append(task.key)
        if Task(folder).is_done():  # a second copy would differ by its date alone
            continue
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(task.folder, folder, ignore=LEFT_OUT)
        shipped = Task(folder)
        status = {k: v for k, v in task.status().items() if k not in ("host", "pid")}
        shipped.write_status(**status)
        _thin(shipped)
        shipped.finish()
    return keys


def _thin(task: Task) -> None:
    """Leave some of a run's snapshots, the first and the last among them."""
    steps = task.snapshot_steps()
    places = [round(i * (len(steps) - 1) / (SNAPSHOTS - 1)) for i in range(SNAPSHOTS)]
    for step in set(steps) - {steps[i] for i in places if steps}:
        (task.folder / snapshot_name(step)).unlink()


COLUMNS = {
    "distilled": "condensed",
    "class_mean": "class mean of P²X",
    "kmeans": "k-means of P²X",
    "random": "random nodes",
    "whole": "whole graph",
}


def graph_table(store: Store) -> str:
    """What the shipped sets reach, as the table of docs/graphs.md: best validation / last epoch."""
    head = ["set", *COLUMNS.values(), "published", "CPU seconds"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for run in graph_runs(SEEDS[0]):
        found = [t for t in sisters(store, run) if t.key in {e.key for e in _of_all_seeds(run)}]
        rows = {r.subject: r for r in rows_over_seeds(found, run, run.net, run.protocol.name)}
        if "distilled" not in rows:
            continue
        own, seconds = rows["distilled"], [t.result()["run"]["cpu_seconds"] for t in found]
        name = f"`{run.method}`, {run.data.title_of_graph()}, {own.nodes} nodes, {own.seeds} seed"
        cells = [name + ("s" if own.seeds > 1 else "")]
        cells += [_cell(rows.get(subject)) for subject in COLUMNS]
        cells.append("{:.1f} ± {:.1f}".format(*own.published) if own.published else "")
        lines.append(f"| {' | '.join(cells)} | {max(seconds):.0f} |")
    return "\n".join(lines)


def _of_all_seeds(run: GraphRun) -> list[GraphEvaluate]:
    return [e for seed in SEEDS for e in evaluations(run.replace(seed=seed))]


def _cell(row: GraphRow | None) -> str:
    return f"{figure_text(row.best)} / {figure_text(row.last)}" if row else ""
