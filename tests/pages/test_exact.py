"""The page Exact: it says something before the first click, and what is claimed is computed on it."""

from __future__ import annotations

import re

import pytest

from analysis.single.race import RaceTask
from ddcore.data.lookup import resolve
from ddcore.distil.settings import make_spec
from ddcore.tasks.worker import run_task
from pages.components import exact_views
from tests.pages.fakes import SHAPE, decoded, text

PAGE = "2_Exact.py"


@pytest.fixture
def live(visit, store):
    """The experiment, running."""
    decoded(store)
    return lambda **query: visit(PAGE, live="1", **query)


def error_of(app) -> float:
    """The measured error that stands beside the badge."""
    found = re.search(r"recomputed from the images: \*\*([0-9.e+-]+)\*\*", text(app))
    return float(found.group(1))


def test_the_page_says_something_before_the_first_click(visit, store):
    decoded(store)
    run = make_spec("krr-exact", resolve("digits"), SHAPE)
    run_task(store, store.create(run), run, "cpu")
    app = visit(PAGE)
    assert "The theorem in plain words" in text(app) and "exact" in text(app)
    assert error_of(app) < 1e-8
    assert app.button(key="exact.start")


def test_starting_the_experiment_is_kept_in_the_link(visit, store):
    decoded(store)
    app = visit(PAGE)
    app.button(key="exact.start").click().run()
    assert not app.exception and app.query_params["live"] in ("1", ["1"])
    assert error_of(app) < 1e-8


def test_all_data_are_said_to_lack_what_chooses_the_ridge(live):
    shown = text(live())
    assert exact_views.ALL_DATA in shown and "held out to choose λ" in exact_views.ALL_DATA


def test_one_image_per_class_is_enough_and_one_less_is_not(live):
    assert error_of(live(m="10")) < 1e-8
    app = live(m="9")
    assert error_of(app) > 1e-3 and "not exact" in text(app)


def test_features_that_no_image_has_break_it(live):
    assert error_of(live(map="rff")) < 1e-8
    app = live(map="rff", features="128")
    assert error_of(app) > 1e-2 and "not exact" in text(app)


@pytest.mark.parametrize("share", [1.0, 1.01])
def test_lambda_s_holds_up_to_its_bound_and_not_beyond(live, share):
    app = live(m="20")
    app.select_slider(key="choice.ridge").set_value(f"{share:g}").run()
    assert not app.exception
    refused = [e.value for e in app.error]
    if share > 1:
        assert "lambda_s" in refused[0] and "at most" in refused[0]
    else:
        assert not refused and error_of(app) < 1e-6


def test_real_images_are_named_so(live):
    """With as many images as rank allows they stay as they are: the page says it."""
    app = live(m="100", start="real")
    assert error_of(app) < 1e-8
    moved = "real training images, unchanged" in text(app)
    assert moved == (app_moved(app) < 0.01)


def app_moved(app) -> float:
    """How far the images moved, computed again."""
    from analysis.single.exact_lab import Lab, Trial
    from ddcore.data import load
    from ddcore.kernels.spec import KernelSpec
    from pages.components import shell

    lab = Lab(load(shell.store(), resolve("digits")), KernelSpec(kind="linear", ridge=0.0))
    return lab.run(Trial(points=100, start="real")).diagnostics.moved


def test_the_race_shows_both_and_the_ceilings(visit, store):
    decoded(store)
    task = RaceTask(data=resolve("digits"))
    quick = store.create(task)
    run_task(store, quick, task.replace(iterations=40, looks=4), "cpu")
    app = visit(PAGE)
    assert "times as long" in text(app) and "NTK" in text(app)
    result = quick.result()
    assert result["agreement"] == 1.0 and result["weight_error"] < 1e-8
    assert result["kip_agreement"] < 1.0 and result["ratio"] > 1
    best = max(result["ceilings"], key=lambda r: r["accuracy"])
    assert best["kernel"].startswith(("NTK", "NNGP"))
