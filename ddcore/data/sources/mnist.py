"""MNIST."""

from __future__ import annotations

from pathlib import Path

from ddcore.data.sources._raw import RawData
from ddcore.data.sources._source import Source
from ddcore.data.sources._torchvision import mnist_layout, read_mnist_layout

CLASSES = tuple("0123456789")


def read(root: Path) -> RawData:
    """The original idx files."""
    return read_mnist_layout(root / "MNIST" / "raw", CLASSES)


SOURCE = Source(
    name="mnist",
    title="MNIST",
    classes=CLASSES,
    shape=(1, 28, 28),
    train_size=60_000,
    test_size=10_000,
    flips=False,
    about="Handwritten digits of census employees and students (LeCun, Cortes and Burges).",
    read=read,
    layout=mnist_layout("MNIST"),
    torchvision="MNIST",
    mean=(0.1307,),
    std=(0.3081,),
)
