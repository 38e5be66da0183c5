"""`distill`, `evaluate` and `export` where they are about graphs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ddcore.base.errors import NotReady, SpecError
from ddcore.base.spread import figure_text
from ddcore.base.texts import duration, size
from ddcore.cli import console, follow, trackers
from ddcore.graphs.contract import GraphRun, graph_method, graph_methods, make_graph_run
from ddcore.tasks import jobs
from ddcore.tasks.store import Store, Task

KIND = GraphRun.KIND


def is_graph_method(name: str) -> bool:
    """Whether a method makes graphs."""
    return name in graph_methods()


def is_graph_run(store: Store, key: str) -> bool:
    """Whether a key is that of a condensed graph."""
    return store.find(key).kind == KIND


def distill(options: argparse.Namespace) -> int:
    """`distill METHOD` for graphs: run, evaluate beside the baselines, print."""
    from ddcore.graphs.files import is_graph, resolve_graph

    for name, given in (("ipc", options.ipc), ("resolution", options.resolution)):
        if given is not None:
            raise SpecError(name, given, f"no such option with {options.method}: say --ratio")
    dataset = "cora" if options.dataset is None else options.dataset
    if not is_graph(dataset):
        from ddcore.data.registry import datasets

        if dataset in datasets():
            raise SpecError("dataset", dataset, f"a graph for {options.method}, such as cora")
    spec = make_graph_run(
        options.method,
        resolve_graph(dataset),
        ratio=0.5 if options.ratio is None else options.ratio,
        seed=options.seed,
        preset=options.preset,
        settings=[console.setting(s) for s in options.set],
    )
    if options.dry_run:
        seconds = spec.params.epochs * graph_method(spec.method).seconds
        print(
            f"{spec.title()} ({spec.key}): about {duration(seconds)} of one core if it is like 70 nodes "
            "with 1,433 features"
        )
        return 0
    store = Store()
    tasks = jobs.submit(store, [spec, *([] if options.no_evaluate else spec.follow_ups())])
    run = trackers.watch(store, tasks[0], options.log)
    answer = _run_facts(run)
    if not options.no_evaluate:
        answer |= _evaluation_facts(follow.watch(store, tasks[1]))
    console.output(options, answer, lambda: _print(answer))
    return 0


def evaluate(options: argparse.Namespace) -> None:
    """`evaluate RUN` of a condensed graph."""
    from ddcore.graphs.measure_spec import DEFAULT_BASELINES, default_graph_evaluation
    from ddcore.graphs.protocols import graph_protocol

    store = Store()
    run = finished(store, options.run)
    changes: dict[str, Any] = {"seed": options.seed}
    if options.protocol:
        changes["protocol"] = graph_protocol(options.protocol)
        changes["nets"] = changes["protocol"].nets
    if options.nets:
        changes["nets"] = options.nets
    if options.arch:
        changes["archs"] = tuple(dict.fromkeys(options.arch))
    if options.baseline:
        changes["baselines"] = tuple(dict.fromkeys([*DEFAULT_BASELINES, *options.baseline]))
    if options.threshold:
        changes["thresholds"] = tuple(dict.fromkeys([0.0, *options.threshold]))
    task = follow.compute(store, default_graph_evaluation(run.spec_as(GraphRun), **changes))
    answer = _run_facts(run) | _evaluation_facts(task)
    console.output(options, answer, lambda: _print(answer))


def export(options: argparse.Namespace) -> None:
    """`export RUN --format npz OUT` of a condensed graph."""
    from ddcore.graphs.artefact import GraphSet
    from ddcore.graphs.exports import export_graph

    run = finished(Store(), options.run)
    made = GraphSet.from_task(run)
    out = export_graph(made, options.format, Path(options.out), force=options.force)
    console.output(options, {"key": run.key, "path": str(out)}, lambda: print(out))


def finished(store: Store, key: str) -> Task:
    """The finished run of that key."""
    task = store.find(key)
    if not task.is_done():
        raise NotReady(f"Run {key} is not finished ({jobs.state(task)['state']}).")
    return task


def _run_facts(task: Task) -> dict[str, Any]:
    result, spec = task.result(), task.spec_as(GraphRun)
    kept = ("nodes", "edges", "bytes", "seconds", "cpu_seconds", "device")
    return {
        "key": task.key,
        "state": "done",
        "method": spec.method,
        "dataset": spec.data.title_of_graph() if spec.data.path else spec.data.name,
        "ratio": spec.ratio,
        "seed": spec.seed,
        **{name: result[name] for name in kept},
        "validation_accuracy": result["validation"],
        "folder": str(task.folder),
    }


def _evaluation_facts(task: Task) -> dict[str, Any]:
    from ddcore.graphs.measure_spec import GraphEvaluate

    protocol = task.spec_as(GraphEvaluate).protocol
    rows = [
        {
            "subject": row["subject"],
            "arch": row["arch"],
            "threshold": row["threshold"],
            "nodes": row["nodes"],
            "edges": row["edges"],
            "bytes": row["bytes"],
            "best_validation": console.figure(row["best"]),
            "last_epoch": console.figure(row["last"]),
        }
        for row in task.result()["rows"]
    ]
    return {"evaluation": task.key, "protocol": protocol.name, "rows": rows}


def _print(answer: dict[str, Any]) -> None:
    print(
        f"run {answer['key']}: {answer['method']} on {answer['dataset']}, {answer['nodes']} nodes, "
        f"{answer['edges']} edges, {size(answer['bytes'])}, {answer['seconds']:.0f} s"
    )
    if "rows" not in answer:
        return
    print(f"test accuracy, protocol {answer['protocol']}:")
    print(f"  {'':34s} {'best validation':24s} {'last epoch':24s} nodes, size")
    for row in answer["rows"]:
        name = f"{row['subject']}, {row['arch']}"
        name += f", edges above {row['threshold']:g}" if row["threshold"] else ""
        best, last = figure_text(row["best_validation"]), figure_text(row["last_epoch"])
        print(f"  {name:34s} {best:24s} {last:24s} {row['nodes']:,}, {size(row['bytes'])}")
