"""DD-Ranking's measures on figures whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from ddcore.data.preprocess import Preprocess
from ddcore.measure import ranking
from ddcore.nets import NetSpec
from ddcore.sets.distilled import DistilledSet
from ddcore.training.protocols import PROTOCOLS


def figure(mean: float, std: float = 0.0) -> dict:
    """A figure as an evaluation stores it."""
    return {"mean": mean, "std": std, "n": 5}


def test_improvement_over_random_is_distilled_minus_random():
    rows = {"distilled": figure(0.8, 0.03), "random": figure(0.6, 0.04), "whole": figure(0.95)}
    found = ranking.improvement_over_random(rows, own_labels=False).over_random
    assert found.mean == pytest.approx(0.2)
    assert found.std == pytest.approx(0.05)  # of independent networks


def test_a_set_worse_than_random_images_has_a_negative_improvement():
    rows = {"distilled": figure(0.5), "random": figure(0.6)}
    assert ranking.improvement_over_random(rows, False).over_random.mean == pytest.approx(-0.1)


def test_hard_label_gap_is_whole_minus_set():
    found = ranking.hard_label_gap(figure(0.95, 0.01), figure(0.8, 0.0))
    assert found.mean == pytest.approx(0.15)
    assert found.std == pytest.approx(0.01)


@pytest.mark.parametrize("missing", ["distilled", "random"])
def test_without_a_figure_there_is_no_improvement(missing):
    rows = {"distilled": figure(0.8), "random": figure(0.6)}
    del rows[missing]
    assert ranking.improvement_over_random(rows, False) is None


def test_labels_of_the_set_are_no_gain_of_its_images():
    """A teacher's labels are given to the random images too; both differences are said."""
    rows = {"distilled": figure(0.8), "random": figure(0.6), "random_labelled": figure(0.7)}
    found = ranking.improvement_over_random(rows, own_labels=True)
    assert found.over_random.mean == pytest.approx(0.1)
    assert found.over_classes.mean == pytest.approx(0.2)
    assert "same teacher" in found.note and "+20.0 ± 0.0 points" in found.note


def test_labels_that_cannot_be_made_anew_are_said():
    rows = {"distilled": figure(0.8), "random": figure(0.6)}
    found = ranking.improvement_over_random(rows, own_labels=True)
    assert found.over_random.mean == pytest.approx(0.2)
    assert found.note == ranking.LABELS_DIFFER
    assert ranking.improvement_over_random(rows, own_labels=False).note == ""


def test_a_single_network_has_no_spread():
    alone = figure(0.8) | {"n": 1}
    assert ranking.difference(alone, figure(0.6, 0.02)).std is None
    assert ranking.difference(alone, figure(0.6, 0.02)).points() == "+20.0 points"


def made(labels: np.ndarray) -> DistilledSet:
    """Ten images with some labels."""
    unit = np.ones(1, np.float32)
    return DistilledSet(
        images=np.zeros((10, 1, 8, 8), np.float32),
        labels=labels,
        class_names=tuple("0123456789"),
        preprocess=Preprocess(0 * unit, unit),
        net=NetSpec(width=4, depth=2),
        protocol=PROTOCOLS["quick"],
        method="dm",
        run_key="",
        data={},
    )


def test_labels_count_as_they_are_used():
    """Cross-entropy takes the class of labels that are no distributions, regression the labels."""
    soft = np.full((10, 10), 0.1, np.float32)
    free = np.eye(10, dtype=np.float32) - 0.1
    quick, kernel = PROTOCOLS["quick"], PROTOCOLS["kernel"]
    assert not ranking.with_own_labels(made(np.arange(10)), quick)
    assert ranking.with_own_labels(made(soft), quick)
    assert not ranking.with_own_labels(made(free), quick)
    assert ranking.with_own_labels(made(free), kernel)


def test_without_a_figure_there_is_no_gap():
    assert ranking.hard_label_gap(None, figure(0.8)) is None
    assert ranking.hard_label_gap(figure(0.95), None) is None


def test_every_measure_is_defined():
    for text in ranking.DEFINITIONS.values():
        assert "better" in text
