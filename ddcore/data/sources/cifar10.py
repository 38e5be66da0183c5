"""CIFAR-10."""

from __future__ import annotations

from pathlib import Path

from ddcore.data.sources._raw import RawData
from ddcore.data.sources._source import Source
from ddcore.data.sources._torchvision import read_cifar

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
FILES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5")


def read(root: Path) -> RawData:
    """The python batches."""
    return read_cifar(root, "CIFAR10", CLASSES)


SOURCE = Source(
    name="cifar10",
    title="CIFAR-10",
    classes=CLASSES,
    shape=(3, 32, 32),
    train_size=50_000,
    test_size=10_000,
    flips=True,
    about="Small colour photographs of animals and vehicles (Krizhevsky 2009, University of Toronto).",
    read=read,
    layout=tuple(f"cifar-10-batches-py/{f}" for f in (*FILES, "test_batch", "batches.meta")),
    torchvision="CIFAR10",
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2023, 0.1994, 0.2010),
)
