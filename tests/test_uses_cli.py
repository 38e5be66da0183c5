"""`continual` and `search`: what the arguments name, told for people and as JSON, refused in one sentence."""

from __future__ import annotations

import json

import pytest

import ddx
from analysis.__main__ import _parser
from analysis.uses.commands import continual_specs
from analysis.uses.search.spec import SPACES, SearchTask
from ddcore.data import resolve
from ddcore.data.spec import dataset_task
from ddcore.tasks import worker
from tests.pages import fake_uses
from tests.pages.fakes import done

TINY = "--steps 2 --orders 2 --nets 1 --net mlp-8 --ipc 1 --set iterations=1 --set validations=1"
ASKED = f"continual --source random dm {TINY}"


def told(capsys, arguments: str) -> dict:
    assert ddx.main(f"{arguments} --json".split()) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_continual_computes_what_is_asked_for(store, capsys):
    for wanted in (
        dataset_task(resolve("digits")),
        *continual_specs(
            _parser("").parse_args(ASKED.split()), resolve("digits", preprocess="scale"), store
        ),
    ):
        if not store.task(wanted).is_done():
            worker.run_task(store, store.create(wanted), wanted, "cpu")
    found = told(capsys, ASKED)
    rows = {(row["strategy"], row["source"], row["steps"]) for row in found["rows"]}
    assert rows == {
        ("scratch", "random", 2),
        ("scratch", "dm", 2),
        ("finetune", "none", 2),
        ("joint", "none", 2),
        ("scratch", "dm", 1),
    }
    assert all(row["accuracy"]["n"] == 2 for row in found["rows"])
    (cost,) = found["unseen"]
    assert cost["low"] <= cost["difference"] <= cost["high"] or cost["n"] == 2
    assert "on all 10 classes after the last step" in found["answer"]
    assert ddx.main(ASKED.split()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Kept") and len([x for x in lines if " per class  " in x]) == 2
    assert any("made of all classes at once" in line for line in lines)


def test_dry_runs_compute_nothing(store, capsys):
    rows = told(capsys, f"{ASKED} --dry-run")
    assert len(rows) == 5 and all("about" in row["estimate"] for row in rows)
    (row,) = told(capsys, "search --dry-run")
    assert row["key"] == SearchTask().key
    assert not list(store.root.glob("*/*/done.json"))
    fake_uses.searched(store, nets=3, space=SPACES["small"])
    (row,) = told(capsys, "search --dry-run")
    assert row["estimate"] == "done"


def test_search_tells_its_table(store, capsys):
    fake_uses.searched(store, nets=3, space=SPACES["small"])
    found = told(capsys, "search")
    assert found["networks"] == 72 and len(found["rows"]) == 5
    assert found["rows"][0]["rho"]["all"]["low"] < found["rows"][0]["rho"]["all"]["rho"]
    assert 0 <= found["rows"][0]["best_of_five"]["regret"] <= 0.65
    assert ddx.main(["search"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Ranked by") and "would reach ρ =" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("continual --source magic --dry-run", "source = 'magic' is not allowed: expected one of"),
        ("continual --steps 11 --dry-run", "steps = 11 is not allowed: expected a number from 1"),
        ("continual --source kip --dry-run", "distill.method = 'kip' is not allowed: expected a"),
        ("continual --strategy x --dry-run", "strategy = 'x' is not allowed: expected one of"),
        ("continual --net magic --dry-run", "net = 'magic' is not allowed: expected an"),
        ("search --space x --dry-run", "space = 'x' is not allowed: expected one of small, dc"),
        ("search --run zz --dry-run", "No single set 'zz' here"),
        (
            "search --run SET --dataset mnist --dry-run",
            "(Digits)' is not allowed: expected sets made",
        ),
        ("search --set space.widths=0 --dry-run", "widths = (0,) is not allowed: expected"),
        ("search --set space --dry-run", "write field=value"),
    ],
)
def test_mistakes_are_one_sentence(store, capsys, arguments, words):
    made = done(store).key
    assert ddx.main([made if word == "SET" else word for word in arguments.split()]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ") and words in error and "\n" not in error
