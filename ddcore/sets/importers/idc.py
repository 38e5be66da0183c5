"""IDC: `torch.save([images, labels], "data.pt")`, pixels from 0 to 1, neither normalised nor clamped.

The layout of the official code of Kim et al. 2022. A stored image may hold factor x factor images side
by side ("multi-formation"), which the file does not say.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ddcore.nets.plan import Shape
from ddcore.sets.importers.base import Importer, ReadSet, Stored
from ddcore.sets.importers.facts import images_of, labels_of


def fits(files: Sequence[Stored]) -> bool:
    """One list of two arrays, the first of images."""
    content = files[0].content
    return (
        len(files) == 1
        and isinstance(content, list)
        and len(content) == 2
        and all(isinstance(a, np.ndarray) for a in content)
        and content[0].ndim in (3, 4)
        and content[1].ndim in (1, 2)
    )


def read(files: Sequence[Stored], experiment: int) -> ReadSet:
    """Images and labels."""
    (images, labels), name = files[0].content, files[0].name
    return ReadSet(images_of(images, name), labels_of(labels, name))


def protocol(data: str, names: Sequence[str], shape: Shape) -> str:
    """The paper's."""
    return "idc"


IMPORTER = Importer(
    name="idc",
    title="IDC",
    files="one file called data.pt.",
    about="Written by the official code of IDC: a list of images and labels. Pixels from 0 to 1, not "
    "normalised; each stored image may hold 2 x 2 or 3 x 3 smaller ones, which networks see enlarged.",
    fits=fits,
    read=read,
    protocol=protocol,
    method=lambda names: "idc",
    scale="unit",
    tiled=True,
)
