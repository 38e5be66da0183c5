"""The Runs page: rows, filters, what is written on runs, deleting with a way back."""

from __future__ import annotations

import csv
import io
import zipfile

import numpy as np
import pytest

from ddcore.tasks import notes, trash
from ddcore.tasks.store import Store
from pages.components import library, library_export, library_table, permissions, thumbnails
from tests.pages.fakes import done, evaluated, put, spec, text

PAGE = "4_Runs.py"


@pytest.fixture
def three(store):
    """Three runs, the first with an evaluation."""
    runs = [done(store, spec(seed=seed)) for seed in range(2)]
    runs.append(done(store, spec(ipc=1, seed=2, settings=[("lr", "0.5")])))
    evaluated(store, runs[0].spec())
    return runs


@pytest.fixture
def gallery(store):
    """A shipped run."""
    return done(Store(store.gallery, None), spec(seed=7))


def table(app):
    """The last table of the page by columns."""
    return app.dataframe[-1].value


def chosen(app, *keys):
    """Select rows as a click would, and rerun."""
    app.session_state[library_table.CHOSEN] = keys
    app.session_state[library_table.TIMES] = 9
    app.run()
    assert not app.exception, app.exception
    return app


def button(app, key):
    """Press a button."""
    app.button(key=key).click().run()
    assert not app.exception, app.exception
    return app


def test_an_empty_store_says_what_to_do(visit):
    assert "no finished run yet" in text(visit(PAGE))


def test_every_finished_run_is_a_row(visit, store, three, gallery):
    put(store, spec(seed=99), "failed", message="no")
    shown = table(visit(PAGE))
    assert set(shown["Key"]) == {t.key for t in (*three, gallery)}
    row = shown[shown["Key"] == three[0].key].iloc[0]
    assert row["Method"] == "Distribution matching" and row["Data"] == "Digits"
    assert (row["Test accuracy, %"], row["Random, %"]) == (" 81.2 ± 2.0 (2)", " 63.4 ± 2.0 (2)")
    assert row["Class mean, %"] == " 79.9 ± 2.0 (2)" and row["Cost, s"] == 12
    assert row["Images"].startswith("data:image/png;base64,")
    assert shown[shown["Key"] == gallery.key].iloc[0]["From"] == "shipped"
    assert "Name" not in shown and "Tags" not in shown  # nothing is written there


def test_filters_are_in_the_link(visit, store, three):
    notes.change(store, three[1].key, name="Mine", add=["paper"], starred=True, text="Odd start")
    mine = {three[1].key}
    for query in ({"tag": "paper"}, {"starred": "true"}, {"q": "ODD mine"}, {"q": three[1].key}):
        app = visit(PAGE, **query)
        assert set(table(app)["Key"]) == mine, query
        assert "1 of 3 runs" in text(app)
    assert set(table(visit(PAGE, q="lr=0.5"))["Key"]) == {three[2].key}
    assert len(table(visit(PAGE, ipc="1", method="Distribution matching", dataset="Digits"))) == 3
    app = visit(PAGE, q="nothing like it")
    assert "No run matches nothing like it" in text(app) and not app.dataframe
    assert len(table(button(app, "runs.all"))) == 3


def test_sorting_is_over_all_runs(visit, store, three):
    notes.change(store, three[2].key, name="A")
    assert table(visit(PAGE, sort="name"))["Key"].iloc[0] == three[2].key
    assert table(visit(PAGE, sort="accuracy"))["Key"].iloc[0] == three[0].key
    newest = table(visit(PAGE))["Finished"]
    assert list(newest) == sorted(newest, reverse=True)


def test_grouping_by_a_setting(visit, store, three):
    app = visit(PAGE, group="params.lr")
    groups = app.dataframe[0].value
    assert list(groups["Runs"]) == [1, 2] or list(groups["Runs"]) == [2, 1]
    assert " 81.2 (1)" in set(groups["Test accuracy, %"])
    assert "group" in table(app)


def test_pages_of_many(visit, store, monkeypatch):
    monkeypatch.setattr(library_table, "PER_PAGE", 2)
    keys = {done(store, spec(seed=seed)).key for seed in range(5)}
    app = visit(PAGE)
    assert len(table(app)) == 2 and "1 to 2 of 5" in text(app)
    seen = set(table(app)["Key"])
    for page in (2, 3):
        app.session_state[library_table.PAGE] = page
        app.run()
        seen |= set(table(app)["Key"])
    assert seen == keys
    app.button(key="runs.select").click().run()
    assert "5 of 5 selected" in text(app)


def test_names_are_written_and_seen_everywhere(visit, store, three):
    key = three[0].key
    app = chosen(visit(PAGE), key)
    next(i for i in app.text_input if i.label == "Name").set_value("Figure 2")
    next(i for i in app.text_area if i.label == "Note").set_value("First try")
    button(app, "runs.do.note")
    assert notes.read(store.root, key) == notes.Note("Figure 2", "First try")
    assert table(app)["Name"].tolist().count("Figure 2") == 1
    assert "First try" in app.text[0].value
    assert "Figure 2" in text(visit("3_Run.py", run=key))
    for page, parameter in (("4_Images.py", "run"), ("6_Compare.py", "runs")):
        app = visit(page, **{parameter: f"{key},{three[1].key}" if parameter == "runs" else key})
        options = [o for w in (*app.selectbox, *app.multiselect) for o in w.options]
        assert any("Figure 2" in str(o) for o in options), page
    assert "Figure 2" in str([e.proto for e in visit("9_Jobs.py").get("page_link")])


