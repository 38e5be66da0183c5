"""USPS."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ddcore.data.sources._raw import RawData
from ddcore.data.sources._source import Source
from ddcore.data.sources._torchvision import require_md5

CLASSES = tuple("0123456789")


def read(root: Path) -> RawData:
    """The two libsvm text files that torchvision downloads."""
    from torchvision.datasets import USPS

    def part(name: str) -> tuple[np.ndarray, np.ndarray]:
        _, file, md5 = USPS.split_list[name]
        require_md5(root / file, md5)
        data = USPS(str(root), train=name == "train")
        return data.data[:, None], np.asarray(data.targets, dtype=np.int64)

    return RawData(*part("train"), *part("test"), class_names=CLASSES)


SOURCE = Source(
    name="usps",
    title="USPS",
    classes=CLASSES,
    shape=(1, 16, 16),
    train_size=7291,
    test_size=2007,
    flips=False,
    about="Handwritten digits scanned from envelopes by the United States Postal Service.",
    read=read,
    layout=("usps.bz2", "usps.t.bz2"),
    torchvision="USPS",
)
