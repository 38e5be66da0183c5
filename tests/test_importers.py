"""Sets from elsewhere: every layout as its code writes it, wrong and hostile files, use like a run."""

import dataclasses
import io
import itertools
import json
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save as safetensors_save

from ddcore.base.errors import DataError, SpecError
from ddcore.base.texts import percent
from ddcore.cli import main
from ddcore.data import datasets, load, resolve
from ddcore.data.preprocess import Preprocess
from ddcore.data.spec import DataSpec
from ddcore.data.zca import fit
from ddcore.distil.contract import methods
from ddcore.measure.spec import default_evaluation
from ddcore.nets import NetSpec
from ddcore.sets import exports, foreign_files, imported
from ddcore.sets.distilled import DistilledSet
from ddcore.sets.imported_spec import ImportTask, misfit, propose, regularised_eps
from ddcore.sets.importers import Stored, examine, facts, files, importers, open_file, scales
from ddcore.training.protocols import PROTOCOLS
from tests.test_distilled import make

K = 10
SMALL = NetSpec(width=4, depth=2)


# --- writing files as published code does -----------------------------------------------------------


def pt(value, legacy=False):
    """What torch.save writes; `legacy` as before torch 1.6."""
    out = io.BytesIO()
    torch.save(value, out, _use_new_zipfile_serialization=not legacy)
    return out.getvalue()


