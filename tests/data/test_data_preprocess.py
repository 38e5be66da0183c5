"""Normalising, whitening, and the same numbers on a device."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddcore import data
from ddcore.base import rng
from ddcore.base.errors import DataError
from ddcore.data import Preprocess, zca
from ddcore.data.tensors import DeviceData
from ddcore.tasks import worker


@pytest.fixture
def correlated():
    """uint8 (600, 3, 4, 4) images whose 48 pixels are correlated and all vary."""
    generator = np.random.default_rng(0)
    mixing = generator.normal(size=(48, 48)) / 7
    values = 128 + 40 * generator.normal(size=(600, 48)) @ (np.eye(48) + mixing)
    return np.clip(values, 0, 255).astype(np.uint8).reshape(600, 3, 4, 4)


def test_normalising_is_the_textbook_formula_and_undone(load):
    dataset = load("digits")
    ours = dataset.preprocess(dataset.train_images)
    expected = (dataset.train_images / 255 - dataset.mean[0]) / dataset.std[0]
    assert ours.dtype == np.float32
    assert np.allclose(ours, expected, atol=1e-5)
    back = dataset.pixels(ours)
    assert back.dtype == np.float32
    assert np.allclose(back, dataset.train_images / 255, atol=1e-6)
    assert dataset.pixels(np.full((1, 1, 8, 8), 9, np.float32)).max() > 1  # never clamped


def test_whitening_agrees_with_an_independent_computation(correlated):
    eps = 1e-4
    ours, variances = zca.fit(correlated, eps)
    flat = correlated.reshape(600, -1).astype(np.float64) / 255
    centred = flat - flat.mean(axis=0)
    # By the singular values of the data itself: no covariance, no eigh.
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    expected = axes.T @ np.diag(1 / np.sqrt(singular**2 / 599 + eps)) @ axes
    assert np.allclose(ours["matrix"], expected, rtol=1e-4, atol=1e-4)
    assert np.allclose(ours["mean"], flat.mean(axis=0), atol=1e-6)
    assert np.allclose(variances[::-1], singular**2 / 599, atol=1e-9)
    assert np.allclose(ours["matrix"] @ ours["inverse"], np.eye(48), atol=1e-4)


def test_whitened_covariance_is_nearly_the_identity(correlated):
    whitening, _ = zca.fit(correlated, 1e-5)
    one = np.ones(3, np.float32)
    both = Preprocess(one, one, **{f"zca_{name}": array for name, array in whitening.items()})
    white = both.forward(correlated)
    assert white.shape == correlated.shape and white.dtype == np.float32
    assert np.abs(np.cov(white.reshape(600, -1).T) - np.eye(48)).max() < 0.01
    assert np.abs(white.reshape(600, -1).mean(axis=0)).max() < 1e-4
    assert zca.roundtrip_error(whitening, correlated) < 1e-4


def test_zca_task_uses_the_training_part_only(load, store):
    dataset = load("digits", preprocess="zca", val_fraction=0.3)
    assert dataset.zca["matrix"].shape == (64, 64) and dataset.zca["mean"].shape == (64,)
    mean = dataset.train_images.reshape(len(dataset.train_labels), -1).mean(axis=0) / 255
    assert np.allclose(dataset.zca["mean"], mean, atol=1e-6)
    white = dataset.preprocess(dataset.test_images)
    assert np.abs(dataset.pixels(white) - dataset.test_images / 255).max() < 1e-4
    result = store.task(data.zca_task(dataset.spec)).result()
    assert result["images"] == len(dataset.train_labels) and result["roundtrip_error"] < 1e-4
    assert result["smallest_variance"] == 0  # corner pixels are always blank


def test_zca_keys(load):
    first = data.resolve("digits", preprocess="zca")
    keys = {
        data.zca_task(spec).key
        for spec in (first, first.replace(zca_eps=0.2), first.replace(split_seed=3))
    }
    assert len(keys) == 3
    assert data.zca_task(first.replace(preprocess="normalise")).key in keys


def test_zca_refuses_too_many_dimensions(monkeypatch, compute):
    monkeypatch.setattr(zca, "MAX_DIMENSIONS", 50)
    with pytest.raises(
        DataError, match=r"'zca' on pictures of shape \(1, 8, 8\).*smaller resolution"
    ):
        compute(data.zca_task(data.resolve("digits")))


def test_zca_refuses_what_cannot_be_undone(monkeypatch, compute, store):
    monkeypatch.setattr(zca, "TOLERANCE", 1e-12)
    spec = data.zca_task(data.resolve("digits", zca_eps=0.01))
    with pytest.raises(DataError, match=r"zca_eps = 0.01 makes a whitening.*larger"):
        compute(spec)
    folder = store.task(spec).folder
    assert {p.name for p in folder.iterdir()} <= {"spec.json", "status.json", ".lock"}


def test_ensure_computes_what_is_missing(store):
    spec = data.resolve("digits", preprocess="zca")

    class Asking(data.DownloadTask):
        KIND = "asking"

        def run(self, context):
            context.save_result({"n": len(data.ensure(context, spec).train_labels)})

    task = Asking(name="mnist")
    worker.run_task(store, store.create(task), task, "cpu")
    assert store.task(task).result()["n"] == len(data.load(store, spec).train_labels)


@pytest.mark.parametrize("kind", ["normalise", "zca"])
def test_tensors_and_arrays_get_the_same_numbers(load, kind):
    dataset = load("digits", preprocess=kind)
    images = dataset.test_images[:50]
    as_array = dataset.preprocess(images)
    as_tensor = dataset.preprocessing.forward(torch.from_numpy(images))
    assert as_tensor.dtype == torch.float32
    assert np.allclose(as_array, as_tensor.numpy(), atol=1e-5)
    back = dataset.preprocessing.inverse(as_tensor)
    assert np.allclose(back.numpy(), images / 255, atol=1e-4)
    leaf = as_tensor.double().requires_grad_()
    dataset.preprocessing.inverse(leaf).sum().backward()
    assert leaf.grad is not None and leaf.grad.dtype == torch.float64


@pytest.mark.parametrize("kind", ["normalise", "zca"])
def test_chunks_do_not_change_numbers(load, kind, monkeypatch):
    dataset = load("digits", preprocess=kind)
    whole = dataset.preprocess(dataset.test_images)
    monkeypatch.setattr("ddcore.data.preprocess.CHUNK", 7)
    assert np.allclose(dataset.preprocess(dataset.test_images), whole, atol=1e-5)


@pytest.mark.parametrize("kind", ["normalise", "zca"])
def test_preprocess_travels_as_arrays(load, kind):
    dataset = load("digits", preprocess=kind)
    other = {"images": dataset.test_images}
    arrays = dataset.preprocessing.arrays() | other
    again = Preprocess.from_arrays(arrays)
    assert again.to_dict() == dataset.preprocessing.to_dict()
    assert again.to_dict()["preprocess"] == kind
    images = dataset.test_images[:5]
    assert np.array_equal(again.forward(images), dataset.preprocess(images))


# --- on a device ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["normalise", "zca"])
@pytest.mark.parametrize("float_bytes", [0, 1 << 30], ids=["on the fly", "once"])
def test_device_data_equals_the_dataset(load, kind, float_bytes):
    dataset = load("digits", preprocess=kind)
    device = DeviceData(dataset, "cpu", float_bytes=float_bytes)
    indices = torch.tensor([5, 0, 700, 5])
    expected = dataset.preprocess(dataset.train_images[indices.numpy()])
    batch = device.batch(indices)
    assert batch.dtype == torch.float32 and batch.shape == (4, 1, 8, 8)
    assert np.allclose(batch.numpy(), expected, atol=1e-5)
    images, labels = zip(*device.test.batches(128))
    assert [len(x) for x in labels] == [128, 128, 128, 116]
    assert np.array_equal(torch.cat(labels), dataset.test_labels)
    assert np.allclose(torch.cat(images), dataset.preprocess(dataset.test_images), atol=1e-5)
    assert len(device.val) == len(dataset.val_labels)


def test_sample_per_class_is_balanced_sorted_and_from_the_right_class(load):
    dataset = load("digits")
    device = DeviceData(dataset)
    images, labels = device.sample_per_class(7, rng.generator(0, "draw"))
    assert images.shape == (70, 1, 8, 8)
    assert labels.tolist() == [c for c in range(10) for _ in range(7)]
    pixels = np.rint(dataset.pixels(images.numpy()) * 255).astype(np.uint8)
    for image, label in zip(pixels, labels):
        members = dataset.train_images[dataset.train_labels == int(label)]
        assert (members == image).all(axis=(1, 2, 3)).any()
    again, _ = device.sample_per_class(7, rng.generator(0, "draw"))
    other, _ = device.sample_per_class(7, rng.generator(1, "draw"))
    assert torch.equal(images, again) and not torch.equal(images, other)


def test_every_member_of_a_class_is_drawn_equally_often(make_folder, load):
    dataset = load(make_folder({"a": 5, "b": 13}))
    device = DeviceData(dataset)
    assert [len(i) for i in device.class_indices] == np.bincount(dataset.train_labels).tolist()
    for label, indices in enumerate(device.class_indices):
        assert set(device.train.labels[indices].tolist()) == {label}
    images, labels = device.sample_per_class(6000, rng.generator(0, "often"))
    for label, indices in enumerate(device.class_indices):
        drawn = images[labels == label].flatten(1)
        distance = torch.cdist(drawn, device.batch(indices).flatten(1))
        counts = torch.bincount(distance.argmin(1), minlength=len(indices))
        expected = 6000 / len(indices)
        chi2 = ((counts - expected) ** 2 / expected).sum()
        assert chi2 < 40  # at most 12 degrees of freedom: p below 1e-4


def test_minibatch_pairs_images_with_their_labels(load):
    dataset = load("digits")
    device = DeviceData(dataset, float_bytes=0)
    images, labels = device.minibatch(32, rng.generator(0, "batch"))
    assert images.shape == (32, 1, 8, 8) and labels.dtype == torch.int64
    pixels = np.rint(dataset.pixels(images.numpy()) * 255).astype(np.uint8)
    for image, label in zip(pixels, labels):
        same = (dataset.train_images == image).all(axis=(1, 2, 3))
        assert int(label) in dataset.train_labels[same]
