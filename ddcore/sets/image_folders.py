"""A set as a folder of pictures for each class, which torchvision's ImageFolder and our own importer read.

    train/<class>/0000.png, ...     labels.csv: file, label, class     soft_labels.npy: (M, K) float32

Pictures have 8 bits, so this is how sets at the scale of ImageNet travel, not the exact set.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

import numpy as np

from ddcore.sets import card, render
from ddcore.sets.checks import check
from ddcore.sets.distilled import DistilledSet

PART = "train"
SAFE = re.compile(r"[A-Za-z0-9][\w.+-]{0,80}", re.ASCII)


def files(made: DistilledSet) -> dict[str, bytes]:
    """Relative path to content; rows of the two files of labels are in the order of classes."""
    check(made)
    pixels, labels, order = made.pixels(), made.hard_labels, made.order()
    names, seen, listed = folders(made.class_names), [0] * made.num_classes, []
    found = {}
    for i in order:
        label = int(labels[i])
        path = f"{PART}/{names[label]}/{seen[label]:04d}.png"
        found[path] = render.png(pixels[i])
        listed.append((path, label, made.class_names[label]))
        seen[label] += 1
    found["labels.csv"] = _csv(listed)
    if made.soft:
        found["soft_labels.npy"] = _npy(made.labels[order])
    found["README.txt"] = card.picture_note(made).encode()
    return found


def folders(names: Sequence[str]) -> list[str]:
    """Folders whose alphabet is the order of classes: their names where these are so, else their numbers."""
    plain = all(SAFE.fullmatch(name) for name in names)
    if plain and list(names) == sorted(names) and len({n.casefold() for n in names}) == len(names):
        return list(names)
    return [f"{number:0{len(str(len(names) - 1))}d}" for number in range(len(names))]


def _csv(rows: Sequence[tuple[str, int, str]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([("file", "label", "class"), *rows])
    return out.getvalue().encode()


def _npy(values: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, np.ascontiguousarray(values), allow_pickle=False)
    return out.getvalue()
