"""The paper's findings on a page: the shipped runs, what is missing, who may start it."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from urllib.parse import parse_qs

import numpy as np
import pytest

from analysis import analyses, gallery
from analysis.claims import picture, table
from analysis.claims.base import WORDS
from analysis.contract import COMPUTED
from analysis.runs import choose
from analysis.settings import make_spec as analysis_make_spec
from analysis.shared.drawing import typeset
from ddcore.base import paths
from ddcore.base.foreign_text import plain
from ddcore.tasks.store import Store
from ddcore.tasks.worker import Context
from pages.components import analysis_page
from tests.pages.fakes import done, put, spec, text
from tests.pages.test_analysis import LIMIT_S, state, two

PAGE = "8_Paper.py"
SHIPPED = paths.GALLERY
JUDGED = list(dict.fromkeys(claim.analysis for claim in table.claims().values()))


@pytest.fixture
def shipped(store, monkeypatch) -> Store:
    """The store with what is shipped."""
    monkeypatch.setattr(paths, "GALLERY", SHIPPED)
    return Store(store.root, SHIPPED)


def words(app) -> Counter:
    """How often each verdict is on the page."""
    said = [str(m.value) for m in app.markdown]
    kinds = (*WORDS.values(), table.MISSING)
    return Counter({w: sum("-badge[" in s and s.endswith(f"{w}]") for s in said) for w in kinds})


def test_the_shipped_runs_are_judged_at_once(visit, shipped):
    keys = [run.key for run in gallery.runs()]
    app = visit(PAGE, runs=",".join(keys))
    chosen = choose(shipped, keys)
    lines = table.lines(shipped, table.tasks(shipped, chosen, "quick"), plain)
    assert table.summary(lines) in [m.value for m in app.markdown]
    assert words(app) == Counter({table.MISSING: 0} | Counter(line.word for line in lines))
    shown, pictures = text(app), [h.proto.body for h in app.get("html")]
    for line in lines:
        evidence = line.verdict.evidence
        assert line.claim.statement in shown
        assert typeset(line.claim.published.text) in shown
        assert f"Paper, read in {line.claim.published.read}." in shown
        assert typeset(line.verdict.why) in shown
        assert picture.html(evidence) in pictures
        assert f"Here: {evidence.n}." in shown
    assert "Digits instead of CIFAR-10" in shown
    assert {b.label for b in app.main.button if b.label.startswith("Run ")} == {"Run with 3"}
    seconds = []
    for _ in range(3):
        start = time.process_time()
        app.run()
        seconds.append(time.process_time() - start)
    assert min(seconds) <= LIMIT_S


def test_opens_on_the_papers_own_data_and_the_largest_that_is_computed(visit, shipped):
    app = visit(PAGE)
    keys = app.multiselect(key="several.runs").value
    chosen = choose(shipped, keys)
    assert chosen.data.name == "cifar10" and len(keys) == 4
    lines = table.lines(shipped, table.tasks(shipped, chosen, COMPUTED), plain)
    assert table.summary(lines) in [m.value for m in app.markdown]
    links = {node.proto.page: node.proto.query_string for node in app.main.get("page_link")}
    assert parse_qs(links["Recognition"])["preset"] == ["teaching"]


def test_the_way_to_each_analysis_keeps_the_runs(visit, shipped):
    keys = [run.key for run in gallery.runs()[:3]]
    app = visit(PAGE, runs=",".join(keys), preset="teaching")
    links = {node.proto.page: node.proto.query_string for node in app.main.get("page_link")}
    for name in JUDGED:
        page = analysis_page.path(analyses()[name]).removeprefix("pages/8_").removesuffix(".py")
        query = parse_qs(links[page])
        assert set(query["runs"][0].split(",")) == set(keys)
        assert query["preset"] == ["teaching"]


def test_what_is_missing_is_said_and_can_be_started(visit, store):
    keys = two(store)
    app = visit(PAGE, runs=",".join(keys))
    assert words(app)[table.MISSING] == len(table.claims())
    assert "It will take" in text(app)
    app.button(key="paper.start.pixels.outside").click().run()
    assert not app.exception
    assert state(store, "pixels", keys) == "queued"
    assert state(store, "mixing", keys) == "missing"
    assert "paper.start.pixels.outside" not in [b.key for b in app.button]  # it is on its way
    app.button(key="suite.start").click().run()
    assert not app.exception
    assert {state(store, name, keys) for name in JUDGED} == {"queued"}


def test_one_network_is_offered_company_and_more_are_judged(visit, shipped):
    keys = [run.key for run in gallery.runs()]
    wanted = analysis_make_spec(analyses()["curvature"], choose(shipped, keys), "quick")
    three = wanted.replace(nets=3)
    app = visit(PAGE, runs=",".join(keys))
    button = app.button(key="paper.start.curvature.below")
    assert button.label == "Run with 3"
    button.click().run()
    assert not app.exception
    assert shipped.task(three).status()["state"] == "queued"
    assert "paper.start.curvature.below" not in [b.key for b in app.button]
    shutil.rmtree(shipped.task(three).folder)
    task, one = shipped.create(three), shipped.task(wanted)
    arrays = {k: np.repeat(v, 3, 0) for k, v in one.arrays().items() if v.ndim > 1}
    for key, values in arrays.items():
        if key.startswith("samples."):
            noise = np.random.default_rng(0).normal(size=(3, 1, 1))
            arrays[key] = values + noise * (1 + ("real" in key))
    context = Context(shipped, task, three, "cpu")
    context.save_arrays(arrays | {"steps": one.arrays()["steps"]})
    context.save_result(one.result() | {"nets": 3})
    task.finish()
    app = visit(PAGE, runs=",".join(keys))
    assert "Here: n = 3 networks, 20 probes each." in text(app)
    assert "paper.start.curvature.below" not in [b.key for b in app.button]
    links = {n.proto.page: parse_qs(n.proto.query_string) for n in app.main.get("page_link")}
    assert links["Curvature"]["set"] == ["nets=3"]
    assert "set" not in links["Mixing"]


def test_what_failed_is_shown(visit, store):
    keys = two(store)
    wanted = analysis_make_spec(analyses()["mixing"], choose(store, keys), "quick")
    put(store, wanted, "failed", message="It broke.")
    assert "It broke." in text(visit(PAGE, runs=",".join(keys)))


def test_visitors_may_look_only(visit, store, monkeypatch):
    monkeypatch.setenv("DD_VISITORS", "1")
    app = visit(PAGE, runs=",".join(two(store)))
    start = [b for b in app.button if "start" in b.key]
    assert len(start) == 1 + len(table.claims())
    assert all(b.disabled for b in start)


def test_runs_that_are_too_small_for_an_analysis_say_so(visit, store):
    shown = text(visit(PAGE, runs=done(store, spec(ipc=1)).key))
    assert "sets with 2 or more images per class" in shown


def test_runs_of_other_methods_are_named(visit, store):
    from ddcore.data.spec import DataSpec
    from ddcore.distil.settings import make_spec
    from tests.pages.fakes import SHAPE

    other = done(store, make_spec("idc", DataSpec(), SHAPE), method="idc").key
    shown = text(visit(PAGE, runs=other))
    assert "No finding is about" in shown


def test_without_runs_and_with_bad_links(visit, store):
    assert "There is no finished run yet" in text(visit(PAGE))
    two(store)
    for query in ({"runs": "../../etc/passwd,<b>"}, {"preset": "<i>"}, {"runs": "f" * 16}):
        assert visit(PAGE, **query).title[0].value == "The paper, here"
