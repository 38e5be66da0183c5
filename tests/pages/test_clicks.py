"""Figures that are clicked: what the link then says is what the page shows. On shipped results."""

from __future__ import annotations

import pytest

from ddcore.base import paths
from tests.pages.fakes import sheets, text

GALLERY = paths.GALLERY


@pytest.fixture
def shipped(store, monkeypatch):
    """The gallery as it is shipped, behind an empty store."""
    monkeypatch.setattr(paths, "GALLERY", GALLERY)


def titles(app) -> list[str]:
    """Of figures that are open."""
    return [m.value.strip("*") for m in app.markdown]


def test_a_cell_of_the_matrix_leaves_one_class(visit, shipped):
    app = visit("8_Influence.py", view_pair="3-5")
    told = sheets(app)["influence.set"]
    assert told["words"] and all(word.startswith("cat, image") for word in told["words"])
    assert "Images of class cat, test images of class dog" in text(app)
    app.button(key="influence.all").click().run()
    assert not app.exception and "view_pair" not in app.query_params
    assert len(sheets(app)["influence.set"]["words"]) > len(told["words"])


@pytest.mark.parametrize("pair", ["3", "3-99", "x-1", "-1-2", "1-2-3", "٣-٤"])
def test_a_cell_that_is_none_is_left_out(visit, shipped, pair):
    app = visit("8_Influence.py", view_pair=pair)
    assert not [b for b in app.button if b.key == "influence.all"]


def test_the_other_trace_is_folded(visit, shipped):
    hessian, fisher = (visit("8_Curvature.py", view_trace=name) for name in ("hessian", "fisher"))
    for app, seen, folded in ((hessian, "Hessian", "Fisher"), (fisher, "Fisher", "Hessian")):
        assert any("Trace of the" in title and seen in title for title in titles(app))
        assert [folded in e.label for e in app.expander if e.label.startswith("Trace of")] == [True]


def test_the_spectrum_is_that_of_the_chosen_moment(visit, shipped):
    first, last = (titles(visit("8_Curvature.py", view_at=at)) for at in ("0", "3"))
    assert "Largest eigenvalues at iteration 0" in first
    assert "Largest eigenvalues at iteration 300" in last
