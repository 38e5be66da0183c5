"""The shipped graphs: what is there belongs to this code, is small, and is what the docs say."""

from __future__ import annotations

import numpy as np

from ddcore.base import paths
from ddcore.graphs.artefact import GraphSet
from ddcore.graphs.contract import GraphRun, make_graph_run
from ddcore.graphs.measure_spec import GraphMap, default_graph_evaluation
from ddcore.recipes import graphs
from ddcore.tasks import jobs
from ddcore.tasks.store import Store
from ddcore.tasks.worker import run_task
from tests.graphs import made

SHIPPED = Store(paths.GALLERY, gallery=None)
KINDS = ("graph_run", "graph_evaluate", "graph_map")


def test_what_is_shipped_is_small_and_promised():
    promised = {spec.key for spec in graphs.graph_tasks()}
    found = [task for kind in KINDS for task in SHIPPED.tasks(kind)]
    assert found and {task.key for task in found} <= promised
    assert sum(task.bytes_on_disk() for task in found) < 1.5e6
    assert not list(SHIPPED.tasks("graph")) and not list(SHIPPED.tasks("graph_accuracy"))
    for task in SHIPPED.tasks("graph_run"):
        assert task.spec_as(GraphRun).seed == 0


def test_the_largest_set_of_cora_is_there_with_its_evaluation_and_map():
    run = graphs.graph_runs(0)[0]
    task = SHIPPED.task(run)
    made_by = GraphSet.from_task(task)
    assert made_by.features.shape == (70, 1433) and np.bincount(made_by.labels).tolist() == [10] * 7
    assert task.snapshot_steps()[0] == 0 and task.snapshot_steps()[-1] == run.params.epochs
    rows = {r["subject"]: r for r in SHIPPED.task(default_graph_evaluation(run)).result()["rows"]}
    assert {"distilled", "class_mean", "kmeans", "random", "whole"} <= set(rows)
    assert rows["class_mean"]["nodes"] == 7 and rows["whole"]["nodes"] == 2708
    assert len(SHIPPED.task(GraphMap(data=run.data)).arrays()["places"]) == 2708


def test_the_table_in_the_docs_is_that_of_the_gallery():
    text = (paths.PROJECT / "docs" / "graphs.md").read_text()
    shown = text.split("<!-- graph table -->\n")[1].split("\n<!-- end -->")[0]
    assert shown == graphs.graph_table(SHIPPED), "put in what `gallery --graphs --table` prints"


def test_a_run_is_shipped_with_some_snapshots_and_other_seeds_as_figures(
    store, tmp_path, monkeypatch
):
    data, small = (
        made.data(tmp_path),
        [("outer", "1"), ("inner", "1"), ("hidden", "4"), ("epochs", "40")],
    )

    def runs(seed):
        return [make_graph_run("gcond", data, seed=seed, settings=[*small, ("protocol", "short")])]

    def wait(store, task):
        run_task(store, task, task.spec(), "cpu")
        return task

    monkeypatch.setattr(graphs, "graph_runs", runs)
    monkeypatch.setattr(graphs, "SEEDS", (0, 1))
    monkeypatch.setattr(graphs, "GraphData", lambda name: data)
    monkeypatch.setattr(graphs, "evaluations", lambda run: [default_graph_evaluation(run)])
    monkeypatch.setattr(jobs, "submit", lambda store, specs: [store.create(s) for s in specs])
    keys = graphs.build_graphs(wait, tmp_path / "gallery")
    shipped = Store(tmp_path / "gallery", gallery=None)
    first, second = runs(0)[0], runs(1)[0]
    assert shipped.task(first).is_done() and not shipped.task(second).exists()
    assert {first.key, *(default_graph_evaluation(r).key for r in (first, second))} <= set(keys)
    assert [p for t in shipped.tasks() for p in t.verify()] == []
    steps = shipped.task(first).snapshot_steps()
    assert len(steps) == graphs.SNAPSHOTS < len(store.task(first).snapshot_steps())
    assert (steps[0], steps[-1]) == (0, 40)
    assert not (shipped.task(first).folder / "log.txt").exists()
    assert "condensed" in graphs.graph_table(shipped) and "2 seeds" in graphs.graph_table(shipped)
