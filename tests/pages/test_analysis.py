"""Every analysis page the registry finds, and the overview, in the states they can be in."""

from __future__ import annotations

import time
from urllib.parse import parse_qs

import pytest

from analysis import analyses, analysis
from analysis.contract import COMPUTED
from analysis.printed import provenance
from analysis.runs import ORDER, choose
from analysis.settings import make_spec as analysis_make_spec
from analysis.settings import picked
from analysis.shared.drawing import typeset
from analysis.task import load_arrays
from ddcore.base.specs import text_of
from ddcore.data.spec import DataSpec
from pages.components import (
    analysis_page,
    analysis_runs,
    glossary,
    influence_view,
    runs,
    shell,
)
from tests.analysis.conftest import computed, sets_for, smallest
from tests.pages.fakes import done, put, sheets, spec, text

EACH = pytest.mark.parametrize("name", list(analyses()))
OVERVIEW = "8_Understand.py"
ABLE = [n for n, of in analyses().items() if not of.lacking(DataSpec())]  # to tell of the digits
LIMIT_S = 1.0  # of a page from cache


def page(name: str) -> str:
    """The file of an analysis's page."""
    return analysis_page.path(analysis(name)).removeprefix("pages/")


def two(store, name: str = "pixels") -> list[str]:
    """Keys of two finished sets that an analysis has an answer for."""
    return sets_for(store, name)


def settings(name: str) -> str:
    """The smallest settings as a link carries them."""
    values = analysis(name).smallest.items()
    return ";".join(f"{path}={text_of(value)}" for path, value in values)


def state(store, name: str, keys: list[str], preset: str = "quick") -> str:
    """State of the task that a preset describes."""
    wanted = analysis_make_spec(analysis(name), choose(store, keys), preset)
    return store.task(wanted).status()["state"]


# --- one analysis ---------------------------------------------------------------------------------


@EACH
def test_is_in_the_sidebar_as_declared(name):
    of = analysis(name)
    entry = {e.path: e for e in shell.pages()}[analysis_page.path(of)]
    assert (entry.title, entry.icon, entry.about) == (of.title, of.icon, of.question)
    section = [e.path for e in shell.pages() if e.section == "Understand"]
    first = [analysis_page.OVERVIEW, "pages/8_Paper.py"]
    assert section == [*first, *map(analysis_page.path, analyses().values())]


@EACH
def test_says_something_without_any_run(visit, name):
    app = visit(page(name))
    shown = text(app)
    assert app.title[0].value == analysis(name).question
    assert "There is no finished run yet" in shown
    assert "How to doubt it" in shown
    assert "What the paper found" in shown


@EACH
def test_a_missing_result_is_estimated_and_submitted(visit, store, name):
    keys = two(store, name)
    app = visit(page(name), runs=",".join(keys))
    assert "It will take about" in text(app)
    assert f"python -m analysis {name} --run" in app.code[0].value
    app.button(key=f"{name}.task.start").click().run()
    assert not app.exception
    assert state(store, name, keys) == "queued"


@EACH
def test_a_finished_result_is_shown_soon(visit, store, name):
    keys = two(store, name)
    task = computed(store, smallest(store, name, keys))
    of, query = analysis(name), {"runs": ",".join(keys), "set": settings(name)}
    app = visit(page(name), **query)
    result = of.result(task)
    said = [each.value for each in app.markdown]
    whole = glossary.marked(typeset(of.sentence(result)))
    assert {typeset(of.headline(result)), whole} <= set(said)
    assert f"{name} {task.key}" in text(app)
    assert len(app.get("plotly_chart")) >= 1
    assert not app.warning
    seconds = []
    for _ in range(3):
        start = time.process_time()
        app.run()
        seconds.append(time.process_time() - start)
    assert not app.exception
    assert min(seconds) <= LIMIT_S


