"""Every registered dataset keeps the contract; the bundled one is what it says."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from ddcore import data
from ddcore.base.errors import DataError, NotReady, SpecError
from ddcore.data import registry
from ddcore.data.sources._raw import RawData

SOURCES = data.datasets()


def test_digits_come_first_then_the_alphabet():
    names = list(SOURCES)
    assert names[0] == "digits"
    assert names[1:] == sorted(names[1:])
    assert {"mnist", "fashion_mnist", "usps", "svhn", "cifar10", "cifar100"} <= set(names)


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_facts_are_sane(source):
    assert source.name.isidentifier() and source.title and source.about.endswith(".")
    assert len(set(source.classes)) == len(source.classes) >= 2
    channels, height, width = source.shape
    assert channels in (1, 3) and height == width
    assert source.train_size >= 2 * len(source.classes) and source.test_size > 0
    assert (source.mean is None) == (source.std is None)
    if source.mean:
        assert len(source.mean) == len(source.std) == channels
        assert all(0 < value < 1 for value in (*source.mean, *source.std))
    assert source.bundled or source.folders or source.torchvision
    assert source.describe()["name"] == source.name


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_missing_files_are_said_to_be_missing(source, data_root):
    if source.bundled:
        assert source.available(data_root) == "bundled"
        return
    assert source.available(data_root) is None
    spec = data.resolve(source.name)
    assert spec.source == ("folder" if source.folders else "torchvision")
    how = "no command downloads" if source.folders else "download it first"
    with pytest.raises(DataError, match=rf"{source.title} .*is not in .*{how}"):
        source.load(data_root)
    assert list(data_root.iterdir()) == []


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_real_files_load(source, request):
    """Those of bundled datasets everywhere."""
    real_root = request.getfixturevalue("data_root" if source.bundled else "real_root")
    kind = source.available(real_root)
    if kind is None:
        pytest.skip(f"{source.name} is not in DD_DATA")
    if source.name == "cifar10":
        pytest.skip("decoding takes more than 10 s: see test_real_cifar10")
    raw = source.load(real_root)
    assert_raw(source, raw)


@pytest.mark.slow
def test_real_cifar10(real_root, load):
    source = SOURCES["cifar10"]
    if source.available(real_root) is None:
        pytest.skip("cifar10 is not in DD_DATA")
    dataset = load("cifar10")
    lossy = source.available(real_root) == "parquet"
    assert dataset.label == ("CIFAR-10 (JPEG)" if lossy else "CIFAR-10")
    assert dataset.class_names == source.classes
    assert (len(dataset.train_labels), len(dataset.val_labels)) == (45_000, 5_000)
    assert np.bincount(dataset.test_labels).tolist() == [1000] * 10
    scaled = dataset.preprocess(dataset.train_images[:5000])
    assert np.abs(scaled.mean(axis=(0, 2, 3))).max() < 0.05


def assert_raw(source, raw: RawData):
    assert raw.train_images.dtype == raw.test_images.dtype == np.uint8
    assert raw.train_images.shape[1:] == raw.test_images.shape[1:] == source.shape
    assert raw.train_labels.dtype == raw.test_labels.dtype == np.int64
    assert len(raw.class_names) == len(source.classes)
    assert len(raw.test_labels) == source.test_size
    assert set(raw.train_labels) == set(range(len(source.classes)))


def test_digits_agree_with_scikit_learn(load):
    from sklearn.datasets import load_digits

    dataset = load("digits")
    ours = np.concatenate([dataset.train_images, dataset.val_images, dataset.test_images])
    labels = np.concatenate([dataset.train_labels, dataset.val_labels, dataset.test_labels])
    theirs, their_labels = load_digits(return_X_y=True)
    theirs = np.rint(theirs / 16 * 255).astype(np.uint8)

    def rows(images, classes):
        return sorted(map(tuple, np.column_stack([images.reshape(len(images), -1), classes])))

    # The same multiset of pictures: no picture is lost or in two parts.
    assert rows(ours, labels) == rows(theirs, their_labels)


def test_digits_without_the_file_we_know(monkeypatch):
    from ddcore.data.sources import digits

    direct = digits._table()
    monkeypatch.setattr(digits.importlib.util, "find_spec", lambda name: None)
    assert np.array_equal(direct, digits._table())


def test_digits_splits_are_stratified_and_fixed(load):
    dataset = load("digits")
    assert dataset.shape == (1, 8, 8) and dataset.num_classes == 10
    assert dataset.label == "Digits"
    assert len(dataset.test_labels) == 500
    assert len(dataset.train_labels) + len(dataset.val_labels) == 1297
    whole = np.bincount(np.concatenate([dataset.train_labels, dataset.val_labels]))
    assert np.abs(np.bincount(dataset.val_labels) - 0.1 * whole).max() <= 0.5
    assert np.abs(np.bincount(dataset.test_labels) - whole * 500 / 1297).max() <= 1.5
    again = SOURCES["digits"].read(None)
    assert np.array_equal(again.test_images, dataset.test_images)


def test_validation_split_follows_seed_and_fraction(load):
    first, same = load("digits"), load("digits")
    other, larger = load("digits", split_seed=1), load("digits", val_fraction=0.5)
    assert np.array_equal(first.val_images, same.val_images)
    assert not np.array_equal(first.val_images, other.val_images)
    assert abs(len(larger.val_labels) - len(larger.train_labels)) <= 10
    # The decoded folder is shared: splits are made on reading.
    keys = {data.dataset_task(d.spec).key for d in (first, other, larger)}
    assert len(keys) == 1


def test_not_ready_before_it_is_computed(store):
    with pytest.raises(NotReady):
        data.load(store, data.resolve("digits"))


def test_unknown_names_list_the_known_ones():
    with pytest.raises(SpecError, match=r"mnits.*digits, cifar10"):
        data.resolve("mnits")
    with pytest.raises(SpecError, match=r"name = 'mnits'.*digits, cifar10"):
        data.DataSpec(name="mnits")
    with pytest.raises(SpecError, match="digits"):
        registry.get("mnits")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "mnist"}, "source = 'bundled'.*torchvision or parquet for mnist"),
        ({"source": "folder"}, "source = 'folder'.*bundled for digits"),
        ({"path": "/somewhere"}, "path = '/somewhere'.*registered"),
        ({"name": "folder", "source": "folder", "path": "here"}, "path = 'here'.*full path"),
        ({"name": "folder", "source": "folder", "path": "/here"}, "fingerprint = ''.*resolve"),
        ({"resolution": 2}, "resolution = 2.*4 to 512"),
        ({"val_fraction": 0.9}, "val_fraction = 0.9.*0.01 to 0.5"),
        ({"preprocess": "whiten"}, "preprocess = 'whiten'.*normalise, zca"),
        ({"zca_eps": 0.0}, "zca_eps = 0.0"),
        ({"split_seed": -1}, "split_seed = -1"),
        ({"grey": 1}, "grey = 1.*true or false"),
    ],
)
def test_specs_refuse_nonsense(fields, message):
    with pytest.raises(SpecError, match=message):
        data.DataSpec(**fields)


def test_settings_that_change_nothing_do_not_change_the_key():
    plain = data.resolve("digits")
    assert data.resolve("digits", resolution=8, grey=True) == plain
    stated = data.DataSpec(resolution=8, grey=True)
    assert data.dataset_task(stated).key == data.dataset_task(plain).key


def test_specs_survive_json():
    spec = data.resolve("digits", preprocess="zca", resolution=12)
    assert data.DataSpec.from_dict(spec.to_dict()) == spec
    for task in (data.dataset_task(spec), data.zca_task(spec), data.download_task("mnist")):
        from ddcore.base.specs import task_from_document

        assert task_from_document(task.document()) == task
        assert task.title()


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, ddcore.data as d; d.datasets(); d.resolve('digits');"
        "heavy = {'torch', 'torchvision', 'sklearn', 'pandas', 'pyarrow', 'PIL', 'scipy'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ.copy()
    )
    assert run.stdout.strip() == "[]", run.stdout + run.stderr