def npz(**arrays):
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def noise(ipc=1, shape=(1, 8, 8), seed=0):
    """Normalised-looking images, class-sorted, and their labels."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(K * ipc, *shape, generator=generator)
    return images, torch.arange(K).repeat_interleave(ipc)


def dc_file(ipc=1, experiments=1, legacy=False, **changes):
    pairs = [list(noise(ipc, seed=i)) for i in range(experiments)]
    accuracies = {"ConvNet": [np.float64(0.5), np.float32(0.25)], "MLP": []}
    return pt({"data": pairs, "accs_all_exps": accuracies, **changes}, legacy)


def dd2018_file(steps=3, passes=2, ipc_step=1, legacy=True):
    """Triples as `get_steps` makes them: shared images, a step size of shape (1,) for each."""
    parts = [noise(ipc_step, seed=s) for s in range(steps)]
    sizes = torch.linspace(0.01, 0.06, steps * passes).reshape(-1, 1).unbind()
    return pt([(*parts[k % steps], lr) for k, lr in enumerate(sizes)], legacy)


def opened(*contents, names=None, **options):
    names = names or [f"file{i}.pt" for i in range(len(contents))]
    return examine([open_file(c, n) for c, n in zip(contents, names)], **options)


def bring_in(store, compute, contents, names=None, **choices):
    """The finished task of files on the digits."""
    names = names or [f"file{i}.pt" for i in range(len(contents))]
    report = opened(*contents, names=names, experiment=choices.pop("experiment", 0))
    spec = propose(report, resolve("digits"), **choices)
    imported.bring(store, spec, contents, names)
    return compute(spec)


@pytest.fixture
def digits(store, compute):
    """The digits, decoded."""
    from ddcore.data import dataset_task

    compute(dataset_task(resolve("digits")))
    return load(store, resolve("digits"))


# --- layouts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("legacy", [False, True])
def test_dc_with_numpy_accuracies_beside_it(store, compute, legacy):
    task = bring_in(store, compute, [dc_file(2, legacy=legacy)], ["res_DSA_X_ConvNet_2ipc.pt"])
    made, (images, labels) = DistilledSet.from_task(task), noise(2)
    assert np.array_equal(made.images, images) and np.array_equal(made.labels, labels)
    assert made.protocol == PROTOCOLS["dsa-digits"] and made.run_key == task.key
    assert task.spec().ipc == 2 and made.class_names == tuple("0123456789")


def test_dc_experiments_are_separate_sets(store, compute):
    content = dc_file(experiments=3)
    assert opened(content).found.experiments == 3
    tasks = [bring_in(store, compute, [content], experiment=e) for e in (0, 2)]
    assert tasks[0].key != tasks[1].key
    second = DistilledSet.from_task(tasks[1])
    assert np.array_equal(second.images, noise(seed=2)[0])
    with pytest.raises(DataError, match="holds 3 experiments"):
        opened(content, experiment=3)


@pytest.mark.parametrize(
    ("name", "method", "protocol"),
    [
        ("res_DC_CIFAR10_ConvNet_1ipc.pt", "dc", "dc"),
        ("res_DSA_CIFAR10_ConvNet_1ipc.pt", "dsa", "dsa"),
        ("res_DM_CIFAR10_ConvNet_50ipc.pt", "dm", "dsa"),
        ("mine.pt", "dc", "dc"),
    ],
)
def test_dc_file_names_say_the_method(name, method, protocol):
    chosen = importers()["dc"]
    assert chosen.method([name]) == method
    assert chosen.protocol("cifar10", [name], (3, 32, 32)) == protocol


def test_dd2018_keeps_order_and_step_sizes(store, compute):
    task = bring_in(store, compute, [dd2018_file(steps=3, passes=2, ipc_step=2)])
    made = DistilledSet.from_task(task)
    assert (made.steps, made.ipc, task.spec().steps) == (3, 6, 3)
    np.testing.assert_allclose(made.lrs, np.linspace(0.01, 0.06, 6), rtol=1e-6)
    for step in range(3):
        images, labels = noise(2, seed=step)
        assert np.array_equal(made.images[made.step_of == step], images)
        assert np.array_equal(made.labels[made.step_of == step], labels)
    assert made.protocol.ordered and made.net.init == "xavier"


@pytest.mark.parametrize("soft", ["hard", "probabilities", "scores"])
def test_mtt_pairs_in_any_order_of_files(store, compute, soft):
    images, labels = noise(2)
    scores = 5 * torch.eye(K)[labels] + 0.1
    given = {"hard": labels, "probabilities": scores.softmax(1), "scores": scores}[soft]
    contents = [pt(given), pt(torch.tensor(0.03)), pt(images)]
    names = ["labels_best.pt", "lr_best.pt", "images_best.pt"]
    task = bring_in(store, compute, contents, names)
    made = DistilledSet.from_task(task)
    assert np.array_equal(made.images, images)
    assert made.lrs.tolist() == [np.float32(0.03)] and made.protocol.name == "mtt"
    expected = labels if soft == "hard" else scores.softmax(1)
    np.testing.assert_allclose(made.labels, expected, rtol=1e-5)
    assert opened(*contents).facts.labels == soft


def test_a_typed_step_size_is_used(store, compute):
    images, labels = noise()
    task = bring_in(store, compute, [pt(images), pt(labels)], lr=0.5)
    assert DistilledSet.from_task(task).lrs.tolist() == [0.5]


def test_soft_labels_as_hard_ones(store, compute):
    images, labels = noise()
    task = bring_in(store, compute, [pt(images), pt(torch.eye(K)[labels])], labels="argmax")
    assert np.array_equal(DistilledSet.from_task(task).labels, labels)


def test_soft_labels_that_favour_another_class_keep_the_order_of_the_file(store, compute):
    images, labels = noise(2)
    soft = torch.eye(K)[labels] * 0.4
    soft[3, 7] = 0.6
    report = opened(pt(images), pt(soft))
    assert report.facts.disagree == 1
    task = bring_in(store, compute, [pt(images), pt(soft)])
    assert np.array_equal(DistilledSet.from_task(task).images, images)


def test_idc_tiles_are_enlarged_as_the_authors_do(store, compute, digits):
    small = torch.rand(4, K, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    stored = torch.cat([torch.cat([small[0], small[1]], 3), torch.cat([small[2], small[3]], 3)], 2)
    task = bring_in(store, compute, [pt([stored, torch.arange(K)])], scale="unit", tiles=2)
    made = DistilledSet.from_task(task)
    assert made.ipc == 4 and task.spec().ipc == 1 and made.floats == stored.numel()
    for tile in range(4):
        larger = torch.nn.functional.interpolate(small[tile], 8, mode="bilinear")
        np.testing.assert_allclose(made.pixels()[tile::4], larger, atol=1e-5)
    assert np.array_equal(made.labels, np.arange(K).repeat(4))


def test_sides_that_are_no_multiple_are_filled_up(digits):
    tiles = imported.split(np.ones((2, 1, 8, 8), np.float32), 3, digits.preprocessing)
    assert tiles.shape == (18, 1, 8, 8) and tiles[0].min() == 1
    grey = digits.preprocessing.forward(np.full((1, 1, 1, 1), 0.5, np.float32))
    assert tiles[8, 0, -1, -1] == pytest.approx(grey.item())  # the lower right corner


def test_seams_between_tiles_are_seen():
    smooth = np.add.outer(np.linspace(0, 0.5, 16), np.linspace(0, 0.5, 16))
    one = np.random.default_rng(0).uniform(0.5, 1, (20, 1, 1, 1)) * np.kron(np.ones((2, 2)), smooth)
    assert facts.seams(one.astype(np.float32)) == 2
    whole = np.random.default_rng(0).normal(size=(20, 3, 32, 32)).astype(np.float32)
    assert facts.seams(whole) == 1


@pytest.mark.parametrize("kind", ["npz", "safetensors", "pt"])
@pytest.mark.parametrize("names", [("images", "labels"), ("X", "y"), ("data", "targets")])
def test_plain_arrays(store, compute, kind, names):
    images, labels = (t.numpy() for t in noise())
    named = dict(zip(names, (images, labels)))
    tensors = {k: torch.from_numpy(a) for k, a in named.items()}
    content = {"npz": npz(**named), "safetensors": safetensors_save(named), "pt": pt(tensors)}[kind]
    task = bring_in(store, compute, [content], [f"mine.{kind}"])
    assert task.spec().format == "arrays"
    assert np.array_equal(DistilledSet.from_task(task).images, images)


def test_channels_at_the_end_and_no_channel(digits):
    images, labels = (t.numpy() for t in noise())
    for stored in (np.moveaxis(images, 1, 3), images[:, 0]):
        assert np.array_equal(opened(npz(images=stored, labels=labels)).found.images, images)


def test_classes_in_any_order_are_sorted(store, compute):
    images, labels = noise(3)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))
    task = bring_in(store, compute, [pt([images[order], labels[order]])], scale="normalised")
    made = DistilledSet.from_task(task)
    assert np.array_equal(made.labels, labels)
    for c in range(K):
        mine = {i.tobytes() for i in images[labels == c].numpy()}
        assert mine == {i.tobytes() for i in made.images[made.labels == c]}


@pytest.mark.parametrize("format", ["npz", "pt", "safetensors", "hf"])
@pytest.mark.parametrize("fixed", [False, True])
def test_own_exports_come_back_bit_for_bit(store, compute, digits, format, fixed):
    rng = np.random.default_rng(0)
    given = make(
        images=rng.normal(size=(20, 1, 8, 8)).astype(np.float32),
        labels=np.tile(np.arange(K), 2),
        class_names=digits.class_names,
        preprocess=digits.preprocessing,
        data=digits.spec.to_dict(),
        steps=2,
        lrs=np.array([0.1, 0.2, 0.3, 0.4], np.float32),
        init=fixed,
        momentum=0.5,
    )
    content, name, _ = exports.export_bytes(given, format)
    task = bring_in(store, compute, [content], [name])
    made = DistilledSet.from_task(task)
    assert task.spec().format == "own" and task.spec().method == "dm"
    assert task.spec().params.setting == ("fixed" if fixed else "")
    for field in dataclasses.fields(DistilledSet):
        if field.name in ("preprocess", "run_key", "metrics"):
            continue
        one, other = getattr(given, field.name), getattr(made, field.name)
        if field.name == "init_weights":
            assert one.keys() == other.keys()
            assert all(np.array_equal(one[k], other[k]) for k in one)
        else:
            assert np.array_equal(one, other), field.name
    assert imported.same(made.preprocess, given.preprocess)


def test_own_exports_with_other_preprocessing_keep_their_pixels(store, compute, digits):
    other = Preprocess(np.array([0.1], np.float32), np.array([0.7], np.float32))
    labels = np.arange(K)
    given = make(
        images=np.random.default_rng(0).normal(size=(K, 1, 8, 8)).astype(np.float32),
        labels=labels,
        class_names=digits.class_names,
        preprocess=other,
    )
    task = bring_in(store, compute, [exports.export_bytes(given, "npz")[0]])
    np.testing.assert_allclose(DistilledSet.from_task(task).pixels(), given.pixels(), atol=1e-5)


def test_a_header_whose_length_begins_like_a_pickle():
    """Header lengths are multiples of 8, so one safetensors file in 32 begins with the byte 0x80."""
    made = make(metrics={"note": ""})
    plain = int.from_bytes(exports.export_bytes(made, "safetensors")[0][:2], "little")
    made = make(metrics={"note": "x" * ((128 - plain) % 256)})
    content = exports.export_bytes(made, "safetensors")[0]
    assert content[0] == 0x80
    assert np.array_equal(exports.load_bytes(content).images, made.images)
    assert opened(content).importer.name == "own"


# --- scales ---------------------------------------------------------------------------------------


def real(digits, ipc=5):
    """Real images of each class, uint8, class-sorted, and labels."""
    rows = [digits.train_images[digits.train_labels == c][:ipc] for c in range(K)]
    return np.concatenate(rows), np.arange(K).repeat(ipc)


@pytest.mark.parametrize("scale", ["unit", "byte", "signed", "normalised", "float byte"])
def test_the_scale_is_recognised_and_undone(store, compute, digits, scale):
    images, labels = real(digits)
    pixels = images / np.float32(255)
    stored = {
        "unit": pixels,
        "byte": images,
        "float byte": images.astype(np.float64) - 0.25,
        "signed": 2 * pixels - 1,
        "normalised": digits.preprocess(images),
    }[scale]
    task = bring_in(store, compute, [npz(images=stored, labels=labels)])
    assert task.spec().scale == scale.split()[-1]
    made = DistilledSet.from_task(task)
    np.testing.assert_allclose(made.pixels(), pixels, atol=2e-3)
    assert made.data["preprocess"] == "normalise"


def test_whitened_images_are_recognised():
    g = np.random.default_rng(0)
    coarse = g.integers(0, 255, (600, 3, 4, 4)).repeat(4, 2).repeat(4, 3)
    images = (0.8 * coarse + g.integers(0, 40, coarse.shape)).astype(np.uint8)
    whitening, _ = fit(images, 0.1)
    arrays = {f"zca_{name}": a for name, a in whitening.items()}
    white = Preprocess(np.zeros(3, np.float32), np.ones(3, np.float32), **arrays).forward(images)
    assert scales.guess(scales.measure(white)).scale == "zca"
    x = images / 255
    normalised = (x - x.mean()) / x.std()
    assert scales.guess(scales.measure(normalised)).scale == "normalised"


def test_whitened_images_stay_and_are_shown_through_the_inverse(store, compute):
    images, labels = noise()
    task = bring_in(store, compute, [pt(images), pt(labels)], scale="zca")
    made = DistilledSet.from_task(task)
    assert np.array_equal(made.images, images) and made.preprocess.whitens
    assert task.spec().data.preprocess == "zca"
    np.testing.assert_allclose(made.preprocess.forward(made.pixels()), images, atol=1e-2)


def photographs(count=600, seed=0):
    """Smooth colour images, uint8, whose channels differ as little as those of photographs."""
    g = np.random.default_rng(seed)
    coarse = g.integers(0, 200, (count, 3, 4, 4)).repeat(4, 2).repeat(4, 3)
    return (coarse + g.integers(0, 50, coarse.shape)).astype(np.uint8)


def regularised(images):
    """What the official code of KIP and RFAD makes of pixels, from its description."""
    x = images / 255
    x = (x - x.mean((0, 2, 3), keepdims=True)) / x.std((0, 2, 3), keepdims=True)
    flat = x.reshape(len(x), -1)
    covariance = flat.T @ flat / len(flat)
    size = len(covariance)
    values, axes = np.linalg.eigh(covariance + 0.1 * np.trace(covariance) / size * np.eye(size))
    return (flat @ (axes / np.sqrt(values)) @ axes.T).reshape(x.shape).astype(np.float32)


def test_the_regularised_whitening_is_a_tenth_of_the_mean_variance():
    images = photographs()
    std = (images / 255).std((0, 2, 3))
    theirs = regularised(images)
    off = {}
    for eps in (regularised_eps(std), 0.1):
        arrays = {f"zca_{name}": a for name, a in fit(images, eps)[0].items()}
        ours = Preprocess(np.zeros(3, np.float32), np.ones(3, np.float32), **arrays).forward(images)
        off[eps] = np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)
    assert off[regularised_eps(std)] < 0.05 < 0.3 < off[0.1]


def rfad_file(images, labels):
    """best.npz of the official code: targets for regression, a temperature and a ridge."""
    targets = np.eye(K, dtype=np.float32)[labels] - 1 / K
    return npz(images=images, labels=targets, valid_loss=0.1, k=np.float32(3.7), jit=5e-3)


def test_rfad_is_known_by_its_file_and_judged_in_its_whitening():
    white = regularised(photographs(20)) * 1.5
    report = opened(rfad_file(white, np.arange(20) % K), names=["best.npz"])
    assert report.importer.name == "rfad"
    spec = propose(report, DataSpec(name="cifar10", source="torchvision"), scale="zca-regularised")
    assert spec.data.preprocess == "zca" and spec.data.zca_eps == pytest.approx(0.00628, rel=0.01)
    assert spec.labels == "keep" and spec.method == "rfad"  # their softmax would be nearly flat
    own = DataSpec(name="folder", source="folder", path="/x", fingerprint="0" * 64)
    assert (
        propose(report, own, spread=(0.2, 0.2, 0.2), scale="zca-regularised").data.zca_eps == 0.004
    )
    with pytest.raises(SpecError, match="until the dataset has been read"):
        propose(report, own, scale="zca-regularised")


@pytest.mark.parametrize(("std", "neighbours"), [(0.755, 0.337), (0.767, 0.378)])
def test_the_published_sets_of_rfad_are_not_called_normalised(std, neighbours):
    """Figures of distilled_images_final/cifar10/1 and 10/best.npz in the authors' repository."""
    facts = {"low": -6.1, "high": 5.7, "mean": 0.001, "outside": 0.57, "whole": False}
    values = scales.Values(**facts, std=std, neighbours=neighbours, channels=3)
    assert scales.guess(values).scale == "zca-regularised"
    assert scales.guess(dataclasses.replace(values, neighbours=0.02, std=1.0)).scale == "normalised"
    assert scales.guess(dataclasses.replace(values, neighbours=0.9)).scale == "normalised"


