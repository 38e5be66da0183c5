"""Fashion-MNIST."""

from __future__ import annotations

from pathlib import Path

from ddcore.data.sources._raw import RawData
from ddcore.data.sources._source import Source
from ddcore.data.sources._torchvision import mnist_layout, read_mnist_layout

CLASSES = (
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)


def read(root: Path) -> RawData:
    """The original idx files."""
    return read_mnist_layout(root / "FashionMNIST" / "raw", CLASSES)


SOURCE = Source(
    name="fashion_mnist",
    title="Fashion-MNIST",
    classes=CLASSES,
    shape=(1, 28, 28),
    train_size=60_000,
    test_size=10_000,
    flips=True,
    about="Product pictures of clothes from Zalando (Xiao, Rasul and Vollgraf 2017, MIT licence).",
    read=read,
    layout=mnist_layout("FashionMNIST"),
    torchvision="FashionMNIST",
    mean=(0.2861,),
    std=(0.3530,),
)