@pytest.mark.slow
@EACH
def test_every_view_opens(visit, store, name):
    keys = two(store, name)
    task = computed(store, smallest(store, name, keys))
    of = analysis(name)
    result = of.result(task)
    app = visit(page(name), runs=",".join(keys), set=settings(name))
    for option in list(of.options(result, picked(of, result))):
        for choice in list(option.choices)[:2]:
            app.query_params[f"view_{option.name}"] = choice
            app.run()
            assert not app.exception, (option.name, choice)
    app.query_params["view_of"] = "<b>"
    app.run()
    assert not app.exception


def test_influence_is_clicked_through(visit, store):
    keys = two(store)
    task = computed(store, smallest(store, "influence", keys))
    app = visit(page("influence"), runs=",".join(keys), set=settings("influence"))
    of, told = analysis("influence"), sheets(app)
    result = of.result(task)
    figures = of.figures(result, load_arrays(store, task), picked(of, result))
    stood_for = {figures[place].title for place in influence_view.STANDS_FOR}
    assert stood_for == {
        "Whom the picked image helps and hurts",
        "Which distilled images matter for the picked test image",
    }
    assert not stood_for & {m.value.strip("*") for m in app.markdown}
    assert told["influence.set"]["selected"] == [0]
    assert len(told["influence.set"]["borders"]) == 20
    assert {"influence.helped", "influence.hurt"} <= set(told)
    app.query_params["view_image"], app.query_params["view_test"] = "5", "0"
    app.run()
    assert not app.exception
    assert sheets(app)["influence.set"]["selected"] == [5]


@pytest.mark.slow
@EACH
def test_an_example_stands_in_until_there_is_a_result(visit, store, name):
    keys = two(store, name)
    computed(store, smallest(store, name, keys[:1]))
    shown = text(visit(page(name), runs=",".join(keys)))
    assert "not computed yet" in shown
    assert "Example: Distribution matching" in shown
    assert "Not the runs chosen above" in shown


def test_an_example_of_the_same_runs_says_so(visit, store):
    keys = two(store)
    computed(store, smallest(store, "pixels", keys))
    shown = text(visit(page("pixels"), runs=",".join(keys)))
    assert "The runs chosen above with other settings" in shown


@EACH
def test_bad_links_are_no_exceptions(visit, store, name):
    two(store, name)
    many = ",".join(f"{i:016x}" for i in range(20))
    nonsense = {"runs": "../../etc/passwd,<b>", "preset": "<i>"}
    queries = [
        {**nonsense, "set": "nothing=1;seed=x;=;run_keys=1"},
        {"runs": many, "set": "seed=-5"},
    ]
    if name == "recognition":  # one thing at a time: what reads a link is the same for all
        queries += [{word: text} for query in queries for word, text in query.items()]
    for query in queries:
        assert visit(page(name), **query).title


# --- what is here already -------------------------------------------------------------------------


def test_opens_with_the_preset_whose_answer_is_here(visit, store):
    keys = two(store)
    chosen = choose(store, keys)
    task = computed(store, analysis_make_spec(analysis("pixels"), chosen, "teaching"))
    app = visit(page("pixels"), runs=",".join(keys))
    assert f"pixels {task.key}" in text(app) and "preset" not in app.query_params
    other = visit(page("pixels"), runs=",".join(keys), preset="quick")
    assert "not computed yet" in text(other)
    assert "The runs chosen above with other settings" in text(other)


def test_the_sets_that_have_an_answer_are_offered(visit, store):
    keys = two(store)
    computed(store, smallest(store, "pixels", keys[:1]))
    app = visit(page("pixels"), runs=",".join(keys))
    assert "There is an answer for other sets" in text(app)
    (offer,) = [e.proto for e in app.main.get("page_link") if "Distribution" in e.proto.label]
    assert offer.label == "Digits, 2 per class: Distribution matching"
    assert f"runs={keys[0]}" in offer.query_string
    assert "There is an answer for other sets" not in text(visit(page("pixels"), runs=keys[0]))


def test_overview_opens_with_the_largest_that_is_computed_of_each(visit, store):
    keys = two(store)
    chosen = choose(store, keys)
    computed(store, analysis_make_spec(analysis("pixels"), chosen, "teaching"))
    app = visit(OVERVIEW, runs=",".join(keys))
    assert app.get("button_group")[0].value == COMPUTED
    links = {node.proto.page: node.proto.query_string for node in app.main.get("page_link")}
    found = {name: parse_qs(links[name])["preset"] for name in ("Pixels", "Mixing")}
    assert found == {"Pixels": ["teaching"], "Mixing": ["quick"]}


