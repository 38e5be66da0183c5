"""RFAD: `np.savez("best.npz", images=..., labels=..., valid_loss=..., k=..., jit=...)`.

The layout of the official code of Loo et al. 2022. Colour images are whitened by the regularised ZCA of KIP:
channels normalised, then the covariance plus 0.1 of its mean diagonal; grey ones normalised. Labels are
targets for regression: a one where the class is, less 1/K.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ddcore.nets.plan import Shape
from ddcore.sets.importers.base import Importer, ReadSet, Stored
from ddcore.sets.importers.facts import images_of, labels_of

NAMES = {"images", "labels", "k", "jit"}


def fits(files: Sequence[Stored]) -> bool:
    """One dict with images, labels, and the temperature and ridge of the regression."""
    content = files[0].content
    named = content if isinstance(content, dict) else {}
    parts = [a for n, a in named.items() if n in NAMES and isinstance(a, np.ndarray)]
    return len(files) == 1 and len(parts) == len(NAMES) and named["images"].ndim == 4


def read(files: Sequence[Stored], experiment: int) -> ReadSet:
    """Images and labels."""
    content, name = files[0].content, files[0].name
    return ReadSet(images_of(content["images"], name), labels_of(content["labels"], name))


def protocol(data: str, names: Sequence[str], shape: Shape) -> str:
    """Networks are trained on it by its authors too, without augmentation."""
    return "dc"


IMPORTER = Importer(
    name="rfad",
    title="RFAD",
    files="one file called best.npz.",
    about="Written by the official code of RFAD. Colour images are ZCA-whitened, with a tenth of the "
    "mean variance added; labels are targets for regression, not probabilities.",
    fits=fits,
    read=read,
    protocol=protocol,
    method=lambda names: "rfad",
    labels="keep",
)
