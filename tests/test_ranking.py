"""DD-Ranking's measures on figures whose answer is known."""

from __future__ import annotations

import pytest

from ddcore import ranking


def figure(mean: float, std: float = 0.0) -> dict:
    """A figure as an evaluation stores it."""
    return {"mean": mean, "std": std, "n": 5}


def test_improvement_over_random_is_distilled_minus_random():
    rows = {"distilled": figure(0.8, 0.03), "random": figure(0.6, 0.04), "whole": figure(0.95)}
    found = ranking.improvement_over_random(rows)
    assert found.mean == pytest.approx(0.2)
    assert found.std == pytest.approx(0.05)  # of independent networks


def test_a_set_worse_than_random_images_has_a_negative_improvement():
    rows = {"distilled": figure(0.5), "random": figure(0.6)}
    assert ranking.improvement_over_random(rows).mean == pytest.approx(-0.1)


def test_hard_label_gap_is_whole_minus_set():
    found = ranking.hard_label_gap(figure(0.95, 0.01), figure(0.8, 0.0))
    assert found.mean == pytest.approx(0.15)
    assert found.std == pytest.approx(0.01)


@pytest.mark.parametrize("missing", ["distilled", "random"])
def test_without_a_figure_there_is_no_improvement(missing):
    rows = {"distilled": figure(0.8), "random": figure(0.6)}
    del rows[missing]
    assert ranking.improvement_over_random(rows) is None


def test_without_a_figure_there_is_no_gap():
    assert ranking.hard_label_gap(None, figure(0.8)) is None
    assert ranking.hard_label_gap(figure(0.95), None) is None


def test_every_measure_is_defined():
    for text in ranking.DEFINITIONS.values():
        assert "better" in text
