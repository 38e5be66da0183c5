"""SVHN."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ddcore.data.sources._raw import RawData
from ddcore.data.sources._source import Source
from ddcore.data.sources._torchvision import require_md5

CLASSES = tuple("0123456789")


def read(root: Path) -> RawData:
    """The two Matlab files of cropped digits; torchvision turns label 10 into 0."""
    from torchvision.datasets import SVHN

    def part(name: str) -> tuple[np.ndarray, np.ndarray]:
        _, file, md5 = SVHN.split_list[name]
        require_md5(root / file, md5)
        data = SVHN(str(root), split=name)
        return np.ascontiguousarray(data.data), data.labels.astype(np.int64)

    return RawData(*part("train"), *part("test"), class_names=CLASSES)


SOURCE = Source(
    name="svhn",
    title="SVHN",
    classes=CLASSES,
    shape=(3, 32, 32),
    train_size=73_257,
    test_size=26_032,
    flips=False,
    about="House numbers cropped from Google Street View (Netzer et al. 2011), for non-commercial use.",
    read=read,
    layout=("train_32x32.mat", "test_32x32.mat"),
    torchvision="SVHN",
    mean=(0.4377, 0.4438, 0.4728),
    std=(0.1980, 0.2010, 0.1970),
)