@pytest.mark.parametrize("scale", ["unit", "byte", "normalised"])
def test_pixels_of_whitened_runs_are_judged_whitened(store, compute, digits, scale):
    images, labels = real(digits, 2)
    stored = {"unit": images / np.float32(255), "byte": images}.get(
        scale, digits.preprocess(images)
    )
    task = bring_in(store, compute, [npz(images=stored, labels=labels)], whiten=True)
    made = DistilledSet.from_task(task)
    assert task.spec().scale == scale and task.spec().data.preprocess == "zca"
    assert made.preprocess.whitens
    np.testing.assert_allclose(made.pixels(), images / 255, atol=2e-3)
    np.testing.assert_allclose(made.images, made.preprocess.forward(images), atol=1e-3)


def test_pixel_files_that_are_named_after_whitening():
    images, labels = noise(2)
    content = pt(images.sigmoid()), pt(labels)
    data = resolve("digits")
    plain = opened(*content, names=["images_best.pt", "labels_best.pt"])
    assert propose(plain, data).data.preprocess == "normalise"
    named = opened(*content, names=["images_zca_5000.pt", "labels_5000.pt"])
    assert propose(named, data).data.preprocess == "zca"
    assert propose(named, data, whiten=False).data.preprocess == "normalise"


def colours(low, high, dtype):
    """Colour images with this range of values."""
    x = np.random.default_rng(0).normal(0.5, 0.25, (K, 3, 16, 16))
    return (low + (high - low) * np.clip(x, 0.02, 0.98)).astype(dtype)


