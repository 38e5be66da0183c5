"""The page Graphs: a finished run with its evaluation, the sliders, the form, and a store without any."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.single import graphs
from ddcore.graphs.contract import GraphRun, graph_method, make_graph_run
from ddcore.graphs.measure_spec import GraphMap, default_graph_evaluation
from ddcore.tasks import trash
from ddcore.tasks.worker import run_task
from tests.graphs import made
from tests.pages.fakes import put, text

PAGE = "2_Graphs.py"


def compute(store, spec):
    task = store.create(spec)
    run_task(store, task, spec, "cpu")
    return task


def run(folder, method="gcond", **changes) -> GraphRun:
    settings = list(graph_method(method).smallest.items())
    return make_graph_run(method, made.data(folder), settings=settings, **changes)


@pytest.fixture
def judged(store, tmp_path):
    """A finished run, its evaluation at two thresholds, and the map of the real graph."""
    spec = run(tmp_path)
    task = compute(store, spec)
    compute(store, default_graph_evaluation(spec, thresholds=(0.0, 0.5)))
    compute(store, GraphMap(data=spec.data))
    return task


def test_without_a_run_it_offers_to_make_one(visit):
    app = visit(PAGE)
    assert "No graph has been condensed yet" in text(app)


def test_a_run_is_shown_beside_its_baselines(visit, judged):
    shown = text(visit(PAGE, graph=judged.key))
    assert "12 nodes teach a network" in shown and "3 class means of P²X without edges" in shown
    for words in ("Class mean of P²X, no edges", "The whole graph", "Best validation | Last epoch"):
        assert words in shown
    assert "of the weight of all links is within classes" in shown and "of the real edges" in shown
    assert "Links left:" in shown and "Published" not in shown
    row = next(r for r in shown.splitlines() if r.startswith("| Condensed"))
    result = judged.result()
    assert f"| {result['nodes']} | {result['edges']} |" in row


def test_sliders_change_links_and_step_but_no_place(visit, judged):
    app = visit(PAGE, graph=judged.key)
    threshold, step = (
        app.slider(key=f"graphs.threshold.{judged.key}"),
        app.select_slider(key=f"graphs.step.{judged.key}"),
    )
    assert step.value == 2
    threshold.set_value(1.0).run()
    assert not app.exception
    app.select_slider(key=f"graphs.step.{judged.key}").set_value(0).run()
    assert not app.exception


def test_a_set_without_edges_and_without_an_evaluation_says_so(visit, store, tmp_path):
    task = compute(store, run(tmp_path, "gcond-x"))
    shown = text(visit(PAGE))
    assert f"It has not been judged: `ddx evaluate {task.key}` does." in shown
    assert "This set has no edges." in shown
    assert "The real nodes are shown once their map has been computed." in shown


def test_several_seeds_are_one_row_with_their_spread(visit, store, tmp_path):
    means = []
    for seed in (0, 1):
        spec = run(tmp_path, seed=seed)
        compute(store, spec)
        done = compute(store, default_graph_evaluation(spec, baselines=("class_mean",)))
        means.append(done.result()["rows"][0]["best"]["mean"])
    shown = text(visit(PAGE))
    mean, spread = 100 * np.mean(means), 100 * np.std(means, ddof=1)
    assert f"| Condensed | {mean:.1f} ± {spread:.1f} % (n = 2) |" in shown
    assert "of the condensed set its 2 seeds" in shown


def test_a_run_that_stopped_can_be_resumed_from_here(visit, store, tmp_path):
    put(store, run(tmp_path), "cancelled", step=1, total=2, message="Stopped on request.")
    app = visit(PAGE)
    assert "Stopped on request." in text(app) and app.button(key="graphs.pending.resume")


def test_the_form_starts_a_run_with_its_evaluation_and_map(visit, store, tmp_path, monkeypatch):
    monkeypatch.setenv("DD_DATA", str(tmp_path))
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "cora.npz").write_bytes(b"")
    app = visit(PAGE)
    app.button(key="graphs.start").click().run()
    assert not app.exception
    asked = {task.kind: task.spec() for task in store.tasks()}
    assert set(asked) == {"graph_run", "graph_evaluate", "graph_map"}
    spec = asked["graph_run"]
    assert (spec.method, spec.data.name, spec.ratio, spec.params.epochs) == (
        "gcond",
        "cora",
        0.5,
        100,
    )
    assert asked["graph_evaluate"].of_run == spec


def test_a_path_that_is_no_graph_is_a_sentence(visit, store, tmp_path):
    app = visit(PAGE)
    assert "one of the graphs cora, citeseer" in text(app)  # none is here, so it asks for one's own
    app.text_input(key="graphs.path").set_value(str(tmp_path)).run()
    assert not app.exception and "has no edges.txt" in text(app)


# --- on other pages ---------------------------------------------------------------------------------


def test_it_is_on_the_page_runs_and_goes_and_comes_back_with_what_was_measured(
    visit, judged, store
):
    app = visit("4_Runs.py")
    assert "Condensed graphs (1)" in [e.label for e in app.expander]
    measured = {t.kind for t in store.tasks() if trash.subject(t) == judged.key}
    assert measured == {"graph_evaluate", "graph_accuracy"}
    app.button(key=f"runs.graph.delete.{judged.key}").click().run()
    assert not app.exception and not judged.exists()
    left = {t.spec().subject for t in store.tasks("graph_accuracy")}
    assert not list(store.tasks("graph_evaluate")) and "distilled" not in left and "whole" in left
    assert "Trash (1)" in [e.label for e in app.expander]
    app.button(key="runs.do.undo").click().run()
    assert judged.is_done() and [t.is_done() for t in store.tasks("graph_evaluate")] == [True]
    assert {t.spec().subject for t in store.tasks("graph_accuracy")} > left


def test_pages_about_images_say_where_a_graph_is(visit, judged):
    for page, query in (
        ("3_Run.py", "run"),
        ("5_Evaluate.py", "run"),
        ("4_Images.py", "run"),
        ("6_Compare.py", "runs"),
    ):
        said = text(visit(page, **{query: judged.key}))
        assert f"Run {judged.key[:8]} is a condensed graph, not a set of images" in said, page
        assert "Choose another run" not in said and "Not among the finished" not in said


# --- what it is computed from ---------------------------------------------------------------------


def test_places_depend_on_labels_only_and_keep_classes_apart():
    labels = np.repeat(np.arange(7), 10)
    places = graphs.ring_places(labels)
    assert (places == graphs.ring_places(labels)).all()
    centres = np.stack([places[labels == c].mean(0) for c in range(7)])
    apart = np.linalg.norm(centres[:, None] - centres, axis=2)
    around = max(np.linalg.norm(places[labels == c] - centres[c], axis=1).max() for c in range(7))
    assert 2 * around < apart[apart > 0].min()
    assert len(np.unique(places.round(6), axis=0)) == 70
    order = np.random.default_rng(0).permutation(70)
    assert np.allclose(np.sort(graphs.ring_places(labels[order]), 0), np.sort(places, 0))


def test_weight_within_classes_is_counted_by_hand():
    edges = np.array([[0, 1, 0.5], [1, 0, 0], [0.5, 0, 0]])
    share, chance = graphs.within(edges, np.array([0, 0, 1]))
    assert share == pytest.approx(2 / 3) and chance == pytest.approx(2 / 6)
    assert graphs.within(edges * 0, np.array([0, 0, 1]))[0] is None
