"""Exact distillation: weights from the exported images against weights from all training images."""

from __future__ import annotations

import numpy as np
import pytest

from ddcore.data import resolve
from ddcore.distil.settings import make_spec
from tests.truth import files, ridge

RUNS = files.shipped("distill", method="krr-exact", data__name="digits")
GRID = [10 ** (e / 2) for e in range(-12, 12)]  # 1e-6 .. 10^5.5 (Chen et al. 2024)
AFFINE = [("map", "affine")]


def name(folder):
    asked = files.spec(folder)
    return f"{asked['params']['map']}-{asked['ipc']}"


def both(folder, export, real, format="npz"):
    """Weights from the export alone, weights from all training images, and what was found."""
    arrays, facts = export(folder, format)
    found, kernel = files.result(folder)["findings"], facts["kernel"]
    images = arrays["exact.images"].reshape(len(arrays["exact.images"]), -1)
    phi = ridge.features(kernel["kind"], images, arrays)
    few = ridge.of_set(phi, arrays["exact.labels"], kernel["ridge"])
    every = ridge.features(kernel["kind"], real.train.rows, arrays)
    return few, ridge.of_everything(every, real.train.labels, found["lam"]), found


def test_there_are_shipped_runs():
    assert {name(f) for f in RUNS} >= {"linear-1", "linear-10", "fcnn-1"}


@pytest.mark.parametrize("format", ["npz", "safetensors"])
@pytest.mark.parametrize("folder", RUNS, ids=name)
def test_the_set_gives_the_weights_of_all_training_images(folder, format, export, real):
    few, all_, found = both(folder, export, real, format)
    assert found["train_images"] == len(real.train.labels)
    # The model was made from float32 images: their rounding is all that separates the two.
    assert ridge.error(few, all_) < 2e-6
    # Stated is the error from the model that the run itself solved for.
    model = export(folder, format)[0]["exact.model"]
    assert found["exact"] and ridge.error(few, model) < 1e-12 and found["weight_error"] < 1e-12


@pytest.mark.parametrize("folder", RUNS, ids=name)
def test_the_validation_part_is_not_in_the_model_and_would_be_noticed(folder, export, real):
    few, _, found = both(folder, export, real)
    arrays, facts = export(folder)
    rows = np.concatenate([real.train.rows, real.val.rows])
    labels = np.concatenate([real.train.labels, real.val.labels])
    phi = ridge.features(facts["kernel"]["kind"], rows, arrays)
    assert ridge.error(few, ridge.of_everything(phi, labels, found["lam"])) > 0.02


@pytest.mark.parametrize("folder", RUNS, ids=name)
def test_stated_accuracies_and_the_choice_of_lambda(folder, export, real):
    few, all_, found = both(folder, export, real)
    arrays, facts = export(folder)
    kind = facts["kernel"]["kind"]
    train, val, test = (
        ridge.features(kind, part.rows, arrays) for part in (real.train, real.val, real.test)
    )
    assert ridge.accuracy(test, real.test.labels, few) == pytest.approx(found["distilled_accuracy"])
    assert ridge.accuracy(test, real.test.labels, all_) == pytest.approx(found["whole_accuracy"])
    grid = GRID[6:] if kind == "linear" else GRID  # from 1e-3: pixels that never change
    best, right = ridge.best_lambda(train, real.train.labels, val, real.val.labels, grid)
    assert best == pytest.approx(found["lam"])
    assert right == pytest.approx(facts["metrics"]["validation"]["mean"])


@pytest.mark.parametrize("folder", RUNS, ids=name)
def test_stated_errors_of_coarser_storage(folder, export):
    arrays, facts = export(folder)
    found, kind = files.result(folder)["findings"], facts["kernel"]["kind"]
    images = arrays["exact.images"].reshape(len(arrays["exact.images"]), -1)
    labels, lam = arrays["exact.labels"], facts["kernel"]["ridge"]

    def error(rounded, targets, eps=2**-52):
        phi = ridge.features(kind, rounded, arrays)
        return ridge.error(ridge.of_set(phi, targets, lam, eps), arrays["exact.model"])

    single = error(np.float32(images).astype(float), np.float32(labels).astype(float), 2**-23)
    assert single == pytest.approx(found["float32_error"], rel=1e-3)
    assert error(ridge.in_eight_bits(images), labels) == pytest.approx(
        found["uint8_error"], rel=1e-3
    )


@pytest.mark.parametrize(("ipc", "exact"), [(1, False), (2, True)])
def test_affine_features_need_two_images_per_class_and_the_error_says_so(
    ipc, exact, here, export, real
):
    run = make_spec("krr-exact", resolve("digits"), (1, 8, 8), ipc=ipc, settings=AFFINE)
    folder = here.need(run).folder
    few, all_, found = both(folder, export, real)
    assert found["exact"] == exact
    if exact:
        assert ridge.error(few, all_) < 2e-6
    else:
        assert ridge.error(few, all_) == pytest.approx(found["weight_error"], rel=1e-3)
        assert found["weight_error"] > 1e-3


@pytest.mark.parametrize("root", ["+", "-"])
def test_both_roots_of_a_set_with_a_ridge_of_its_own(root, here, export, real):
    settings = [("lambda_s", "0.5"), ("root", root)]
    run = make_spec("krr-exact", resolve("digits"), (1, 8, 8), ipc=1, settings=settings)
    folder = here.need(run).folder
    few, all_, found = both(folder, export, real)
    assert found["lambda_s"] == 0.5 and found["exact"]
    assert ridge.error(few, all_) < 2e-6
