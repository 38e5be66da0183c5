"""Files in torchvision's layout: truncated, tampered with, downloaded halfway."""

from __future__ import annotations

import bz2
import hashlib
import pickle
import sys

import numpy as np
import pytest

from ddcore import data
from ddcore.base.errors import Cancelled, DataError, SpecError
from ddcore.data import download

MNIST = data.datasets()["mnist"]
PARTS = {"train": 20, "t10k": 10}


def write_mnist(root, name="MNIST", label=None):
    folder = root / name / "raw"
    folder.mkdir(parents=True)
    for part, count in PARTS.items():
        images = np.random.default_rng(count).integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 10
        if label is not None:
            labels[3] = label
        for end, array in (("images-idx3-ubyte", images), ("labels-idx1-ubyte", labels)):
            head = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes()
            (folder / f"{part}-{end}").write_bytes(head + array.tobytes())
    return folder


def test_idx_files(data_root, load):
    write_mnist(data_root)
    dataset = load("mnist")
    assert dataset.shape == (1, 28, 28) and len(dataset.test_labels) == 10
    assert dataset.label == "MNIST (20 training images)"
    assert dataset.mean == pytest.approx(0.1307) and dataset.std == pytest.approx(0.3081)
    expected = np.random.default_rng(10).integers(0, 256, (10, 28, 28), dtype=np.uint8)
    assert np.array_equal(dataset.test_images[:, 0], expected)
    small = load("mnist", resolution=14)
    assert small.shape == (1, 14, 14)
    assert small.mean != pytest.approx(0.1307)  # the published constants no longer hold


def test_truncated_idx_file(data_root, fails):
    path = write_mnist(data_root) / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-5])
    message = fails("mnist")
    assert "train-images-idx3-ubyte has 15691 bytes where its header announces 15696" in message
    path.write_bytes(b"\x1f\x8b something else")
    assert "train-images-idx3-ubyte is not an idx file" in fails("mnist")


def test_label_out_of_range_and_unequal_counts(data_root, fails):
    folder = write_mnist(data_root, label=11)
    assert "MNIST has the training label 11: expected 0 to 9" in fails("mnist")
    labels = bytes((0, 0, 8, 1, 0, 0, 0, 2, 0, 1))
    (folder / "train-labels-idx1-ubyte").write_bytes(labels)
    assert "MNIST has 20 training pictures but 2 labels" in fails("mnist")


def test_missing_registered_set(data_root, fails):
    assert "MNIST (mnist) is not in" in fails("mnist")


