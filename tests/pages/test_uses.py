"""The pages Continual and Search: what is shown of finished tasks, and what can be asked for."""

from __future__ import annotations

import pytest

from analysis.uses.continual.spec import ContinualTask
from analysis.uses.search.spec import SearchTask
from ddcore.data.spec import DataSpec
from ddcore.distil.settings import make_spec
from tests.pages import fake_uses
from tests.pages.fakes import done, text
from tests.pages.hostile import NAME
from tests.pages.test_foreign import check

CONTINUAL, SEARCH = "7_Continual.py", "7_Search.py"
SCALE = DataSpec(preprocess="scale")


@pytest.fixture
def course(store):
    """Memories of one setting, floor and ceiling, and a set distilled as a whole."""
    made = make_spec("dm", SCALE, (1, 8, 8), ipc=5)
    fake_uses.learned(store, skill=0.85, source="random")
    fake_uses.learned(store, skill=0.9, source="random", ipc=20)
    fake_uses.learned(store, skill=0.95, source="kmeans")
    fake_uses.learned(store, skill=0.93, source="distilled", distill=made)
    fake_uses.learned(store, skill=0.94, source="distilled", distill=made, steps=1)
    fake_uses.learned(store, skill=0.2, strategy="finetune")
    fake_uses.learned(store, skill=0.98, strategy="joint")
    return store


def test_continual_shows_the_best_memory_between_floor_and_ceiling(visit, course):
    app = visit(CONTINUAL)
    said = text(app)
    assert (
        "**k-means, 5 per class**: 94.2 ± 1.8 % (n = 5) on all 10 classes" in said
        and "nothing kept 19.7 ± 1.3 %" in said
    )
    assert "paired over 5 orders" in said
    assert "made class by class" in said and "made of all classes at once" in said
    assert len(app.get("plotly_chart")) == 4
    app.segmented_control(key="choice.ipc").set_value("20").run()
    assert not app.exception and "**Random images, 20 per class**: " in text(app)
    assert "".join(app.query_params["ipc"]) == "20"


def test_a_memory_is_looked_at(visit, course):
    app = visit(CONTINUAL)
    assert "Orders of the classes" in text(app) and " → " in text(app)
    before = [e for e in app.markdown if "What is kept" in e.value]
    key = ContinualTask(source="random").key
    app.selectbox(key="choice.memory").set_value(key).run()
    assert not app.exception
    after = [e for e in app.markdown if "What is kept" in e.value]
    assert before and not after, "real images are not kept with a result"


def test_a_memory_is_queued(visit, store):
    app = visit(CONTINUAL)
    app.selectbox(key="choice.source").set_value("class_mean").run()
    assert "It will take about" in text(app)
    app.button(key="continual.task.start").click().run()
    wanted = ContinualTask(source="class_mean", ipc=5)
    assert store.task(wanted).status()["state"] == "queued"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"steps": "11"}, "steps = 11 is not allowed: expected a number from 1 to 10"),
        ({"steps": "x"}, "Steps: x is not used, it is no whole number"),
        ({"keep": "0"}, "Images per class: 0 is not used, it is no whole number"),
    ],
)
def test_what_is_not_allowed_is_one_sentence(visit, store, query, words):
    app = visit(CONTINUAL, **query)
    said = [e.value for kind in (app.warning, app.error) for e in kind if words in e.value]
    assert len(said) == 1, text(app)


def test_names_of_classes_are_shown_as_they_are(visit, store):
    fake_uses.learned(store, source="kmeans", names=(NAME, *"123456789"))
    assert check(visit(CONTINUAL))


def test_search_shows_a_proxy_and_what_all_are_worth(visit, store):
    fake_uses.searched(store, run_keys=("ee5f7fc839df358d",))
    app = visit(SEARCH)
    said = text(app)
    assert "ranks 24 networks most like full training does (ρ = 0." in said
    assert "points below the best network, a random one" in said
    assert "a ranking without any error would reach ρ = " in said
    assert len(app.get("plotly_chart")) == 3
    assert "Ranked on 129 validation images, reported on 500 test images" in said
    app.selectbox(key="choice.proxy").set_value("parameters").run()
    assert not app.exception and "24 networks under Number of parameters" in text(app)


def test_without_sets_no_search_can_be_started(visit, store):
    app = visit(SEARCH)
    assert "There is no finished set that could rank networks: distil one first." in text(app)
    assert not [b for b in app.button if b.key == "search.task.start"]
    done(store)
    app = visit(SEARCH)
    assert "Choose at least one set" in text(app)
    assert not [b for b in app.button if b.key == "search.task.start"]


def test_a_search_is_queued(visit, store):
    key = done(store).key
    app = visit(SEARCH, ranks=key)
    assert "It will take about" in text(app)
    app.button(key="search.task.start").click().run()
    wanted = SearchTask(run_keys=(key,))
    assert store.task(wanted).status()["state"] == "queued"


def test_sets_of_other_images_cannot_rank_together(visit, store):
    other = make_spec("dm", SCALE, (1, 8, 8))
    keys = [done(store).key, done(store, other).key]
    app = visit(SEARCH, ranks=",".join(keys))
    said = [e.value for e in app.warning]
    assert len(said) == 1 and "expected sets made of the data that is searched on" in said[0]
    assert not [b for b in app.button if b.key == "search.task.start"]


def test_continual_without_anything_says_what_to_do(visit, store):
    app = visit(CONTINUAL)
    assert "No memory has been tried yet: choose what is kept of each class" in text(app)
    assert app.button(key="continual.task.start")


def test_a_link_to_nothing_is_no_exception(visit, course):
    fake_uses.searched(course)
    visit(CONTINUAL, setting="x", ipc="-1", memory="<b>", source="no")
    visit(SEARCH, search="x", proxy="y", ranks="a,b", space="z")
