"""Reading what torchvision leaves on disk, with every file checked before it is trusted.

torchvision itself is imported only where a format needs it: it takes seconds and brings torch.
Run as a program (`python -m ddcore.data.sources._torchvision CLASS FOLDER`) it downloads one set,
so that `ddcore.data.download` can stop it at any moment.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ddcore.base.errors import DataError
from ddcore.data.sources._raw import RawData

AGAIN = "delete it and download the set again"


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """The uint8 array of an idx file (the MNIST format: magic 0 0 8 ndim, big-endian sizes, bytes)."""
    content = path.read_bytes()
    start = 4 + 4 * dimensions
    if content[:4] != bytes((0, 0, 8, dimensions)) or len(content) < start:
        raise DataError(f"{path} is not an idx file of {dimensions}-dimensional bytes: {AGAIN}.")
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", dimensions, offset=4))
    expected = start + math.prod(shape)
    if len(content) != expected:
        raise DataError(
            f"{path} has {len(content)} bytes where its header announces {expected}: {AGAIN}."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def read_mnist_layout(folder: Path, classes: tuple[str, ...]) -> RawData:
    """The four idx files of MNIST and the sets that copy its format."""

    def part(name: str) -> tuple[np.ndarray, np.ndarray]:
        images = read_idx(folder / f"{name}-images-idx3-ubyte", 3)[:, None]
        return images, read_idx(folder / f"{name}-labels-idx1-ubyte", 1).astype(np.int64)

    return RawData(*part("train"), *part("t10k"), class_names=classes)


def mnist_layout(name: str) -> tuple[str, ...]:
    """The files of `read_mnist_layout` relative to the data root."""
    ends = ("images-idx3-ubyte", "labels-idx1-ubyte")
    return tuple(f"{name}/raw/{part}-{end}" for part in ("train", "t10k") for end in ends)


def require_md5(path: Path, md5: str) -> None:
    """Refuse a file that is not the published one, before anything parses (or unpickles) it."""
    from torchvision.datasets.utils import check_integrity

    if not check_integrity(str(path), md5):
        raise DataError(f"{path} is not the published file (its md5 is not {md5}): {AGAIN}.")


def read_cifar(root: Path, name: str, classes: tuple[str, ...]) -> RawData:
    """CIFAR-10 or CIFAR-100. Its batches are pickles: nothing is opened before its md5 was checked."""
    from torchvision import datasets

    cls = getattr(datasets, name)
    folder = root / cls.base_folder
    for file, md5 in [*cls.train_list, *cls.test_list, (cls.meta["filename"], cls.meta["md5"])]:
        require_md5(folder / file, md5)
    train, test = cls(root, train=True), cls(root, train=False)
    return RawData(*_arrays(train), *_arrays(test), class_names=classes)


def _arrays(part: Any) -> tuple[np.ndarray, np.ndarray]:
    images = np.ascontiguousarray(part.data.transpose(0, 3, 1, 2))
    return images, np.asarray(part.targets, dtype=np.int64)


def download(name: str, folder: Path) -> None:
    """Let torchvision download both parts of its dataset class `name` into `folder`."""
    from torchvision import datasets

    cls = getattr(datasets, name)
    for part in ("train", "test"):
        arguments = {"split": part} if name == "SVHN" else {"train": part == "train"}
        cls(str(folder), download=True, **arguments)


if __name__ == "__main__":
    download(sys.argv[1], Path(sys.argv[2]))
