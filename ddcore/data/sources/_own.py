"""What folders and parquet files of unknown origin share: label checks and a test part of our own."""

from __future__ import annotations

import numpy as np

from ddcore.base import rng
from ddcore.base.errors import DataError
from ddcore.data.sources._raw import MAX_CLASSES, MIN_PER_CLASS
from ddcore.data.splits import held_out, quota_by_fraction

TEST_FRACTION = 0.2


def split(
    labels: np.ndarray, names: tuple[str, ...], held: np.ndarray | None, where: str
) -> np.ndarray:
    """The test mask `(N,)`: `held` if the data has a test part, else a stratified fixed fifth."""
    if held is not None:
        return held
    counts = np.bincount(labels, minlength=len(names))
    worst = int(counts.argmin())
    if counts[worst] < MIN_PER_CLASS + 1:
        raise DataError(
            f"{where}: class {names[worst]!r} has {counts[worst]} pictures, at least "
            f"{MIN_PER_CLASS + 1} are needed without a test part (one each to train, validate, test)."
        )
    quota = quota_by_fraction(labels, len(names), TEST_FRACTION)
    return held_out(labels, quota, rng.numpy_generator(0, "own data", "test"))


def check_labels(labels: np.ndarray, names: tuple[str, ...], held: np.ndarray, where: str) -> None:
    """Refuse too few or too many classes or members before any picture is decoded."""
    if not 2 <= len(names) <= MAX_CLASSES:
        raise DataError(f"{where} has {len(names)} classes: expected 2 to {MAX_CLASSES}.")
    if not held.any():
        raise DataError(f"{where} has no test pictures: at least 1 is needed.")
    counts = np.bincount(labels[~held], minlength=len(names))
    worst = int(counts.argmin())
    if counts[worst] < MIN_PER_CLASS:
        raise DataError(
            f"{where}: class {names[worst]!r} has {counts[worst]} training pictures, at least "
            f"{MIN_PER_CLASS} are needed (one to train on, one to validate)."
        )
