"""`ddx sweep`: what is told for people, as JSON and in files, and what is refused before anything starts."""

from __future__ import annotations

import csv
import json

import pytest

import ddx
from ddcore.data import dataset_task, resolve
from ddcore.sweeps import axes, cells, file
from ddcore.tasks import worker
from tests.pages.fakes import done, evaluated
from tests.sweeps.tiny import FIXED

ASKED = ["--method", "dm", "dc", "--seed", "0-1"]


def told(capsys, *arguments: str) -> dict:
    assert ddx.main(["sweep", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def made(store):
    """The digits, and every cell of `ASKED` as if it had been computed."""
    wanted = dataset_task(resolve("digits"))
    worker.run_task(store, store.create(wanted), wanted, "cpu")
    asked = axes.make(method=["dm", "dc"], seed=["0-1"])
    found = cells.expand("x", asked, cells.stored(store, asked.dataset))
    for cell in found:
        done(store, cell.run)
        evaluated(store, cell.run)
    return found


def test_the_table_is_told_and_written(store, capsys, made, tmp_path):
    outs = [str(tmp_path / name) for name in ("table.csv", "cells.csv")]
    found = told(capsys, "one", *ASKED, "--csv", outs[0], "--cells", outs[1])
    assert found["states"] == {"done": 4} and found["compared"] == 2
    assert [(r["method"], r["n"], r["sd"]) for r in found["rows"]] == [("dm", 2, 0), ("dc", 2, 0)]
    assert found["rows"][0]["mean"] == pytest.approx(0.812)
    (best,) = found["best"]
    assert best["compared"] == 2 and best["validation"]["mean"] == pytest.approx(0.84)
    (difference,) = found["differences"]
    assert difference["p"] is None and not difference["more_than_chance"]  # no spread at all
    with open(outs[0], newline="") as table, open(outs[1], newline="") as every:
        rows, each = list(csv.DictReader(table)), list(csv.DictReader(every))
    assert [float(row["mean"]) for row in rows] == pytest.approx([0.812, 0.812])
    assert [row["run"] for row in each] == [cell.run.key for cell in made]
    assert ddx.main(["sweep", "one", "--csv", outs[0]]) == 2
    assert "is there already" in capsys.readouterr().err


def test_a_sweep_goes_on_by_its_name_and_is_listed(store, capsys, made):
    told(capsys, "one", *ASKED)
    again = told(capsys, "one")
    assert again["states"] == {"done": 4}
    listed, shipped = told(capsys)
    assert shipped["name"] == "digits" and shipped["progress"] == "40 of 40 cells done."
    assert listed["progress"] == "4 of 4 cells done."
    assert listed["command"].startswith("ddx sweep one --method dm dc --dataset digits")
    assert ddx.main(["sweep", "one"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("method  Test accuracy") and lines[-1] == "4 of 4 cells done."
    assert any("best of 2 on validation images; on test images 81.2" in line for line in lines)


def test_what_cannot_be_run_is_listed_before_anything_starts(store, capsys, made):
    asked = ["two", "--method", "dm", "kip", "--seed", "0-1", "--set", "momentum=0.5"]
    before = sorted(store.root.rglob("*"))
    assert ddx.main(["sweep", *asked]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("cannot be run: method kip, dataset digits, preset quick, ipc 1, ")
    assert "(2 seeds): momentum = '0.5' is not allowed: expected one of" in lines[0]
    assert lines[1].startswith("error: 2 of 4 cells cannot be run, so that nothing was started")
    assert sorted(store.root.rglob("*")) == before, "nothing was queued or kept"
    # dm's usual momentum is 0.5: those cells are there.
    found = told(capsys, *asked, "--skip-invalid")
    assert found["states"] == {"done": 2, "invalid": 2} and len(found["invalid"]) == 1
    assert ddx.main(["sweep", "two", "--method", "kip", "--set", "momentum=0.5"]) == 2
    assert "No cell of this sweep can be run" in capsys.readouterr().err


def test_a_dry_run_starts_and_keeps_nothing(store, capsys, made):
    asked = ["--method", "dm", "--seed", "0-2", "--search", "3", "--over", "lr=log:0.1:1"]
    found = told(capsys, "three", *asked, *FIXED, "--dry-run")
    assert len(found["cells"]) == 9 and found["seconds"] > 0 and not found["invalid"]
    assert {cell["state"] for cell in found["cells"]} == {"missing"}
    assert len({cell["lr"] for cell in found["cells"]}) == 3
    assert not file.names(store) and len(list(store.root.glob("distill/*"))) == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("none", "There is no sweep none: there are digits."),
        ("none --table", "There is no sweep none"),
        ("UP --method dm", "name = 'UP' is not allowed: expected small letters"),
        ("a --ipc 10", "Axes need methods: say --method"),
        ("a --method magic", "method = 'magic' is not allowed: expected one of"),
        ("a --method dm --at-once 0", "at-once = 0 is not allowed: expected a number from 1"),
        (
            "a --method dm dc --compare ipc",
            "compare = 'ipc' is not allowed: expected one of method",
        ),
        ("a --method dm --compare ipc", "expected none, since nothing is varied"),
    ],
)
def test_mistakes_are_one_sentence(store, capsys, arguments, words):
    assert ddx.main(["sweep", *arguments.split()]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ") and words in error and "\n" not in error
