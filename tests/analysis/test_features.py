"""Feature map: neighbours by brute force, an extreme case, and repeatable maps (section m.7)."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from analysis import analysis
from analysis.contract import PRESETS
from analysis.runs import choose
from analysis.settings import make_spec
from analysis.settings import picked as analysis_picked
from analysis.shared import embedding
from analysis.suite.features.compute import around, real_sample
from analysis.suite.features.figures import describe, found_point
from analysis.suite.features.spec import NONE, REAL, FeaturesTask
from analysis.task import ROWS, load_arrays
from ddcore.base.errors import SpecError
from ddcore.data import load
from ddcore.data.spec import DataSpec
from ddcore.tasks.store import Task
from tests.analysis.conftest import computed
from tests.pages.fakes import decoded, done, spec

UMAP = importlib.util.find_spec("umap") is not None


def blobs(count: int = 60, seed: int = 0) -> np.ndarray:
    """Features of three classes."""
    generator = np.random.default_rng(seed)
    centres = 6 * np.eye(3, 8)[np.arange(count) % 3]
    return (centres + generator.normal(size=(count, 8))).astype(np.float32)


def test_neighbours_against_brute_force():
    points = blobs(40)
    near = around(points, 30, 4)
    apart = ((points[:, None] - points[None, :30]) ** 2).sum(-1).astype(np.float64)
    apart[np.arange(30), np.arange(30)] = np.inf  # a real image is not its own neighbour
    np.testing.assert_array_equal(near, apart.argsort(1)[:, :4])


def test_majority_by_hand():
    rows = np.array([[1, 2, 2], [3, 1, 2], [2, 1, 1], [0, 5, 5]])
    assert embedding.majority(rows).tolist() == [2, 3, 1, 5]
    even = np.array([[4, 1, 1, 4], [1, 4, 1, 4]])
    assert embedding.majority(even).tolist() == [4, 1]  # of equals the one with the nearest image


def test_pca_is_that_of_the_real_images():
    points = blobs(50)
    xy, share = embedding.pca_map(points, 30)
    real = points[:30].astype(np.float64)
    _, values, axes = np.linalg.svd(real - real.mean(0))
    np.testing.assert_allclose(np.abs(xy), np.abs((points - real.mean(0)) @ axes[:2].T), atol=1e-4)
    np.testing.assert_allclose(share, values[:2] ** 2 / (values**2).sum())


def test_a_set_of_real_test_images_scores_as_real_ones(store):
    decoded(store)
    data = load(store, DataSpec())
    wanted = {"network": "convnet-8", "nets": 3, "epochs": 6, "projection": "pca"}
    rest = np.setdiff1d(np.arange(len(data.test_images)), real_sample(360, 200, 0))
    rows = np.concatenate([rest[data.test_labels[rest] == c][:8] for c in range(10)])
    shift = (data.test_labels[rows] + 1) % 10
    fields = {"images": data.preprocess(data.test_images[rows]), "preprocess": data.preprocessing}
    right = done(store, spec(ipc=8), labels=data.test_labels[rows], **fields)
    wrong = done(store, spec(ipc=8, seed=3), labels=shift, **fields)
    task = FeaturesTask(run_keys=(right.key, wrong.key), real_images=200, **wanted)
    agreement = computed(store, task).result()["agreement"]
    assert np.mean(agreement[REAL]) > 0.8
    assert np.mean(agreement[right.key]) == pytest.approx(np.mean(agreement[REAL]), abs=0.1)
    assert np.mean(agreement[wrong.key]) < 0.1


def test_agreement_is_that_of_the_stored_neighbours(finished):
    task: Task = finished("features")
    arrays, result = task.arrays(), task.result()
    truth = arrays["labels"][arrays["source"] == 0]
    assert result["real_images"] == len(truth) == 60
    np.testing.assert_array_equal(embedding.majority(truth[arrays["nearest"]]), arrays["called"][0])
    right = arrays["called"] == arrays["labels"]
    for place, run in enumerate([{"key": REAL}, *result["runs"]]):
        shares = right[:, arrays["source"] == place].mean(1)
        np.testing.assert_allclose(result["agreement"][run["key"]], shares)
    assert len(arrays["nearest"]) == len(arrays["source"]) == len(arrays["map.pca"])


def test_an_image_finds_its_point(finished):
    task, of = finished("features"), analysis("features")
    result, arrays = of.result(task), task.arrays()
    run = result.runs[1].key
    wanted = {"find": run, "image": "4"}
    picked = analysis_picked(of, result, lambda o: wanted.get(o.name, next(iter(o.choices))))
    row = found_point(result, arrays, picked)
    assert arrays["source"][row] == 2
    assert row == np.flatnonzero(arrays["source"] == 2)[4]
    ring = [t for t in of.figures(result, arrays, picked)[0].figure.data if t.name == "found"]
    assert [list(t.customdata[0]) for t in ring] == [[row]] * len(ring)
    np.testing.assert_allclose([ring[0].x[0], ring[0].y[0]], arrays["map.pca"][row])
    usual = analysis_picked(of, result)
    assert usual["find"] == NONE
    assert found_point(result, arrays, usual) is None


def test_every_point_is_in_the_map_once_and_described(finished):
    task, of = finished("features"), analysis("features")
    result, arrays = of.result(task), task.arrays()
    for colour in ("class", "set"):
        picked = {**analysis_picked(of, result), "colour": colour}
        figure = of.figures(result, arrays, picked)[0].figure
        rows = [int(r[0]) for t in figure.data if t.customdata is not None for r in t.customdata]
        assert sorted(rows) == list(range(len(arrays["source"])))
    texts = describe(result, arrays)
    first = int(np.flatnonzero(arrays["source"] == 1)[0])
    assert texts[first].startswith(f"{result.runs[0].label} 0<br>class 0, neighbours ")
    assert texts[0].startswith(f"Real image {arrays[f'{ROWS}test.real_pixels'][0]}<br>")


def test_opened_images_are_those_of_the_points(analysed, finished):
    from pages.components import feature_map

    task = finished("features")
    result, arrays = analysis("features").result(task), load_arrays(analysed, task)
    row = int(np.flatnonzero(arrays["source"] == 2)[3])
    shown = feature_map.pixels(result, arrays, [5, row])
    data = load(analysed, DataSpec())
    np.testing.assert_allclose(
        shown[0],
        data.test_images[real_sample(len(data.test_images), 60, 0)[5]] / 255,
        atol=1e-6,
    )
    assert feature_map._here(arrays, [5, row]) == [5, row]
    assert feature_map._here(task.arrays(), [5, row]) == [row]  # the dataset is not here
    np.testing.assert_array_equal(shown[1], arrays[f"pixels.{result.runs[1].key}"][3])


def test_without_umap_only_pca(store, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    key = done(store).key
    small = {"network": "mlp-8", "nets": 1, "epochs": 1, "real_images": 30}
    with pytest.raises(SpecError, match="expected pca: the package umap-learn is not installed"):
        computed(store, FeaturesTask(run_keys=(key,), **small))
    assert not list(store.tasks("real_nets"))  # refused before anything was trained
    monkeypatch.undo()
    task = computed(store, FeaturesTask(run_keys=(key,), projection="pca", **small))
    assert task.result()["maps"] == ["pca"]


def test_bad_fields(store):
    for field, value in (
        ("network", "x"),
        ("neighbours", 0),
        ("n_neighbors", 1),
        ("projection", "tsne"),
        ("real_images", 5),
    ):
        with pytest.raises(SpecError) as error:
            FeaturesTask(run_keys=("0" * 16,), **{field: value})
        assert error.value.field == field
    wanted = FeaturesTask(
        run_keys=(done(store).key,), neighbours=900, projection="pca", network="mlp-8"
    )
    with pytest.raises(SpecError, match="test images there are"):
        computed(store, wanted)


def test_networks_are_those_of_recognition(store):
    chosen = choose(store, [done(store).key])
    for preset in PRESETS:
        ours = make_spec(analysis("features"), chosen, preset)
        theirs = make_spec(analysis("recognition"), chosen, preset)
        pools = {p.key for p in analysis("recognition").pools(theirs, chosen).values()}
        assert {p.key for p in analysis("features").pools(ours, chosen).values()} <= pools


@pytest.mark.slow
@pytest.mark.skipif(not UMAP, reason="umap-learn is not installed")
def test_umap_same_random_state_same_map(tmp_path):
    umap = embedding.load_umap(tmp_path)
    points, how = blobs(90), {"n_neighbors": 5, "random_state": 42}
    before = np.random.get_state()[1].copy()
    for joint in (True, False):
        one, two = (embedding.umap_map(umap, points, 60, joint=joint, **how) for _ in range(2))
        assert one.shape == (90, 2)
        np.testing.assert_array_equal(one, two)
        other = {**how, "random_state": 1}
        assert (embedding.umap_map(umap, points, 60, joint=joint, **other) != one).any()
        # The map keeps classes together: the nearest real points in it are of the same class.
        near = around(one, 60, 5)
        truth = np.arange(90) % 3
        assert (embedding.majority(truth[near]) == truth).mean() > 0.9
    np.testing.assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.slow
@pytest.mark.skipif(not UMAP, reason="umap-learn is not installed")
def test_umap_of_a_task_is_drawn_beside_pca(analysed, finished):
    of, small = analysis("features"), finished("features").spec()
    task = computed(analysed, dataclasses.replace(small, projection="umap"))
    result, arrays = of.result(task), task.arrays()
    assert result.found.maps == ("joint", "apart", "pca")
    assert result.versions["umap-learn"]
    for view in ("joint", "apart"):
        picked = {**analysis_picked(of, result), "map": view}
        figure = of.figures(result, arrays, picked)[0].figure
        points = sum(len(t.x) for t in figure.data if t.customdata is not None)
        assert points == 2 * len(arrays["source"])
    # The next process finds what was compiled (in the folder of the first store of this one).
    from numba import config

    assert list(Path(config.CACHE_DIR).rglob("umap_.smooth_knn_dist-*.nbi"))
