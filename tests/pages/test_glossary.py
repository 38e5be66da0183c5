"""Terms: marked once in sentences and nowhere else, explained in one place."""

from __future__ import annotations

import re

import pytest

from pages.components import glossary, tour
from tests.pages.fakes import FILES, done, evaluated, text
from tests.pages.test_views import told

WANTED = (
    "IPC", "protocol", "distillation", "class mean", "UMAP", "KDE", "kappa", "Hessian trace", "influence",
)  # fmt: skip


def test_the_terms_that_pages_use_are_there():
    for word in WANTED:
        assert glossary.marked(f"a {word} b") != f"a {word} b", word


def test_every_term_is_one_sentence_of_few_words():
    for term in glossary.TERMS.values():
        assert term.short.endswith(".") and len(term.short.split()) <= 25, term.name
    words = [w.lower() for t in glossary.TERMS.values() for w in (t.name, *t.also)]
    assert len(set(words)) == len(words)


def test_a_term_is_marked_the_first_time_and_as_a_whole_word():
    assert glossary.marked("UMAP, then UMAP") == "[UMAP](#term-umap), then UMAP"
    assert (
        glossary.marked("The Hessian trace bends")
        == "The [Hessian trace](#term-hessian-trace) bends"
    )
    for text_ in ("Subinfluence", "influence-x", "umap", "zca"):
        assert glossary.marked(text_) == text_


@pytest.mark.parametrize(
    "closed",
    ["`UMAP`", "$UMAP$", "[UMAP](x)", "![UMAP](x)", "<b title=UMAP>", "[see UMAP]"],
)
def test_code_formulas_links_and_html_stay_as_they_are(closed):
    assert glossary.marked(f"a {closed} b") == f"a {closed} b"
    assert "[KDE](#term-kde)" in glossary.marked(f"{closed} and KDE")


def test_the_page_finds_terms(visit):
    every = text(visit("9_Glossary.py"))
    assert all(term.short in every for term in glossary.TERMS.values())
    found = text(visit("9_Glossary.py", find="cohen"))
    assert "Cohen's kappa" in found and "UMAP" not in found
    assert "no such term" in text(visit("9_Glossary.py", find="**zzz**"))


def test_pages_mark_terms_and_the_browser_knows_them(visit, store):
    run = done(store)
    evaluated(store, run.spec())
    for page in ("5_Evaluate.py", "8_Pixels.py", "9_Toy.py"):
        app = visit(page, run=run.key, runs=run.key)
        marked = {i for m in app.markdown for i in re.findall(r"\(#term-([\w-]+)\)", m.value)}
        assert marked and marked <= {*told(app)["terms"]}, page


def test_the_tour_has_seven_stops_on_pages_that_there_are(visit, store):
    from pages.components import shell

    names = {e.path.rpartition("/")[2].removesuffix(".py").partition("_")[2] for e in shell.pages()}
    assert len(tour.STOPS) == 7
    for number, each in enumerate(tour.STOPS, 1):
        assert each.page in names and each.text.count(".") == 1 and len(each.text.split()) <= 35
        assert tour.address(number) == f"{each.page}?tour={number}"


def test_each_stop_is_beside_something_that_its_page_draws(visit, store):
    run = done(store)
    evaluated(store, run.spec())
    files = {"": ""} | {p.partition("_")[2].removesuffix(".py"): p for p in FILES}
    for number, each in enumerate(tour.STOPS, 1):
        app = visit(files[each.page], tour=str(number))
        known = told(app)["tour"]
        assert known["number"] == number and known["class"].startswith("st-key-")
        assert (known["back"] == "") == (number == 1) and (known["next"] == "") == (number == 7)