def test_stretched_and_cut_off_files_are_warned_about():
    fine = colours(0, 255, np.uint8)
    assert scales.measure(fine).warnings() == []
    stretched = fine.copy()
    stretched[:, 0, 0, 0], stretched[:, 0, 0, 1] = 0, 255
    (warning,) = scales.measure(stretched).warnings()
    assert warning.startswith("100 % of the images reach exactly from black to white")
    cut = np.clip(colours(-100, 330, np.float64), 0, 255).astype(np.uint8)
    assert any(
        "exactly black or white: what lay beyond" in w for w in scales.measure(cut).warnings()
    )
    for other in (cut / np.float32(255), cut[:, :1]):
        assert bool(scales.measure(other).warnings()) == (
            other.shape[1] == 3
        )  # digits are so by nature
    assert scales.measure(cut.astype(np.float32) / 128 - 1).warnings() == []  # no pixels


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0 %"),
        (1, "100 %"),
        (0.999, "99.90 %"),
        (0.9999999, "99.99 %"),
        (0.582, "58 %"),
        (0.0366, "3.7 %"),
        (0.00366, "0.37 %"),
        (1e-7, "less than 0.01 %"),
    ],
)
def test_shares_are_percent_texts(share, text):
    assert percent(share) == text


def test_no_share_is_written_as_a_power_of_ten():
    x = np.random.default_rng(0).normal(5, 1, (K, 3, 8, 8))
    assert "; 100 % lie outside 0..1." in scales.measure(x).sentence()


