"""Bare tensors, one a file, as MTT, TESLA, FTD and DATM: images_best.pt, labels_best.pt and maybe lr_best.pt.

The layout of the official code of Cazenavette et al. 2022 and its descendants. Images are normalised, or
ZCA-whitened (eps 0.1) where the run was made so; the images_zca_... files beside them are pixels again.
Which of them wrote a pair only its names can say.
DATM's labels are scores whose softmax it trains on; TESLA's soft labels are probabilities.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ddcore.base.errors import DataError
from ddcore.nets.plan import Shape
from ddcore.sets.importers._names import TRAJECTORIES, method_in, plain_protocol, protocol_in
from ddcore.sets.importers.base import Importer, ReadSet, Stored
from ddcore.sets.importers.facts import images_of, labels_of

# What their code calls its files: best, the number of an iteration, or after whitening was taken back.
WRITTEN = re.compile(r"(images|labels|lr)_(zca_)?(best|\d+)\.pt")


def fits(files: Sequence[Stored]) -> bool:
    """Two or three files of one array each, of which one holds images and one labels."""
    parts = [_role(f.content) for f in files]
    return sorted(parts) in (["images", "labels"], ["images", "labels", "lr"])


def _role(content: Any) -> str:
    if isinstance(content, int | float):
        return "lr"
    if not isinstance(content, np.ndarray):
        return ""
    if content.size == 1:
        return "lr"
    return "images" if content.ndim in (3, 4) else "labels" if content.ndim in (1, 2) else ""


def read(files: Sequence[Stored], experiment: int) -> ReadSet:
    """Images, labels and the learned step size, each from its file."""
    by_role = {_role(f.content): f for f in files}
    images, labels = by_role["images"], by_role["labels"]
    lrs = None
    if "lr" in by_role:
        lrs = np.asarray(by_role["lr"].content, np.float32).reshape(1)
        if not lrs[0] > 0:
            raise DataError(
                f"The step size in {by_role['lr'].name} is {lrs[0]:g}: expected above 0."
            )
    return ReadSet(
        images_of(images.content, images.name), labels_of(labels.content, labels.name), lrs=lrs
    )


def protocol(data: str, names: Sequence[str], shape: Shape) -> str:
    """The paper's, with the learned step size and augmentation, if names or a file with it say so."""
    method = method_in(names)
    if method and method not in TRAJECTORIES:
        return protocol_in(data, names, shape)
    theirs = any(WRITTEN.fullmatch(name.lower()) for name in names)
    return "mtt" if method or theirs or len(names) == 3 else plain_protocol(shape)


IMPORTER = Importer(
    name="mtt",
    title="One tensor a file",
    files="the files images_best.pt and labels_best.pt together, and lr_best.pt if there is one.",
    about="As the official code of matching training trajectories (MTT) and its descendants writes "
    "sets. Images are normalised, or ZCA-whitened if the run was; labels are classes, or "
    "learned soft ones.",
    fits=fits,
    read=read,
    protocol=protocol,
    method=method_in,
)
