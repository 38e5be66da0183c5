"""DC, DSA and DM: `torch.save({"data": [[images, labels], ...], "accs_all_exps": {...}}, "res_....pt")`.

The layout of the official code of Zhao et al. 2021, Zhao & Bilen 2021 and 2023 and of many that build
on it: one pair per experiment, images normalised with the dataset's mean and standard deviation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ddcore.base.errors import DataError
from ddcore.data.registry import mirrored
from ddcore.nets.plan import Shape
from ddcore.sets.importers.base import Importer, ReadSet, Stored
from ddcore.sets.importers.facts import images_of, labels_of


def fits(files: Sequence[Stored]) -> bool:
    """One dict whose "data" is a list of pairs."""
    return len(files) == 1 and bool(_pairs(files[0].content))


def _pairs(content: Any) -> list[list[np.ndarray]]:
    data = content.get("data") if isinstance(content, dict) else None
    pairs = data if isinstance(data, list) else []
    whole = all(
        isinstance(p, list) and len(p) == 2 and all(isinstance(a, np.ndarray) for a in p)
        for p in pairs
    )
    return pairs if whole else []


def read(files: Sequence[Stored], experiment: int) -> ReadSet:
    """The pair of one experiment."""
    pairs, name = _pairs(files[0].content), files[0].name
    if not 0 <= experiment < len(pairs):
        raise DataError(f"{name} holds {len(pairs)} experiments: expected a number below that.")
    images, labels = pairs[experiment]
    return ReadSet(images_of(images, name), labels_of(labels, name), experiments=len(pairs))


def method(names: Sequence[str]) -> str:
    """From the name that the code gives the file: res_DSA_CIFAR10_ConvNet_10ipc.pt."""
    words = names[0].lower().replace("-", "_").replace(".", "_").split("_")
    return next((m for m in ("dsa", "dm", "dc") if m in words), "dc")


def protocol(data: str, names: Sequence[str], shape: Shape) -> str:
    """DSA and DM augment; DC does so for MNIST only."""
    if method(names) != "dc":
        return "dsa" if mirrored(data) else "dsa-digits"
    return "dc-mnist" if data == "mnist" else "dc"


IMPORTER = Importer(
    name="dc",
    title="DC, DSA or DM",
    files="one file such as res_DSA_CIFAR10_ConvNet_10ipc.pt.",
    about="Written by the official code of dataset condensation: a list of experiments under the name "
    "data, each with its images and labels. Images are normalised with the dataset's mean and "
    "standard deviation.",
    fits=fits,
    read=read,
    protocol=protocol,
    method=method,
    scale="normalised",
)
