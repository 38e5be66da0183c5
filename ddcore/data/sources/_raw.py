"""What pictures are decoded into: `RawData`, and the limits of what is decoded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddcore.base.errors import DataError

MAX_CLASSES = 1000
MIN_PER_CLASS = 2  # one picture to train on, one for the validation part


def no_progress(step: int, total: int) -> None:
    """A progress callback that does nothing."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """Pictures of files of unknown origin, still in one array: `held` marks the test part `(N,)`."""

    images: np.ndarray  # uint8 (N, C, H, W)
    labels: np.ndarray  # int64 (N,)
    held: np.ndarray
    class_names: tuple[str, ...]
    jpeg: bool

    def split(self) -> RawData:
        """The two parts, copied."""
        train, test = ~self.held, self.held
        parts = (self.images[train], self.labels[train], self.images[test], self.labels[test])
        return RawData(*parts, self.class_names, self.jpeg)


@dataclass(frozen=True, eq=False)
class RawData:
    """Decoded pictures: images uint8 `(N, C, H, W)`, labels int64 `(N,)`, names of the classes."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...]
    jpeg: bool = False  # whether any picture was stored lossily as JPEG

    def checked(self, where: str) -> RawData:
        """This data, or `DataError` if it cannot be trained on; `where` names it in the message."""
        count = len(self.class_names)
        if not 2 <= count <= MAX_CLASSES:
            raise DataError(f"{where} has {count} classes: expected 2 to {MAX_CLASSES}.")
        for part, images, labels in self._parts():
            if len(images) == 0:
                raise DataError(f"{where} has no {part} pictures: at least 1 is needed.")
            if len(images) != len(labels):
                raise DataError(
                    f"{where} has {len(images)} {part} pictures but {len(labels)} labels: "
                    "each picture needs one."
                )
            if images.dtype != np.uint8 or images.shape[2] != images.shape[3]:
                raise DataError(
                    f"{where} has {part} pictures of type {images.dtype} and shape "
                    f"{images.shape[1:]}: expected square uint8 pictures (C, H, W)."
                )
            low, high = int(labels.min()), int(labels.max())
            if low < 0 or high >= count:
                raise DataError(
                    f"{where} has the {part} label {low if low < 0 else high}: expected 0 to "
                    f"{count - 1} ({count} classes)."
                )
        counts = np.bincount(self.train_labels, minlength=count)
        worst = int(counts.argmin())
        if counts[worst] < MIN_PER_CLASS:
            raise DataError(
                f"{where}: class {self.class_names[worst]!r} has {counts[worst]} training "
                f"pictures, at least {MIN_PER_CLASS} are needed (one to train on, one to validate)."
            )
        return self

    def _parts(self) -> tuple[tuple[str, np.ndarray, np.ndarray], ...]:
        return (
            ("training", self.train_images, self.train_labels),
            ("test", self.test_images, self.test_labels),
        )
