"""Uses as sections of the report."""

from __future__ import annotations

import shutil

import pytest

from analysis.report import html
from analysis.uses.shown import shown
from analysis.uses.texts import CONTINUAL, GRAPHS, SEARCH
from ddcore.base import paths
from ddcore.base.errors import NotReady
from ddcore.graphs.measure_spec import default_graph_evaluation
from ddcore.recipes.graphs import graph_runs
from ddcore.tasks.store import Store
from tests.pages import fake_uses
from tests.pages.hostile import NAME


def test_uses_are_sections_of_the_report(analysed, finished):
    kept = fake_uses.learned(analysed, skill=0.9, source="kmeans")
    fake_uses.learned(analysed, skill=0.8, source="random", names=(NAME, *"123456789"))
    fake_uses.learned(analysed, skill=0.98, strategy="joint")
    found = fake_uses.searched(analysed, run_keys=("ee5f7fc839df358d",))
    page = html([finished("pixels")], analysed, [kept.key, found.key[:8]])
    assert CONTINUAL.question in page and SEARCH.question in page
    assert "<b>k-means, 5 per class</b>: " in page and "Forgetting" in page
    assert "would reach ρ = " in page and "Regret, best of five" in page
    assert page.count('id="use-0-') == 3 and page.count('id="use-1-') == 3
    assert "not shown" in page or "more than Random images" in page
    assert NAME not in page
    with pytest.raises(NotReady, match="No finished continual, search, regimes or graph 'zz' here"):
        shown(analysed, "zz")
    assert CONTINUAL.question not in html([finished("pixels")], analysed)


def test_a_condensed_graph_is_a_section_of_the_report(analysed, finished):
    """A shipped one with its evaluation, beside its real graph and without the map of that."""
    shipped = Store(paths.GALLERY, gallery=None)
    run = graph_runs(0)[0]
    for spec in (run, default_graph_evaluation(run)):
        source = shipped.task(spec)
        shutil.copytree(source.folder, analysed.root / source.kind / source.key, dirs_exist_ok=True)
    page = html([finished("pixels")], analysed, [run.key])
    assert GRAPHS.question in page and page.count('id="use-0-') == 3
    assert "<b>70 nodes teach a network 80." in page and "7 class means of P²X" in page
    assert "Random nodes with their edges" in page and "of the weight of all links" in page
    shown_with_map = shown(shipped, run.key)
    assert len(shown_with_map.drawn[1].figure.data) > 7, "real nodes behind the condensed ones"