def test_other_constants(store, compute, digits):
    images, labels = real(digits, 1)
    pixels = images / np.float32(255)
    content = npz(images=(pixels - 0.25) / 0.125, labels=labels)
    task = bring_in(store, compute, [content], scale="normalised", mean=(0.25,), std=(0.125,))
    np.testing.assert_allclose(DistilledSet.from_task(task).pixels(), pixels, atol=1e-6)


def test_the_constants_of_2018_are_other_ones():
    spec = dict(importers()["dd2018"].constants)
    assert spec["cifar10"][1] == (0.247, 0.243, 0.261)


def test_a_layout_is_believed_unless_its_values_contradict():
    images, labels = noise()
    assert opened(pt({"data": [[images, labels]]})).guess.scale == "normalised"
    report = opened(pt({"data": [[images.sigmoid(), labels]]}))
    assert report.guess.scale == "unit" and "usually holds other values" in report.guess.why


def test_scales_in_the_middle_of_a_sentence():
    assert scales.phrase("zca") == "ZCA-whitened" and scales.phrase("unit") == "pixels from 0 to 1"


def test_measured_values_are_exact(monkeypatch):
    monkeypatch.setattr(scales, "BLOCK", 3)
    x = np.random.default_rng(0).normal(0.4, 0.6, (10, 3, 8, 8))
    v = scales.measure(x)
    assert (v.low, v.high) == (np.float32(x.min()), np.float32(x.max()))
    assert v.mean == pytest.approx(x.mean(), rel=1e-5) and v.std == pytest.approx(x.std(), rel=1e-5)
    assert v.outside == pytest.approx(((x < -0.5 / 255) | (x > 1 + 0.5 / 255)).mean())
    assert abs(v.neighbours) < 0.15


# --- wrong files ----------------------------------------------------------------------------------


def change(images=None, labels=None):
    given = noise(2)
    return npz(
        images=given[0].numpy() if images is None else images,
        labels=given[1].numpy() if labels is None else labels,
    )


