"""The page Sweeps: a picture, the choice, differences, progress, and what failed."""

from __future__ import annotations

import json

import pytest

from ddcore.sweeps import axes, cells, file
from tests.pages.fakes import done, evaluated, put, text
from tests.pages.hostile import NAME
from tests.pages.test_foreign import check

PAGE = "7_Sweeps.py"


def planned(store, name: str = "first", **asked: object) -> list[cells.SweepCell]:
    made = file.keep(store, name, axes.make(**{"method": ["dm", "dc"], "seed": ["0-1"], **asked}))
    return cells.expand(name, made.axes, cells.stored(store, made.axes.dataset))


def computed(store, found: list[cells.SweepCell]) -> None:
    for cell in found:
        done(store, cell.run)
        evaluated(store, cell.run)


def figure(app) -> dict:
    return json.loads(app.get("plotly_chart")[0].proto.spec)["data"][0]


def test_without_a_sweep_it_says_how_one_is_started(visit, store):
    app = visit(PAGE)
    assert "There is no sweep yet" in text(app)
    assert app.code[0].value.startswith("ddx sweep first --method dm dc")


def test_a_heat_map_its_choice_and_what_is_left(visit, store):
    found = planned(store, ipc=["1", "10"])
    computed(store, found[:6])
    put(store, found[6].run, "failed", message="The run **diverged**.")
    app = visit(PAGE)
    drawn = figure(app)
    assert drawn["type"] == "heatmap" and (drawn["x"], drawn["y"]) == (["1", "10"], ["dm", "dc"])
    assert drawn["text"] == [["81.2 ± 0.0"] * 2, ["81.2 ± 0.0", "–"]]
    said = text(app)
    assert "best of 2 on validation images; on test images 81.2 ± 0.0 % (n = 2)" in said
    assert "(1 not compared" in said
    (error,) = app.error
    assert "dc, digits, quick, 10, 0: failed: The run &#42;&#42;diverged&#42;&#42;" in error.value
    assert "ddx sweep first" in [c.value for c in app.code]
    app.selectbox(key="choice.columns").set_value("method").run()
    assert not app.exception and figure(app)["x"] == ["dm", "dc"]
    assert "".join(app.query_params["columns"]) == "method"
    app.selectbox(key="sweeps.run").set_value(found[0].run.key).run()
    assert not app.exception


def test_along_one_axis_every_seed_is_a_dot(visit, store):
    computed(store, planned(store))
    app = visit(PAGE)
    assert figure(app)["type"] == "scatter" and len(figure(app)["x"]) == 2
    table, differences = (frame.value for frame in app.dataframe)
    assert list(table["Test accuracy"]) == ["81.2 ± 0.0 % (n = 2)"] * 2
    assert list(differences["p"]) == ["not tested"]
    assert "ddx sweep first" not in [c.value for c in app.code], "nothing is left"


def test_a_link_names_the_sweep_and_one_in_vain_is_said(visit, store):
    computed(store, planned(store))
    computed(store, planned(store, "second", method=["dm"]))
    app = visit(PAGE, sweep="first")
    assert figure(app)["y"] == ["dm", "dm"]
    app = visit(PAGE, sweep="third")
    assert ["sweep = 'third' is not allowed" in w.value for w in app.warning] == [True]


def test_while_it_is_computed_the_page_says_how_far_it_is(visit, store, alive):
    found = planned(store)
    computed(store, found[:1])
    alive(put(store, found[1].run, "running"))
    app = visit(PAGE)
    progress = [e.proto for e in app.get("progress")]
    assert [p.text for p in progress] == ["1 of 4 cells done, 1 running, 2 not begun."]
    assert progress[0].value == 25


@pytest.mark.parametrize("damaged", ["{", '{"version": 1}'])
def test_a_damaged_file_is_a_sentence_and_the_others_can_be_chosen(visit, store, damaged):
    planned(store)
    file.path(store, "bad").write_text(damaged)
    app = visit(PAGE, sweep="bad")
    assert "bad.json" in app.error[0].value
    assert set(app.selectbox(key="choice.sweep").options) == {"first", "bad"}


def test_names_of_folders_are_shown_as_they_are(visit, store, tmp_path):
    planned(store, dataset=["digits", str(tmp_path / NAME.replace("/", "_"))])
    assert check(visit(PAGE)) > 0