def test_a_setting_of_the_link_is_in_its_widget_and_in_the_command(visit, store):
    keys = two(store)
    app = visit(page("pixels"), runs=",".join(keys), set="real_images=7")
    widget = next(w for w in app.number_input if w.label == "Real images")
    assert widget.value == 7
    assert "--set real_images=7" in app.code[0].value
    widget.set_value(9).run()
    assert "".join(app.query_params["set"]) == "real_images=9"
    assert "--set real_images=9" in app.code[0].value


def test_what_a_link_cannot_set_is_named(visit, store):
    two(store)
    warning = visit(page("pixels"), set="nothing=1").warning[0].value
    assert "nothing = 1" in warning


def test_a_value_that_is_not_allowed_is_one_sentence(visit, store):
    two(store)
    app = visit(page("pixels"), set="real_images=0")
    assert app.error[0].value.startswith("real_images = 0 is not allowed")
    assert "How to read it" in text(app)
    widget = next(w for w in app.number_input if w.label == "Real images")
    assert (widget.min, widget.max) == (1, 1000) and widget.help.startswith(
        "Test images of each class"
    )
    widget.set_value(9).run()
    assert not app.error and "".join(app.query_params["set"]) == "real_images=9"


def test_names_are_chosen_from_those_that_a_field_declares(visit, store):
    two(store)
    app = visit(page("mixing"), set="weighting=odd")
    assert app.error[0].value.startswith("weighting = 'odd' is not allowed: expected one of images")
    widget = next(w for w in app.selectbox if w.label == "Weighting")
    assert widget.options == ["images", "halves"] and "half of the loss" in widget.help
    widget.set_value("halves").run()
    assert not app.error and "".join(app.query_params["set"]) == "weighting=halves"


def test_sets_of_different_data_are_refused_in_words(visit, store):
    keys = two(store)
    other = spec()
    other = done(store, other.replace(data=other.data.replace(preprocess="zca")))
    app = visit(page("pixels"), runs=f"{keys[0]},{other.key}")
    assert "sets for the data of" in app.error[0].value


# --- choosing runs --------------------------------------------------------------------------------


def test_at_first_the_papers_methods_of_one_size(visit, store):
    from ddcore.distil.settings import make_spec
    from tests.pages.fakes import SHAPE

    wanted = {done(store, make_spec(m, DataSpec(), SHAPE)).key for m in ("bptt", "dm", "dc", "mtt")}
    done(store, make_spec("dsa", DataSpec(), SHAPE))
    done(store, spec(ipc=10))
    app = visit(page("pixels"))
    assert set(app.multiselect(key="several.runs").value) == wanted
    assert "runs" not in app.query_params


def test_the_choice_goes_along_to_the_next_page(visit, store):
    keys = [done(store, spec(seed=s)).key for s in range(3)]
    app = visit(page("pixels"), runs=",".join(keys))
    app.switch_page(f"pages/{page('recognition')}")
    app.query_params.clear()
    app.run()
    assert not app.exception
    assert set(app.multiselect(key="several.runs").value) == set(keys)
    assert set("".join(app.query_params["runs"]).split(",")) == set(keys)


def families(name: str, numbers: int, ipc: int = 10, seed: int = 0, methods=ORDER):
    """Cards of shipped runs, one of each method."""
    about = {"dataset": name, "form": name, "numbers": numbers, "shipped": True, "started": 0.0}
    return [
        runs.Card(f"{name}-{m}-{ipc}-{seed}", m, m.upper(), ipc=ipc, seed=seed, variant="", **about)
        for m in methods
    ]


def keys_of(cards) -> tuple[str, ...]:
    return tuple(c.key for c in cards)