LABELS = noise(2)[1].numpy()
IMAGES = noise(2)[0].numpy()
WRONG = {
    "nan": (change(np.where(IMAGES > 2, np.nan, IMAGES)), "are not finite"),
    "inf": (change(np.where(IMAGES > 2, np.inf, IMAGES)), "are not finite"),
    "huge": (change(IMAGES.astype(np.float64) * 1e30), "diverged"),
    "constant": (change(np.zeros_like(IMAGES)), "nothing to see"),
    "channels": (change(np.zeros((20, 2, 8, 8))), "2 channels"),
    "flat": (change(IMAGES.reshape(20, -1)), "none of the known layouts"),
    "side": (change(np.zeros((20, 1, 600, 8), np.uint8)), "600 x 8 pixels"),
    "text": (change(np.full((20, 1, 8, 8), "a")), "expected numbers"),
    "few labels": (change(labels=LABELS[:-1]), "20 images but 19 labels"),
    "no labels": (change(labels=LABELS[:0]), "20 images but 0 labels"),
    "negative": (change(labels=LABELS - 1), "A label is -1"),
    "from one": (change(labels=LABELS + 1), "no image of class 0"),
    "gap": (change(labels=np.where(LABELS == 4, 12, LABELS)), "no image of classes 4, 10, 11"),
    "far": (change(labels=np.where(LABELS == 4, 10**9, LABELS)), "only 20 images"),
    "uneven": (change(labels=np.where(np.arange(20) == 0, 1, LABELS)), "Class 0 has 1 images"),
    "halves": (change(labels=LABELS + 0.5), "not whole numbers"),
    "soft nan": (change(labels=np.full((20, K), np.nan)), "not all finite"),
    "soft uneven": (change(labels=np.eye(3)[np.arange(20) % 3]), "20 images for 3 classes"),
    "empty": (b"", "is empty"),
    "words": (b"hello, this is no set at all", "is not a file of arrays"),
    "zip": (b"PK\x03\x04 and no more", "damaged"),
    "model": (pt(torch.nn.Linear(2, 2).state_dict()), "none of the known layouts"),
    "images only": (pt(noise()[0]), "give images and labels together"),
    "list": (pt([1, 2, 3]), "none of the known layouts"),
    "nothing": (pt([]), "none of the known layouts"),
    "sparse": (pt({"images": torch.eye(3).to_sparse()}), "not of plain numbers"),
    "no step size": (pt([(*noise(), None)]), "Step 1 has no step size"),
    "bad step size": (pt([(*noise(), torch.tensor([-1.0]))]), "Step 1 has no step size"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_files_give_one_sentence(case):
    content, words = WRONG[case]
    with pytest.raises(DataError, match="(?s)" + words) as raised:
        opened(content)
    message = str(raised.value)
    assert "\n" not in message and message.rstrip().endswith((".", ").")) and len(message) < 400


class Evil:
    def __reduce__(self):
        return (open, ("/tmp/dd-importers-evil", "w"))


@pytest.mark.parametrize("legacy", [False, True])
def test_pickled_code_is_never_run(tmp_path, monkeypatch, legacy):
    target = tmp_path / "evil"
    monkeypatch.setattr(Evil, "__reduce__", lambda self: (open, (str(target), "w")))
    for content in (
        pt({"data": [list(noise())], "accs_all_exps": Evil()}, legacy),
        pickle.dumps({"images": Evil()}),
        npz(images=np.array([Evil()], object), labels=np.zeros(1)),
    ):
        with pytest.raises(DataError, match=r"never|damaged"):
            opened(content)
    assert not target.exists()


def test_pickled_numpy_is_not_run_either():
    """Only the names of numpy's scalars are passed over, and what stands for them does nothing."""
    content = pt({"a": np.float64(2), "b": [np.float32(1), torch.ones(2)]})
    stored = open_file(content, "x.pt").content
    assert stored["a"] is None and stored["b"][0] is None and stored["b"][1].tolist() == [1, 1]
    with pytest.raises(DataError, match="never loaded"):
        opened(pt({"images": np.zeros((2, 1, 8, 8)), "labels": np.arange(2)}))


def test_limits_hold_before_anything_is_expanded(monkeypatch):
    endless = torch.zeros(1).expand(10_000, 3, 512, 512)  # 8 bytes in the file
    content = pt(
        {"images": endless.as_strided(endless.shape, endless.stride()), "labels": noise()[1]}
    )
    assert len(content) < 10_000
    with pytest.raises(DataError, match="at most 100,000,000"):
        opened(content)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", bytes(20 << 20))
    monkeypatch.setattr(foreign_files, "MAX_UNPACKED", 1 << 20)
    with pytest.raises(DataError, match="unpacks to"):
        opened(out.getvalue())
    monkeypatch.setattr(files, "MAX_UPLOAD", 1 << 10)
    with pytest.raises(DataError, match="at most 0 are read"):
        opened(dc_file())


def test_too_many_images():
    images = np.random.default_rng(0).integers(0, 255, (60_000, 1, 2, 2), np.uint8)
    with pytest.raises(DataError, match="from 1 to 50,000"):
        opened(npz(images=images, labels=np.arange(60_000) % 10))


VALID = {
    "dc": dc_file(),
    "legacy": dd2018_file(),
    "npz": change(),
    "safetensors": safetensors_save({"images": IMAGES, "labels": LABELS}),
}


@settings(max_examples=40, deadline=None)
@given(st.data(), st.sampled_from(sorted(VALID)))
def test_damaged_files_are_never_a_surprise(data, kind):
    content = bytearray(VALID[kind])
    cut = data.draw(st.integers(0, len(content)))
    if data.draw(st.booleans()):
        content = content[:cut]
    for _ in range(data.draw(st.integers(0, 6))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        opened(bytes(content))
    except DataError as error:
        assert str(error)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused_in_one_sentence(content):
    with pytest.raises(DataError):
        opened(content)


# --- like a run -----------------------------------------------------------------------------------


def test_a_set_is_a_task_with_its_files(store, compute):
    content = dc_file()
    task = bring_in(store, compute, [content], ["../../etc/res_DC_1ipc.pt"])
    assert task.verify() == [] and store.find(task.key).spec() == task.spec()
    assert (task.folder / "upload" / "0").read_bytes() == content
    assert task.result()["files"] == ["res_DC_1ipc.pt"]  # a text for people, never a path
    assert not (task.folder / "upload" / ".." / ".." / "etc").exists()
    for damage in ("[", "17"):
        (task.folder / "upload" / "names.json").write_text(damage)
        assert imported.names_of(task) == []


def test_the_key_is_of_bytes_and_choices(digits):
    one, two = opened(dc_file(experiments=2)), opened(dc_file(experiments=1))
    data = resolve("digits")
    keys = [propose(r, data).key for r in (one, two, opened(dc_file(experiments=2)))]
    assert keys[0] == keys[2] != keys[1]
    assert propose(one, data, scale="unit").key != keys[0]
    renamed = opened(dc_file(experiments=2), names=["other.pt"])
    assert propose(renamed, data).key == keys[0]


def test_changed_or_missing_files_are_noticed(store, compute):
    report = opened(dc_file())
    spec = propose(report, resolve("digits"))
    with pytest.raises(DataError, match="not here any more"):
        compute(spec)
    task = imported.bring(store, spec, [dc_file()], ["a.pt"])
    (task.folder / "upload" / "0").write_bytes(dc_file(experiments=2))
    with pytest.raises(DataError, match=r"a\.pt has changed"):
        compute(spec)


def test_evaluated_beside_the_baselines(store, compute):
    quick = PROTOCOLS["quick"].replace(epochs=60)
    task = bring_in(store, compute, [dc_file()], net=SMALL, protocol=quick)
    run = task.spec()
    rows = compute(default_evaluation(run.key, run, nets=2)).result()["rows"]
    assert [r["subject"] for r in rows] == ["distilled", "random", "class_mean"]
    assert rows[0]["mean"] < 0.5 < rows[2]["mean"]  # noise teaches nothing, class means do


def test_learned_step_sizes_are_used_in_their_order(store, compute, digits):
    """Class means, step after step, at a good step size: networks that follow it do well."""
    means = [digits.train_images[digits.train_labels == c].mean(0) for c in range(K)]
    images = torch.from_numpy(
        digits.preprocessing.forward(np.stack(means).astype(np.float32) / 255)
    )
    content = pt([(images, torch.arange(K), torch.tensor([0.1])) for _ in range(40)])
    task = bring_in(store, compute, [content], net=SMALL)
    assert DistilledSet.from_task(task).steps == 1
    rows = compute(default_evaluation(task.key, task.spec(), nets=2)).result()["rows"]
    assert rows[0]["subject"] == "distilled" and rows[0]["mean"] > 0.5


def test_label_order_is_checked_against_the_real_classes(store, compute, digits):
    images, labels = real(digits, 20)
    right = bring_in(store, compute, [npz(images=images, labels=labels)])
    wrong = bring_in(store, compute, [npz(images=images, labels=(labels + 1) % K)])
    assert right.result()["alike"] == {"same": 10, "classes": 10, "other": 10}
    assert wrong.result()["alike"]["same"] < 3 and wrong.result()["alike"]["other"] == 10


def test_the_chance_of_an_order_is_exact():
    for classes in (2, 5, 6):
        orders = list(itertools.permutations(range(classes)))
        for same in range(classes + 1):
            hits = sum(sum(i == o for i, o in enumerate(order)) >= same for order in orders)
            assert imported.chance(same, classes) == pytest.approx(hits / len(orders))
    assert imported.chance(5, 10) == pytest.approx(0.00366, rel=0.01)
    assert imported.chance(1000, 1000) < 1e-100 and imported.chance(1, 1000) == pytest.approx(
        0.632, 0.01
    )


def test_sets_of_another_dataset_are_refused(store, compute):
    images, labels = noise(shape=(1, 16, 16))
    report = opened(pt([images, labels]))
    assert misfit(report, (1, 8, 8), K) == (
        "its images are 16 x 16 pixels, grey and the dataset's 8 x 8 pixels, grey"
    )
    assert misfit(report, (1, 16, 16), 5) == "it has 10 classes and the dataset 5"
    assert misfit(report, (1, 16, 16), K) == ""
    with pytest.raises(DataError, match="not one of Digits"):
        bring_in(store, compute, [pt([images, labels])])


def test_an_ordered_protocol_needs_step_sizes(store, compute):
    with pytest.raises(DataError, match="needs learned step sizes"):
        bring_in(store, compute, [dc_file()], protocol=PROTOCOLS["native-2018"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "gif"}, "one of " + ", ".join(importers())),
        ({"files": ("../x",)}, "64 hex digits"),
        ({"scale": "percent"}, "one of normalised"),
        ({"scale": "own"}, "scale = 'own'"),
        ({"scale": "zca"}, "zca with scale zca"),
        ({"mean": (0.1,)}, "as many values"),
        ({"scale": "unit", "mean": (0.1,), "std": (0.2,)}, "scale is not normalised"),
        ({"tiles": 4}, "from 1 to 3"),
        ({"labels": "hot"}, "one of keep"),
        ({"ipc": 0}, "from 1 to"),
    ],
    ids=str,
)
def test_specs_say_what_is_allowed(change, words):
    values = {"format": "dc", "files": ("0" * 64,), "data": resolve("digits"), "ipc": 1}
    with pytest.raises(SpecError, match=words):
        ImportTask(**values | change)


EACH = pytest.mark.parametrize("chosen", importers().values(), ids=importers())
ODD = [None, 0, 1.5, "", "text", [], [None], [1, 2], {}, {"images": 1}, {"data": []}, np.zeros(3)]


@EACH
def test_every_importer_tells_people_about_itself(chosen):
    assert chosen.title and chosen.about.endswith(".") and chosen.files.endswith(".")
    for source in datasets().values():
        assert chosen.protocol(source.name, ["a.pt"], source.shape) in PROTOCOLS
        chosen.net(source.shape).plan(source.shape, len(source.classes))
    assert chosen.method(["a.pt"]) in ("", *methods())
    assert chosen.scale in ("", *scales.SCALES) and chosen.labels in ("", *facts.LABELS)


@EACH
def test_every_importer_refuses_what_is_no_set_without_an_exception(chosen):
    for content in ODD:
        for count in (1, 2, 3):
            assert not chosen.fits([Stored("a.pt", "", content)] * count), (content, count)


LAYOUTS = {
    "dc": [dc_file()],
    "dd2018": [dd2018_file()],
    "idc": [pt(list(noise()))],
    "mtt": [pt(each) for each in noise()],
    "own": [exports.export_bytes(make(), "npz")[0]],
    "rfad": [rfad_file(noise()[0].numpy(), np.arange(K))],
    "arrays": [change()],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_recognised_whichever_others_there_are(layout):
    assert opened(*LAYOUTS[layout]).importer.name == layout


def test_no_torch_before_a_file_of_torch_is_read():
    code = (
        "import sys, ddcore.sets.imported, ddcore.sets.imported_spec\n"
        "from ddcore.sets.importers import examine, open_file\n"
        f"examine([open_file({change()!r}, 'a.npz')])\n"
        "assert 'torch' not in sys.modules and 'streamlit' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# --- the command line -----------------------------------------------------------------------------


def test_import_command(store, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("ddcore.tasks.jobs.launch", lambda tasks: run_here(store, tasks))
    path = tmp_path / "res_DM_X_ConvNet_2ipc.pt"
    path.write_bytes(dc_file(2))
    assert main(["import", str(path), "--dataset", "digits", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert (answer["format"], answer["ipc"], answer["scale"]) == ("dc", 2, "normalised")
    task = store.find(answer["key"])
    assert task.kind == "import" and task.is_done()
    out = tmp_path / "again.npz"
    assert main(["export", task.key, "--format", "npz", str(out)]) == 0
    assert np.array_equal(exports.load(out).images, noise(2)[0])
    assert main(["list", "runs", "--json"]) == 0
    assert task.key in capsys.readouterr().out


def test_the_network_of_an_imported_set_is_named_with_its_width(
    store, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("ddcore.tasks.jobs.launch", lambda tasks: run_here(store, tasks))
    path = tmp_path / "res.pt"
    path.write_bytes(dc_file())

    def net(*arguments: str) -> NetSpec:
        assert main(["import", str(path), "--dataset", "digits", "--json", *arguments]) == 0
        answer = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
        return store.find(answer["key"]).spec().net

    assert net("--arch", "convnet-16") == NetSpec(width=16, depth=2)
    assert net("--arch", "convnet-16", "--depth", "1") == NetSpec(width=16, depth=1)
    assert net("--arch", "convnet") == NetSpec()


def run_here(store, tasks):
    from ddcore.tasks.worker import run_task

    for task in tasks:
        run_task(store, task, task.spec(), "cpu")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no-such-file.pt"], "cannot be read"),
        (["{file}", "--format", "idc"], "not laid out as IDC"),
        (["{file}", "--format", "jpg"], "format = 'jpg' is not allowed"),
        (["{file}", "--scale", "odd"], "scale = 'odd' is not allowed"),
        (["{file}", "--experiment", "7"], "holds 1 experiment"),
        (["{file}", "--protocol", "best"], "name = 'best'"),
        (["{file}", "--resolution", "16"], "8 x 8 pixels"),
        (["{file}", "--arch", "convnet-x"], "such as convnet-16"),
        (["{file}", "--arch", "convnet-16", "--width", "8"], "width = 8 is not allowed"),
    ],
)
def test_import_mistakes_are_one_sentence(store, tmp_path, capsys, monkeypatch, arguments, words):
    monkeypatch.setattr("ddcore.tasks.jobs.launch", lambda tasks: run_here(store, tasks))
    path = tmp_path / "res.pt"
    path.write_bytes(dc_file())
    given = [a.format(file=path) for a in arguments]
    assert main(["import", *given, "--dataset", "digits"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and words in error and len(error.strip().splitlines()) == 1
