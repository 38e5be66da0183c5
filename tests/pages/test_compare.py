"""The Compare page: which runs, which settings differ, figures as stored, images in step."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ddcore.measure.spec import default_evaluation
from ddcore.training.protocols import PROTOCOLS
from pages.components import (
    compare_heads,
    compare_images,
    compare_pair,
    compare_settings,
    compare_views,
    evolution,
)
from tests.pages.fakes import done, evaluated, put, sheets, spec, text
from tests.pages.test_evaluate import measured, three

PAGE = "6_Compare.py"


def labels(app) -> list[str]:
    """What can be clicked."""
    return [b.label for b in app.button]


def htmls(app) -> list[str]:
    """What is drawn as HTML."""
    return [element.proto.body for element in app.get("html")]


def two(store, **changes):
    """Two finished runs of the same size that differ in seed and step size, evaluated."""
    other = {"seed": 1, "settings": [("lr", "2")]} | changes
    tasks = [done(store), done(store, spec(**other))]
    for task in tasks:
        evaluated(store, task.spec())
    return tasks


def link(tasks) -> str:
    """Their keys for a link."""
    return ",".join(task.key for task in tasks)


# --- which runs -----------------------------------------------------------------------------------


def test_empty_says_what_to_do(visit):
    assert "at least two finished runs" in visit(PAGE).info[0].value


def test_one_run_is_not_enough(visit, store):
    done(store)
    assert "at least two finished runs" in visit(PAGE).info[0].value


@pytest.mark.parametrize("runs", ["../../etc/passwd", "0123456789abcdef,<b>x</b>", ",,"])
def test_a_bad_link_is_no_exception(visit, store, runs):
    two(store)
    app = visit(PAGE, runs=runs, share="x", cls="99", protocol="<i>", scale="?")
    assert len(sheets(app)) == 2


def test_at_first_the_current_run_and_one_like_it(visit, store):
    first, second = two(store)
    far = done(store, spec(ipc=2))
    app = visit(PAGE, run=first.key)
    chosen = app.multiselect(key="several.runs").value
    assert set(chosen) == {first.key, second.key}
    assert far.key not in chosen


def test_absent_runs_are_named(visit, store):
    tasks = two(store)
    app = visit(PAGE, runs=f"{link(tasks)},0123456789abcdef")
    assert "0123456789abcdef" in app.warning[0].value
    assert len(sheets(app)) == 2


def test_more_than_eight_runs_are_cut(visit, store):
    tasks = [done(store, spec(seed=s)) for s in range(9)]
    app = visit(PAGE, runs=link(tasks))
    assert len(app.multiselect(key="several.runs").value) == compare_views.MOST
    assert len(sheets(app)) == compare_views.MOST


def test_the_link_follows_the_choice(visit, store):
    tasks = [done(store, spec(seed=s)) for s in range(3)]
    app = visit(PAGE, runs=link(tasks[:2]))
    app.multiselect(key="several.runs").set_value([t.key for t in tasks]).run()
    assert not app.exception
    assert set("".join(app.query_params["runs"]).split(",")) == {t.key for t in tasks}


def test_an_unreadable_set_is_left_out(visit, store):
    tasks = [done(store, spec(seed=s)) for s in range(3)]
    file = tasks[0].folder / "set.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    app = visit(PAGE, runs=link(tasks))
    assert "does not match its checksum" in app.error[0].value
    assert len(sheets(app)) == 2


def test_unfinished_runs_cannot_be_chosen(visit, store):
    tasks = two(store)
    running = put(store, spec(seed=9), "running")
    app = visit(PAGE, runs=link([*tasks, running]))
    assert running.key in app.warning[0].value


# --- budget and settings --------------------------------------------------------------------------


def test_the_budget_of_each_is_stated(visit, store):
    shown = text(visit(PAGE, runs=link(two(store))))
    assert (
        shown.count(
            "**640 numbers** are stored for the images; networks see **10 images**, 1 of each class."
        )
        == 2
    )


def test_only_settings_that_differ_are_listed(visit, store):
    tasks = two(store)
    shown = text(visit(PAGE, runs=link(tasks)))
    order = [t.task.key for t in sides(store, tasks)]
    lr = {tasks[0].key: "1.0", tasks[1].key: "2.0"}
    assert f"| Step size of the images `lr` | {lr[order[0]]} | {lr[order[1]]} |" in shown
    assert "| Seed `seed` |" in shown
    assert "`iterations`" not in shown
    every = compare_settings.settings(sides(store, tasks)[0])
    assert f"{len(every) - 2} other settings are the same." in shown


def sides(store, tasks) -> list[compare_views.Side]:
    """As the page orders them."""
    from pages.components import runs

    keys = {t.key: t for t in tasks}
    cards = [c for c in runs.finished(store) if c.key in keys]
    return [compare_views.Side(i, keys[c.key], c) for i, c in enumerate(cards)]


# --- accuracy -------------------------------------------------------------------------------------


def test_figures_as_stored_and_the_better_one(visit, store):
    tasks = [done(store), done(store, spec(seed=1))]
    for task, own in zip(tasks, (0.9, 0.8)):
        run = task.spec()
        measured(store, run, three(run.net.label(), own, 0.6, 0.7))
    app = visit(PAGE, runs=link(tasks))
    shown = text(app).replace("\N{NO-BREAK SPACE}", " ")
    assert "**90.0 ± 2.0 % (n = 2)**: 10.0 ± 2.8 points more than" in shown
    assert "80.0 ± 2.0 % (n = 2) | 60.0 ± 2.0 % (n = 2) | 70.0 ± 2.0 % (n = 2)" in shown
    heads = [html for html in htmls(app) if 'class="compare-head"' in html]
    assert len(heads) == 2 and all('class="axis"' in head for head in heads)
    assert not app.warning


def test_a_difference_within_the_spread_is_said(visit, store):
    tasks = [done(store), done(store, spec(seed=1))]
    for task, own in zip(tasks, (0.81, 0.80)):
        run = task.spec()
        measured(store, run, three(run.net.label(), own, 0.6, 0.7))
    assert "1.0 ± 2.8 points more than" in (shown := text(visit(PAGE, runs=link(tasks))))
    assert "within the spread" in shown


def test_missing_figures_are_submitted_under_the_chosen_protocol(visit, store):
    tasks = two(store)
    app = visit(PAGE, runs=link(tasks), protocol="t300")
    assert "Not measured yet in this way: **A, B**" in text(app)
    assert sum("not measured yet" in html for html in htmls(app)) == 2
    app.button(key="compare.go").click().run()
    assert not app.exception
    for task in tasks:
        protocol = PROTOCOLS["t300"]
        wanted = default_evaluation(task.key, task.spec(), protocol=protocol, nets=protocol.nets)
        assert store.task(wanted).status()["state"] == "queued"
    assert "Measure" not in labels(app)


def test_one_missing_figure_does_not_hide_the_other(visit, store):
    tasks = [done(store), done(store, spec(seed=1))]
    evaluated(store, tasks[0].spec())
    app = visit(PAGE, runs=link(tasks))
    shown = text(app).replace("\N{NO-BREAK SPACE}", " ")
    assert "81.2 ± 2.0 % (n = 2)" in shown
    assert "Not measured yet in this way" in shown


def test_the_evaluation_with_most_networks_counts(store):
    task = done(store)
    run = task.spec()
    few = three(run.net.label(), 0.5, 0.4, 0.4)
    many = [{**row, "n": 30, "mean": 0.6} for row in few]
    measured(store, run, few)
    measured(store, run, many, nets=30)
    side = sides(store, [task])[0]
    assert compare_views.stored(side, run.protocol)["distilled"]["n"] == 30
    assert compare_views.stored(side, PROTOCOLS["dc"]) == {}


def test_unequal_conditions_are_named(visit, store):
    tasks = two(store, settings=[("net.width", "8")])
    warning = visit(PAGE, runs=link(tasks)).warning[0].value
    assert "differ in more than the way they were made: network." in warning


def test_ordered_protocols_are_offered_only_where_all_have_step_sizes(visit, store):
    from ddcore.data.spec import DataSpec
    from ddcore.distil.settings import make_spec

    ordered = done(store, make_spec("dd2018", DataSpec(), (1, 8, 8)))
    app = visit(PAGE, runs=link([ordered, done(store)]))
    options = app.selectbox(key="choice.protocol").options
    assert not [o for o in options if o.startswith("native-2018:")]
    assert [o for o in options if o.startswith("t300:")]


# --- images ---------------------------------------------------------------------------------------


def test_one_slider_moves_all_sets(visit, store):
    app = visit(PAGE, runs=link(two(store)))
    assert app.select_slider[0].value == compare_images.KEPT
    assert text(app).count("iteration 20 of 20 (kept)") == 2
    app.select_slider[0].set_value("0").run()
    assert not app.exception
    assert "".join(app.query_params["share"]) == "0"
    assert text(app).count("iteration 0 of 20") == 2


def test_a_class_of_all_sets(visit, store):
    app = visit(PAGE, runs=link(two(store)), cls="3")
    told = sheets(app)
    assert set(told) == {"compare.A", "compare.B"}
    for sheet in told.values():
        assert sheet["words"] == ["3, image 1 of 1"]
        assert sheet["together"] == "compare"  # every pixel at the same size


def test_the_chosen_image_is_large_in_all_sets(visit, store):
    app = visit(PAGE, runs=link(two(store)))
    app.query_params[compare_images.CHOSEN] = "4-0"
    app.run()
    assert not app.exception
    assert [sheet["selected"] for sheet in sheets(app).values()] == [[4], [4]]
    assert len(sheets(app, "magnified")) == 2
    app.query_params[compare_images.CHOSEN] = "4-7"  # there is no such image
    app.run()
    assert not sheets(app, "magnified")


def test_shares_find_the_nearest_images(store):
    movie = evolution.of(done(store))
    assert [compare_images.step_at(movie, s) for s in ("0", "45", "55", "100", "kept")] == [
        0,
        0,
        20,
        20,
        20,
    ]


def test_the_class_is_asked_only_where_all_sets_have_the_same(visit, store):
    tasks = two(store)
    assert [p for p in visit(PAGE, runs=link(tasks)).selectbox if p.key == "choice.cls"]
    other = done(store, spec(seed=2))
    result = json.loads((other.folder / "result.json").read_text())
    result["set"]["class_names"] = list("abcdefghij")
    (other.folder / "result.json").write_text(json.dumps(result))
    other.finish()
    app = visit(PAGE, runs=link([tasks[0], other]), cls="3")
    assert len(sheets(app)) == 2
    assert not [p for p in app.selectbox if p.key == "choice.cls"]


# --- a pair ---------------------------------------------------------------------------------------


def test_two_sets_are_wiped_over_each_other(visit, store):
    (told,) = sheets(visit(PAGE, runs=link(two(store)), view="wipe"), "wipe").values()
    assert (told["width"], told["height"]) == (91, 10)  # ten classes of 8 pixels, and gaps
    assert len(told["pictures"]) == 2
    assert [name[0] for name in told["names"]] == ["A", "B"]


def test_a_set_minus_itself_is_grey(monkeypatch):
    shown = []
    monkeypatch.setattr(compare_pair.grid, "show", lambda what, **_: shown.append(what.pixels))
    monkeypatch.setattr(compare_pair.st, "markdown", lambda text: None)
    images = np.random.default_rng(0).random((4, 1, 2, 2), np.float32)
    compare_pair._difference(images, images, (2, 2), ("a", "b"), None, ("A", "B"))
    compare_pair._difference(images, images + 0.5, (2, 2), ("a", "b"), None, ("A", "B"))
    assert (shown[0] == 0.5).all() and np.allclose(shown[1], 1)


def test_sets_without_common_places_cannot_be_laid_over_each_other(visit, store):
    tasks = two(store)
    result = json.loads((tasks[1].folder / "result.json").read_text())
    result["set"]["class_names"] = list("abcdefghij")
    (tasks[1].folder / "result.json").write_text(json.dumps(result))
    tasks[1].finish()
    app = visit(PAGE, runs=link(tasks), view="difference")
    assert "look at them side by side" in app.info[0].value


def test_settings_of_one_method_are_folded(visit, store):
    from ddcore.data.spec import DataSpec
    from ddcore.distil.settings import make_spec

    app = visit(
        PAGE, runs=link([done(store), done(store, make_spec("bptt", DataSpec(), (1, 8, 8)))])
    )
    (folded,) = [e for e in app.expander if "not all methods have" in e.label]
    rows = folded.markdown[0].value.splitlines()[2:]
    assert rows and all("–" in row for row in rows)
    assert folded.label.startswith(f"{len(rows)} ")


def test_all_heads_share_an_axis_around_everything_drawn():
    rows = {"distilled": {"mean": 0.5, "accuracies": [0.4, 0.6]}, "random": {"mean": 0.2}}
    low, high = compare_heads.axis({"A": rows, "B": {"distilled": {"mean": 0.9}}, "C": {}})
    assert 0.1 < low < 0.2 and 0.9 < high < 1.0
