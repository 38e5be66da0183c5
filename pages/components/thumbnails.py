"""A strip of one image of each class for lists: lossless PNG, made once and kept beside the folders."""

from __future__ import annotations

import base64
import contextlib
import functools
from pathlib import Path

import numpy as np

from ddcore.base.errors import DDError, StoreUnusable
from ddcore.sets.distilled import DistilledSet
from ddcore.tasks import stamps
from ddcore.tasks.files import write_atomic
from ddcore.tasks.task import DONE, Task
from pages.components import sheet

FOLDER = "thumbnails"
HEIGHT, WIDTH = 24, 150  # pixels of a strip, about; smaller images are enlarged by whole numbers
GAP = 1
CLIPPED = 0.5  # share of values outside 0..1 from which each image is shown by its own scale


def address(root: Path, task: Task, stamp: stamps.Stamp, keep: bool) -> str:
    """The strip as a data address for an image column; "" if the set cannot be read.

    `keep` says whether it may be written into the store at `root`; where that is refused it is made anew.
    """
    content = _content(root, task, stamp, keep)
    return f"data:image/png;base64,{base64.b64encode(content).decode()}" if content else ""


@functools.lru_cache(maxsize=1024)
def _content(root: Path, task: Task, _stamp: stamps.Stamp, keep: bool) -> bytes:
    path = root / FOLDER / f"{task.key}.png"
    try:
        if path.stat().st_mtime >= (task.folder / DONE).stat().st_mtime:
            return path.read_bytes()
    except OSError:
        pass
    try:
        content = strip(DistilledSet.from_task(task))
    except DDError:
        return b""
    if keep:
        with contextlib.suppress(StoreUnusable):
            write_atomic(path, content)
    return content


def strip(made: DistilledSet) -> bytes:
    """PNG of the first image of each class, as many as there is room for."""
    from ddcore.sets import render

    _, first = np.unique(made.hard_labels, return_index=True)
    _, h, w = made.shape
    scale = max(1, HEIGHT // h)
    count = min(len(first), max(1, (WIDTH - GAP) // (w * scale + GAP)))
    pixels = made.pixels()[first[:count]]
    mode = "sigma" if sheet.clipped(pixels) > CLIPPED else "clip"
    return render.sheet(pixels, 1, count, scale, mode=mode, gap=GAP)
