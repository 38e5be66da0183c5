"""Two named arrays, images and labels, in an .npz or .safetensors file or as a dict in a .pt file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ddcore.base.errors import DataError
from ddcore.sets.importers._names import method_in, protocol_in
from ddcore.sets.importers.base import Importer, ReadSet, Stored
from ddcore.sets.importers.facts import images_of, labels_of

IMAGES = ("images", "image", "data", "x", "x_train", "imgs", "images_train")
LABELS = ("labels", "label", "targets", "target", "y", "y_train", "labels_train")


def fits(files: Sequence[Stored]) -> bool:
    """One dict with an array of images and one of labels."""
    return len(files) == 1 and all(a is not None for a in _arrays(files[0].content))


def _arrays(content: Any) -> tuple[np.ndarray | None, np.ndarray | None]:
    named = {}
    if isinstance(content, dict):
        named = {k.lower(): a for k, a in content.items() if isinstance(a, np.ndarray)}
    images = next((named[k] for k in IMAGES if k in named and named[k].ndim in (3, 4)), None)
    labels = next((named[k] for k in LABELS if k in named and named[k].ndim in (1, 2)), None)
    return images, labels


def read(files: Sequence[Stored], experiment: int) -> ReadSet:
    """Both arrays."""
    images, labels = _arrays(files[0].content)
    if images is None or labels is None:
        raise DataError(f"{files[0].name} holds no arrays called images and labels.")
    return ReadSet(images_of(images, files[0].name), labels_of(labels, files[0].name))


IMPORTER = Importer(
    name="arrays",
    title="Images and labels",
    files="one .npz, .safetensors or .pt file with arrays called images and labels (or x and y).",
    about="Any set of images with labels. How its numbers are scaled is judged by their values.",
    fits=fits,
    read=read,
    protocol=protocol_in,
    method=method_in,
    rank=1,  # after the layouts that are known better
)