def test_the_largest_images_of_all_four_methods_are_proposed():
    small, large = families("small", 64), families("large", 3072)
    three = families("huge", 9999, methods=ORDER[:3])
    one = families("large", 3072, ipc=1)
    other_seed = families("large", 3072, seed=1, methods=("dm", "dc"))
    cards = [*small, *three, *one, *large, *other_seed]
    assert analysis_runs.proposed(cards) == keys_of(large)
    assert analysis_runs.proposed([*small, *three]) == keys_of(small)


def test_sets_that_were_analysed_are_proposed_before_others():
    small, large = families("small", 64), families("large", 3072)
    answers = {tuple(sorted(keys_of(small))): 1}
    assert analysis_runs.proposed([*small, *large], answers) == keys_of(small)
    answers[tuple(sorted(keys_of(large)))] = 1
    assert analysis_runs.proposed([*small, *large], answers) == keys_of(large)
    again = families("large", 3072, seed=1)
    answers[tuple(sorted(keys_of(again)))] = 2
    assert analysis_runs.proposed([*large, *again], answers) == keys_of(again)
    gone = tuple(f"{i:016x}" for i in range(4))
    assert analysis_runs.proposed(small, {gone: 9}) == keys_of(small)


def test_nothing_is_proposed_that_was_made_otherwise(store):
    two(store)
    cards = runs.finished(store)
    assert analysis_runs.proposed(cards) == (cards[0].key,)


# --- the overview ---------------------------------------------------------------------------------


def test_overview_shows_the_state_of_every_analysis(visit, store):
    keys = two(store)
    names = list(analyses())
    quick = analysis_make_spec(analysis(names[0]), choose(store, keys), "quick")
    put(store, quick, "failed", message="It broke.")
    app = visit(OVERVIEW, runs=",".join(keys))
    shown = text(app)
    assert "It broke." in shown
    for name, of in analyses().items():
        assert of.question in shown
        assert name in ABLE or f"Needs {of.lacking(DataSpec())}." in shown
    assert "Run the whole suite" in shown


def test_overview_runs_the_whole_suite_as_one_job(visit, store, monkeypatch):
    launched = []
    monkeypatch.setattr("ddcore.tasks.jobs.launch", launched.append)
    keys = two(store)
    app = visit(OVERVIEW, runs=",".join(keys))
    assert any(caption.value.startswith("about ") for caption in app.caption)
    app.button(key="suite.start").click().run()
    assert not app.exception
    assert {state(store, name, keys) for name in ABLE} == {"queued"}
    assert [len(tasks) for tasks in launched] == [len(ABLE)]


def test_overview_with_a_result_offers_the_report(visit, store):
    keys = two(store)
    quick = analysis_make_spec(analysis("pixels"), choose(store, keys), "quick")
    task = computed(store, quick)
    app = visit(OVERVIEW, runs=",".join(keys))
    shown = text(app)
    assert typeset(analysis("pixels").headline(analysis("pixels").result(task))) in shown
    assert f"Run the other {len(ABLE) - 1}" in shown
    assert [d.label for d in app.get("download_button")] == ["Report of 1", "Download"]
    assert "Figures of 1" in [b.proto.popover.label for b in app.get("popover")]


def test_panels_of_a_page_are_offered_one_by_one_and_together(visit, store):
    keys = two(store)
    task = computed(store, smallest(store, "pixels", keys))
    app = visit(page("pixels"), runs=",".join(keys), set=settings("pixels"))
    of = analysis("pixels")
    result = of.result(task)
    drawn = of.figures(result, load_arrays(store, task), picked(of, result))
    chosen = app.selectbox(key="pixels.panel")
    assert chosen.options == ["All panels (zip)", *(d.title for d in drawn)]
    line = provenance.of_analysis(store, task)
    assert line in text(app)
    app.toggle(key="pixels.named").set_value(False).run()
    assert line not in text(app) and "No line below the figure." in text(app)
    labels = [d.label for d in app.get("download_button")]
    assert "Its numbers (CSV)" not in labels, "of one panel only"
    chosen.set_value("1").run()
    assert "Its numbers (CSV)" in [d.label for d in app.get("download_button")]


def test_overview_without_runs(visit):
    assert "There is no finished run yet" in text(visit(OVERVIEW))