def test_stars_and_tags_of_several(visit, store, three):
    keys = [t.key for t in three[:2]]
    app = button(chosen(visit(PAGE), *keys), "runs.do.star")
    assert [notes.read(store.root, k).starred for k in keys] == [True, True]
    assert app.button(key="runs.do.star").label == "Unstar"
    next(m for m in app.multiselect if m.label == "Add").set_value([])
    permissions.note(store, keys, add=["a"])
    assert [notes.read(store.root, k).tags for k in keys] == [("a",), ("a",)]


def test_deleting_can_be_undone(visit, store, three, gallery):
    app = chosen(visit(PAGE), three[0].key, gallery.key)
    assert "1 of these are shipped and cannot be deleted" in text(app)
    button(app, "runs.do.delete")
    assert not three[0].folder.exists() and "1 run moved to the trash" in text(app)
    assert {t.task.kind for t in trash.thrown(store)} == {"distill", "evaluate"}
    assert "Trash (1)" in text(app)
    button(app, "runs.do.undo")
    assert three[0].is_done() and not trash.thrown(store)
    assert set(table(app)["Key"]) == {t.key for t in (*three, gallery)}
    assert table(app)["Test accuracy, %"].str.contains("81.2").any()


def test_the_trash_restores_and_empties(visit, store, three):
    trash.throw(store, three[:2])
    app = button(visit(PAGE), f"runs.do.restore.distill.{three[0].key}")
    assert three[0].is_done()
    button(app, "runs.do.empty")
    assert not trash.thrown(store) and "Trash" not in text(app)


def test_a_shipped_run_alone_offers_no_deletion(visit, store, gallery):
    app = chosen(visit(PAGE), gallery.key)
    assert "This run is shipped and cannot be deleted." in text(app)
    assert "runs.do.delete" not in {b.key for b in app.button}


def test_compare_and_understand_take_the_selected_ones(visit, store, three):
    app = chosen(visit(PAGE), *(t.key for t in three[:2]))
    labels = {b.key: (b.label, b.disabled) for b in app.button}
    assert labels["runs.go.compare"] == ("Compare 2", False)
    assert labels["runs.go.understand"] == ("Understand 2", False)
    app = chosen(visit(PAGE), three[0].key)
    labels = {b.key: (b.label, b.disabled) for b in app.button}
    assert labels["runs.go.compare"] == ("Compare", True)


def test_the_zip_holds_sets_and_a_table(store, three):
    notes.change(store, three[0].key, name="=cmd()", add=["b", "a"])
    rows = [row for row in library.rows(store) if row.key in (three[0].key, three[1].key)]
    assert library_export.refused(rows) == ""
    content = library_export.archive(rows, "npz")
    assert content == library_export.archive(rows, "npz")
    file = zipfile.ZipFile(io.BytesIO(content))
    lines = list(csv.DictReader(io.StringIO(file.read("runs.csv").decode())))
    assert {line["file"] for line in lines} == {n for n in file.namelist() if n != "runs.csv"}
    line = next(line for line in lines if line["key"] == three[0].key)
    assert line["name"] == "'=cmd()" and line["tags"] == "a,b"
    assert (float(line["distilled_mean"]), line["random_n"]) == (0.812, "2")
    with np.load(io.BytesIO(file.read(line["file"]))) as arrays:
        assert arrays["images"].shape == (10, 1, 8, 8)


def test_visitors_read_and_write_nothing(visit, store, three, monkeypatch):
    monkeypatch.setenv(permissions.VISITORS, "1")
    trash.throw(store, [three[2]])
    before = sorted(str(p) for p in store.root.rglob("*"))
    app = chosen(visit(PAGE), three[0].key)
    assert len(table(app)) == 2
    for each in [b for b in app.button if b.key.startswith("runs.do.")]:
        assert each.disabled and "Visitors can look" in each.help, each.key
        each.proto.disabled = False
        each.click().run()
        assert not app.exception
    assert sorted(str(p) for p in store.root.rglob("*")) == before


def test_thumbnails_are_kept_and_made_anew_where_they_cannot_be(store, three, monkeypatch):
    row = library.rows(store)[0]
    made = thumbnails.address(store.root, row.task, (1,), keep=False)
    assert not (store.root / thumbnails.FOLDER).exists()
    assert thumbnails.address(store.root, row.task, (2,), keep=True) == made
    assert (store.root / thumbnails.FOLDER / f"{row.key}.png").exists()
    monkeypatch.setattr(thumbnails, "strip", lambda made: pytest.fail("made again"))
    assert thumbnails.address(store.root, row.task, (3,), keep=True) == made


def test_a_look_at_what_has_not_changed_reads_nothing(store, three, monkeypatch):
    first = library.rows(store)
    for name in ("result", "document", "checked"):
        monkeypatch.setattr(f"ddcore.tasks.store.Task.{name}", lambda *a: pytest.fail("read"))
    assert library.rows(store) == first


def test_a_damaged_run_is_no_row(visit, store, three):
    assert len(table(visit(PAGE))) == 3
    (three[0].folder / "result.json").write_text("{")
    assert three[0].key not in set(table(visit(PAGE))["Key"])


@pytest.mark.parametrize(
    "query",
    [
        {"sort": "zzz", "group": "nope", "ipc": "x", "tag": "<b>", "starred": "maybe"},
        {"q": "x" * 5000},
        {"method": "," * 300},
    ],
)
def test_nonsense_in_a_link_is_no_exception(visit, three, query):
    assert visit(PAGE, **query).title
