"""The digits that scikit-learn ships: always there, small enough for a first run in seconds."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from ddcore.base import rng
from ddcore.data.sources._raw import RawData
from ddcore.data.sources._source import Source
from ddcore.data.splits import held_out, quota_by_total

CLASSES = tuple("0123456789")
TEST_SIZE = 500


def read(root: Path) -> RawData:
    """Grey levels 0..16 scaled to 0..255; the set has no official split, so ours is stratified."""
    table = _table()
    images = np.rint(table[:, :-1].reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
    labels = table[:, -1].astype(np.int64)
    quota = quota_by_total(labels, len(CLASSES), TEST_SIZE)
    test = held_out(labels, quota, rng.numpy_generator(0, "digits", "test"))
    return RawData(images[~test], labels[~test], images[test], labels[test], CLASSES)


def _table() -> np.ndarray:
    """One row per picture: 64 grey levels and the label, as `sklearn.datasets.load_digits` has them.

    Importing scikit-learn takes seconds, so its file is read directly while it is where we know it.
    """
    package = importlib.util.find_spec("sklearn")
    places = (package and package.submodule_search_locations) or []
    for place in places:
        file = Path(place, "datasets", "data", "digits.csv.gz")
        if file.is_file():
            return np.loadtxt(file, delimiter=",")
    from sklearn.datasets import load_digits

    pictures, labels = load_digits(return_X_y=True)
    return np.column_stack([pictures, labels])


SOURCE = Source(
    name="digits",
    title="Digits",
    classes=CLASSES,
    shape=(1, 8, 8),
    train_size=1297,
    test_size=TEST_SIZE,
    flips=False,
    about="Handwritten digits, the 1,797 test pictures of the UCI Optical Recognition set (Alpaydin "
    "and Kaynak, CC BY 4.0), shipped with scikit-learn; split here into 1,297 and 500.",
    read=read,
)