class Trap:
    """A pickle that leaves a trace when it is opened."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_tampered_cifar_batches_are_never_unpickled(data_root, tmp_path, fails):
    trace = tmp_path / "opened"
    for file in data.datasets()["cifar10"].layout:
        (data_root / file).parent.mkdir(exist_ok=True)
        (data_root / file).write_bytes(pickle.dumps(Trap(trace)))
    message = fails("cifar10")
    assert "data_batch_1 is not the published file" in message
    assert not trace.exists()


def test_cifar_batches_with_the_right_checksums(data_root, load, monkeypatch):
    from torchvision.datasets import CIFAR10

    generator = np.random.default_rng(0)

    def write(file, value):
        content = pickle.dumps(value)
        path = data_root / CIFAR10.base_folder / file
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return file, hashlib.md5(content).hexdigest()

    def batch(file):
        pixels = generator.integers(0, 256, (20, 3072), dtype=np.uint8)
        return write(file, {"data": pixels, "labels": list(range(10)) * 2})

    train = [batch(f"data_batch_{i}") for i in range(1, 6)]
    monkeypatch.setattr(CIFAR10, "train_list", train)
    monkeypatch.setattr(CIFAR10, "test_list", [batch("test_batch")])
    file, md5 = write("batches.meta", {"label_names": list("abcdefghij")})
    monkeypatch.setattr(CIFAR10, "meta", {"filename": file, "key": "label_names", "md5": md5})
    dataset = load("cifar10")
    assert dataset.shape == (3, 32, 32) and len(dataset.test_labels) == 20
    assert dataset.class_names[0] == "airplane" and dataset.label.startswith("CIFAR-10")
    raw = pickle.loads((data_root / CIFAR10.base_folder / "test_batch").read_bytes())
    assert np.array_equal(dataset.test_images.reshape(20, -1), raw["data"])


def test_usps_text_files(data_root, load, monkeypatch):
    from torchvision.datasets import USPS

    values = np.random.default_rng(0).integers(0, 256, (30, 256))
    files = {}
    for part, file in (("train", "usps.bz2"), ("test", "usps.t.bz2")):
        lines = [
            f"{i % 10 + 1} " + " ".join(f"{j + 1}:{v / 127.5 - 1:.7f}" for j, v in enumerate(row))
            for i, row in enumerate(values)
        ]
        content = bz2.compress("\n".join(lines).encode())
        (data_root / file).write_bytes(content)
        files[part] = ("", file, hashlib.md5(content).hexdigest())
    monkeypatch.setattr(USPS, "split_list", files)
    dataset = load("usps")
    assert dataset.label == "USPS (30 training images)"
    difference = dataset.test_images.reshape(30, 256) - values.astype(int)
    assert np.abs(difference).max() <= 1 and dataset.test_labels.tolist() == [*range(10)] * 3


def test_svhn_matlab_files(data_root, load, fails, monkeypatch):
    from scipy.io import savemat
    from torchvision.datasets import SVHN

    images = np.random.default_rng(0).integers(0, 256, (20, 3, 32, 32), dtype=np.uint8)
    labels = np.arange(20) % 10
    files = {}
    for part in ("train", "test"):
        path = data_root / f"{part}_32x32.mat"
        tens = np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]  # "0" is stored as 10
        savemat(path, {"X": images.transpose(2, 3, 1, 0), "y": tens})
        files[part] = ("", path.name, hashlib.md5(path.read_bytes()).hexdigest())
    assert "train_32x32.mat is not the published file" in fails("svhn")
    monkeypatch.setattr(SVHN, "split_list", files)
    dataset = load("svhn")
    assert np.array_equal(dataset.test_images, images)
    assert np.array_equal(dataset.test_labels, labels)


# --- downloads ------------------------------------------------------------------------------------


@pytest.fixture
def pretend(monkeypatch):
    """Put a small program in the place of the downloading process."""

    def run(code):
        monkeypatch.setattr(download, "POLL_S", 0.02)
        monkeypatch.setattr(
            download, "command", lambda _, folder: [sys.executable, "-c", code, str(folder)]
        )

    return run


COPY = "import shutil, sys; shutil.copytree({!r}, sys.argv[1] + '/MNIST')"


def test_a_complete_download_is_moved_into_place(tmp_path, data_root, pretend, compute):
    write_mnist(tmp_path / "remote")
    (data_root / "MNIST" / "raw").mkdir(parents=True)  # what an interrupted copy left
    pretend(COPY.format(str(tmp_path / "remote" / "MNIST")))
    task = compute(data.download_task("mnist"))
    assert task.result() == {"name": "mnist", "available": "torchvision"}
    assert [p.name for p in data_root.iterdir()] == ["MNIST"]
    assert len(MNIST.load(data_root).train_labels) == 20


def test_what_a_download_takes_the_place_of_is_put_aside(tmp_path, data_root, pretend):
    write_mnist(tmp_path / "remote")
    pretend(COPY.format(str(tmp_path / "remote" / "MNIST")))
    mine = data_root / "MNIST" / "notes.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    download.fetch(MNIST, data_root)
    assert MNIST.available(data_root) == "torchvision"
    assert (data_root / "MNIST.before-1" / "notes.txt").read_text() == "mine"


def test_a_truncated_download_leaves_nothing(tmp_path, data_root, pretend):
    folder = write_mnist(tmp_path / "remote")
    (folder / "t10k-images-idx3-ubyte").write_bytes(b"\0\0")
    pretend(COPY.format(str(tmp_path / "remote" / "MNIST")))
    with pytest.raises(DataError, match=r"The download of MNIST is damaged: .*t10k-images"):
        download.fetch(MNIST, data_root)
    assert list(data_root.iterdir()) == []


def test_a_failed_download_says_why_and_leaves_nothing(data_root, pretend):
    pretend("raise OSError('no route to host')")
    with pytest.raises(DataError, match=r"MNIST could not be downloaded \(.*no route to host\)"):
        download.fetch(MNIST, data_root)
    assert list(data_root.iterdir()) == []


def test_a_download_can_be_stopped(data_root, pretend):
    pretend(
        "import sys, time; open(sys.argv[1] + '/part', 'wb').write(bytes(2 << 20)); time.sleep(60)"
    )

    def stop(step, total):
        if step >= 2:
            raise Cancelled("Stopped.")

    with pytest.raises(Cancelled):
        download.fetch(MNIST, data_root, stop)
    assert list(data_root.iterdir()) == []


def test_what_is_there_is_not_downloaded_again(data_root, pretend):
    write_mnist(data_root)
    pretend("raise SystemExit(1)")
    download.fetch(MNIST, data_root)
    download.fetch(data.datasets()["digits"], data_root)


def test_each_request_is_its_own_task(monkeypatch):
    monkeypatch.setattr("ddcore.data.spec.time.time", lambda: 1.0)
    first = data.download_task("mnist")
    monkeypatch.setattr("ddcore.data.spec.time.time", lambda: 2.0)
    assert data.download_task("mnist").key != first.key
    with pytest.raises(SpecError, match=r"name = 'digits'.*one of cifar10"):
        data.download_task("digits")
