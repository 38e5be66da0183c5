"""Graphs from the command line: made, judged, exported, listed, and refused in one sentence."""

from __future__ import annotations

import json

import pytest

from ddcore.cli import program
from ddcore.graphs.exports import load_graph_set
from ddcore.tasks import jobs, worker
from tests.graphs import made

SMALLEST = ("epochs=2", "outer=2", "inner=1", "protocol=short")


@pytest.fixture
def ask(store, monkeypatch, capsys):
    """A command in this process, what it queues computed at once; its answer as JSON."""

    def launch(tasks):
        for task in tasks:
            worker.run_task(store, task, task.spec(), "cpu")

    monkeypatch.setattr(jobs, "launch", launch)

    def run(*arguments, code=0):
        capsys.readouterr()
        assert program.main([*map(str, arguments), "--json"]) == code
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    return run


def test_a_graph_is_made_judged_and_exported(ask, tmp_path, capsys):
    path = made.data(tmp_path).path
    settings = [part for each in SMALLEST for part in ("--set", each)]
    found = ask("distil", "gcond-x", "--dataset", path, "--ratio", 0.25, *settings)
    assert (found["method"], found["nodes"], found["edges"]) == ("gcond-x", 6, 0)
    rows = {row["subject"]: row for row in found["rows"]}
    assert rows["class_mean"]["nodes"] == 3 and rows["distilled"]["best_validation"]["n"] == 2
    assert ask("distil", "gcond-x", "--dataset", path, "--ratio", 0.25, *settings) == found
    more = ask(
        "evaluate", found["key"], "--arch", "mlp", "--baseline", "kcenter", "--threshold", 0.5
    )
    assert {r["arch"] for r in more["rows"]} == {"mlp"} and more["protocol"] == "short"
    assert "kcenter" in {r["subject"] for r in more["rows"]}
    assert [r["threshold"] for r in more["rows"] if r["subject"] == "distilled"] == [0.0, 0.5]
    out = ask("export", found["key"], "--format", "npz", tmp_path / "out.npz")["path"]
    assert load_graph_set(out).run_key == found["key"]
    listed = {row["key"]: row for row in ask("list", "runs")}
    assert listed[found["key"]]["ratio"] == 0.25
    assert program.main(["evaluate", found["key"]]) == 0
    assert "best validation" in capsys.readouterr().out


def test_lists_name_methods_graphs_and_protocols(ask):
    assert {"gcond", "gcond-x", "dm"} <= {row["name"] for row in ask("list", "methods")}
    assert {"cora", "citeseer"} <= {row["name"] for row in ask("list", "datasets")}
    assert "gcond-paper" in {row["name"] for row in ask("list", "protocols")}
    fields = ask("fields", "gcond")
    assert "neighbours" in {row["field"] for row in fields["Of `gcond`"]}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("gcond", "--ipc", 1),
            "ipc = 1 is not allowed: expected no such option with gcond: say --ratio.",
        ),
        (
            ("dm", "--ratio", 0.5),
            "ratio = 0.5 is not allowed: expected no such option with dm: say --ipc.",
        ),
        (
            ("gcond", "--dataset", "digits"),
            "dataset = 'digits' is not allowed: expected a graph for gcond",
        ),
        (
            ("gcond", "--dataset", "nowhere"),
            "expected one of the graphs cora, citeseer, or the path of one",
        ),
        (
            ("gcond", "--ratio", 2),
            "ratio = 2.0 is not allowed: expected a number from 0.0001 to 1.",
        ),
        (
            ("gcond", "--preset", "hour"),
            "preset = 'hour' is not allowed: expected one of quick, teaching",
        ),
    ],
)
def test_what_does_not_fit_is_one_sentence(ask, arguments, sentence):
    assert sentence in ask("distil", *arguments, code=2)["error"]


def test_an_estimate_starts_nothing(store, capsys):
    assert program.main(["distil", "gcond", "--ratio", "0.5", "--dry-run"]) == 0
    assert "about 60 s of one core" in capsys.readouterr().out
    assert not list(store.tasks())
