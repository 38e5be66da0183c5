"""Figures for papers on pages of single runs: what is offered, that it can be drawn, and its numbers."""

from __future__ import annotations

import pytest

from analysis.printed import panel, table
from analysis.single.race import RaceTask
from ddcore.data.lookup import resolve
from ddcore.tasks.worker import Context
from pages.components import take_away
from tests.pages.fakes import decoded, done, evaluated, text

BEGINS = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xm"}


@pytest.fixture
def offered(monkeypatch):
    """By the key of each button: titles, panels, line and beginning of file names."""
    found = {}

    def popover(titles, draw, *, key, stem, line):
        found[key] = list(titles), draw(), line, stem

    monkeypatch.setattr(take_away, "popover", popover)
    return found


def printed(panels) -> list[list[dict]]:
    """The rows of each panel, once all formats have been drawn at both widths."""
    for each in panels:
        for format in panel.FORMATS:
            for width in panel.WIDTHS:
                content = panel.content(each, format, width, "Run 0.")
                assert content[:4] == BEGINS[format], (each.title, format, width)
    return [table.rows(each.figure) for each in panels]


@pytest.mark.parametrize("log", ["false", "true"])
def test_curves_of_a_run(visit, store, offered, log):
    run = done(store)
    visit("3_Run.py", run=run.key, log=log)
    titles, panels, line, stem = offered["run.curves"]
    assert titles == [each.title for each in panels] == ["Loss", "Validation accuracy"]
    assert (
        f"Run {run.key[:8]}, seed 0; computed on cpu in 12 s;" in line and stem == f"run-{run.key}"
    )
    loss, validation = printed(panels)
    told = [(e["step"], e["loss"]) for e in run.events() if "loss" in e]
    assert [(row["x"], row["y"]) for row in loss] == told
    assert [(row["x"], row["y"]) for row in validation] == [(20, 0.8)]
    axes = [each.figure.layout.yaxis for each in panels]
    assert [axis.title.text for axis in axes] == ["loss", "validation accuracy"]
    assert [axis.type for axis in axes] == ["log" if log == "true" else None, None]


def test_a_run_without_curves_offers_none(visit, store, offered):
    run = done(store)
    (run.folder / "events.jsonl").write_text("")
    visit("3_Run.py", run=run.key)
    assert not offered


def test_every_network_of_an_evaluation(visit, store, offered):
    run = done(store)
    task = evaluated(store, run.spec())
    visit("5_Evaluate.py", run=run.key)
    _, panels, line, _ = offered["evaluate.figures"]
    for word in (run.key[:8], "n = 2 networks", f"evaluation {task.key[:8]}", "protocol quick"):
        assert word in line
    (rows,) = printed(panels)
    own = [row["x"] for row in rows if row["series"] == row["y"] == "Distilled"]
    assert own == task.result()["rows"][0]["accuracies"]


def test_the_race_and_the_cliff_of_exact_distillation(visit, store, offered):
    decoded(store)
    race = RaceTask(data=resolve("digits"))
    task = store.create(race)
    kip = [{"seconds": s, "agreement": a} for s, a in ((0.0, 0.1), (0.5, 0.6), (2.0, 0.9))]
    seconds = {"construct_seconds": 0.01, "kip_seconds": 2.0, "model_seconds": 0.1}
    shares = {"agreement": 1.0, "kip_agreement": 0.9, "ratio": 200.0, "points": 10}
    found = {"kip": kip, **seconds, **shares, "ceilings": [], "device": "cpu"}
    Context(store, task, race, "cpu").save_result(found)
    task.finish()
    visit("2_Exact.py", live="1")
    _, panels, line, _ = offered["exact.race"]
    assert f"Race {task.key[:8]}; seed 0; on cpu" in line
    (rows,) = printed(panels)
    drawn = {row["series"]: (row["x"], row["y"]) for row in rows}
    assert drawn == {"closed form": (0.01, 1.0), "KIP": (2.0, 0.9)}
    _, panels, line, _ = offered["exact.curve"]
    assert "Closed form on digits, pixels" in line
    (rows,) = printed(panels)
    errors = {row["x"]: row["y"] for row in rows if row["series"] == "from noise"}
    assert errors[9] > 1e-3 and errors[10] < 1e-8


def test_the_button_is_on_the_page(visit, store):
    run = done(store)
    app = visit("3_Run.py", run=run.key)
    assert "Figures for papers" in [b.proto.popover.label for b in app.get("popover")]
    chosen = app.selectbox(key="run.curves.panel")
    assert chosen.options == ["All panels (zip)", "Loss", "Validation accuracy"]
    assert f"Run {run.key[:8]}, seed 0" in text(app)
    app = visit("3_Run.py", run=run.key, teach="hide-downloads")
    assert not app.exception
