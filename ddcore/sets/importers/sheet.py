"""A set that was pictures: the .npz that `sheets.to_file` makes of a contact sheet or of class folders."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from ddcore.sets.importers._names import method_in, protocol_in
from ddcore.sets.importers.base import Importer, ReadSet, Stored
from ddcore.sets.importers.facts import images_of, labels_of

IMAGES, LABELS, NOTE = "images", "labels", "note"
MADE = "pictures"  # what a note says it is of
MAX_NOTE, MAX_SENTENCE = 1 << 16, 2000  # bytes of a note; letters of a sentence in it


def note(sentences: Sequence[str], sha256: str) -> np.ndarray:
    """What is told of the pictures beside their numbers, as bytes."""
    told = {"of": MADE, "notes": list(sentences), "sha256": sha256}
    return np.frombuffer(json.dumps(told).encode(), np.uint8)


def _told(content: Any) -> dict[str, Any]:
    """The note of a file; {} if it has none."""
    given = content.get(NOTE) if isinstance(content, dict) else None
    if not isinstance(given, np.ndarray) or given.dtype != np.uint8 or given.size > MAX_NOTE:
        return {}
    try:
        told = json.loads(given.tobytes())
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) and told.get("of") == MADE else {}


def fits(files: Sequence[Stored]) -> bool:
    """One file of images, labels and the note."""
    if len(files) != 1 or not _told(files[0].content):
        return False
    return all(isinstance(files[0].content.get(n), np.ndarray) for n in (IMAGES, LABELS))


def read(files: Sequence[Stored], experiment: int) -> ReadSet:
    """Images and labels, and what was found when the pictures were read."""
    content, name = files[0].content, files[0].name
    notes = _told(content).get("notes")
    sentences = [n[:MAX_SENTENCE] for n in notes if isinstance(n, str)] if notes else []
    return ReadSet(
        images_of(content[IMAGES], name),
        labels_of(content[LABELS], name),
        notes=tuple(sentences[:4]),
    )


IMPORTER = Importer(
    name="sheet",
    title="Pictures",
    files="one .png contact sheet, or a .zip with a folder of .png pictures for each class.",
    about="Images as repositories show them, rounded to 8 bits. Where they lie in a sheet is found from "
    "its pixels, and which classes they are from the looks of the dataset's real images.",
    fits=fits,
    read=read,
    protocol=protocol_in,
    method=method_in,
    scale="byte",
)
