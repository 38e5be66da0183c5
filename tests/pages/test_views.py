"""Links: they hold all that a page shows, and what they name in vain is said."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from ddcore.base import paths
from tests.pages.fakes import PAGES, decoded, done, evaluated, images, sheets, spec, text

EACH = pytest.mark.parametrize("page", PAGES, ids=lambda name: name or "Start")
# Pages on which nothing is chosen from this store: lists of all there is, and what needs none.
ALL = {
    "2_Exact.py",
    "4_Runs.py",
    "6_Open.py",
    "7_Reproduce.py",
    "7_Sweeps.py",
    "9_Jobs.py",
    "9_Toy.py",
    "9_Glossary.py",
    # Of graphs and uses there is nothing in this store.
    "2_Graphs.py",
    "7_Continual.py",
    "7_Search.py",
}
# And those that show the same whatever runs there are: data, settings of a new run; and Run without a run,
# which is a list.
SAME = {"1_Data.py", "2_Distil.py", "3_Run.py"}
PAST = re.compile(r"from \d+ past runs?")  # behind an estimate


def told(app: AppTest) -> dict:
    """What the browser is told for the bar of the page."""
    ((found,),) = [
        json.loads(e.proto.json)
        for e in app.get("bidi_component")
        if e.proto.component_name == "frame"
    ]
    return found


def link(app: AppTest) -> dict[str, str]:
    """The parameters of the link that is copied, as `frame_links.js` composes it."""
    return told(app)["taken"] | {k: "".join(v) for k, v in app.query_params.items()}


@pytest.fixture
def runs(store):
    """Two runs, one judged; and a way to add one that pages would rather open on."""
    decoded(store)
    first = done(store)
    evaluated(store, first.spec())
    done(store, spec(seed=1))

    def more():
        better = spec(ipc=10)
        made = images(count=100), np.arange(10).repeat(10)
        evaluated(store, done(store, better, images=made[0], labels=made[1]).spec())
        done(store, spec(seed=7))

    return more


@pytest.mark.slow
@EACH
def test_a_copied_link_shows_the_same_in_another_store(visit, runs, page):
    before = visit(page)
    copied = link(before)
    if page not in ALL | {"3_Run.py"}:
        assert copied, "nothing of the view is in the link"
    runs()
    after = visit(page, **copied)
    assert link(after) == copied
    assert not [w.value for w in after.warning if w.icon == ":material/link_off:"]
    if page not in ALL | {"3_Run.py"}:
        assert PAST.sub("", text(after)) == PAST.sub("", text(before))
        assert sheets(after) == sheets(before)
    if page not in ALL | SAME:
        assert link(visit(page)) != copied  # what would be shown without the link is something else


def test_the_link_of_a_run_that_was_looked_at_last_names_it(visit, store):
    run = done(store)
    app = visit("4_Images.py", run=run.key)
    app.switch_page("pages/3_Run.py")
    app.query_params.clear()
    app.run()
    assert told(app)["taken"]["run"] == run.key


def test_what_was_chosen_is_in_the_link_and_passing_things_are_not_the_view(visit, store):
    run = done(store)
    app = visit("4_Images.py", run=run.key, cls="3", step="0")
    assert link(app) | {"cls": "3", "step": "0", "run": run.key} == link(app)
    script = (paths.PROJECT / "pages/components/frame_links.js").read_text()
    assert "PASSING = ['present', 'tour', 'views']" in script


@pytest.mark.parametrize(
    ("page", "query", "words"),
    [
        ("3_Run.py", {"run": "zzz"}, "run = 'zzz' is not allowed: expected the key of a run"),
        ("4_Images.py", {"run": "zzz"}, "'zzz' is not a run key"),
        ("4_Images.py", {"cls": "77"}, "cls = '77' is not allowed: expected one of all, 0, 1"),
        (
            "4_Images.py",
            {"step": "999999"},
            "step = '999999' is not allowed: expected one of 0, 20",
        ),
        ("4_Images.py", {"img": "x-1-1"}, "img = 'x-1-1' is not allowed"),
        ("4_Images.py", {"scale": "<b>"}, "scale = '&#60;b&#62;' is not allowed"),
        (
            "2_Distil.py",
            {"method": "nonsense"},
            "method = 'nonsense' is not allowed: expected one of",
        ),
        ("2_Distil.py", {"data": "**x**"}, "data = '&#42;&#42;x&#42;&#42;' is not allowed"),
        ("6_Compare.py", {"share": "7"}, "share = '7' is not allowed"),
        ("5_Evaluate.py", {"nets": "x"}, "nets = 'x' is not allowed: expected a whole number from"),
        ("5_Evaluate.py", {"baselines": "none"}, "baselines = 'none' is not allowed"),
        ("8_Pixels.py", {"preset": "zzz"}, "preset = 'zzz' is not allowed"),
        ("", {"film": "zzz"}, "film = 'zzz' is not allowed: expected the key of a finished run"),
        ("", {"tour": "9"}, "tour = '9' is not allowed: expected a stop from 1 to 7"),
        (
            "9_Toy.py",
            {"points": "4"},
            "points = '4' is not allowed: expected one of 1, 2, 3, 5, 10",
        ),
        (
            "9_Jobs.py",
            {"teach": "hide-all"},
            "teach = 'hide-all' is not allowed: expected hide- or",
        ),
    ],
)
def test_what_a_link_names_in_vain_is_said_once(visit, store, runs, page, query, words):
    app = visit(page, **query)
    assert [words in w.value for w in app.warning].count(True) == 1, [w.value for w in app.warning]
    assert len([w for w in app.warning if w.icon == ":material/link_off:"]) == 1


def test_a_choice_that_went_with_another_is_not_complained_of(visit, store):
    """Class 9 was there before; of two classes it is not, and nobody typed it."""
    ten = done(store)
    two = done(
        store, spec(seed=1), images=images(count=2), labels=np.arange(2), class_names=("a", "b")
    )
    app = visit("4_Images.py", run=ten.key, cls="9")
    app.query_params["run"] = two.key
    app.run()
    assert not app.exception and not app.warning
    app.query_params["cls"] = "8"  # typed
    app.run()
    assert "cls = '8' is not allowed" in app.warning[0].value


def test_letters_of_figures_are_large_while_presenting(visit, store):
    run = done(store)
    evaluated(store, run.spec())

    def sizes(**query):
        app = visit("5_Evaluate.py", run=run.key, **query)
        figure = json.loads(app.get("plotly_chart")[0].proto.spec)
        return figure["layout"].get("font", {}).get("size")

    assert sizes() is None
    assert sizes(present="1") == 18
