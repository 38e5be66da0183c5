"""A picture of an analysis' first panel, for cards; drawn when first looked at and kept beside the result.

It is no part of the result: no manifest names it, and it can be drawn again at any time.
"""

from __future__ import annotations

import contextlib

from analysis.contract import of_spec
from analysis.shared import drawing
from analysis.task import load_arrays
from ddcore.base.errors import StoreUnusable
from ddcore.tasks.files import write_atomic
from ddcore.tasks.store import Store, Task

NAME = ".thumbnail.png"
WIDTH = 640  # pixels: twice what a card has, for screens with small ones
BEGINS, ENDS = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"


def of_task(store: Store, task: Task) -> bytes:
    """PNG for a finished analysis."""
    path = task.folder / NAME
    with contextlib.suppress(OSError):
        content = path.read_bytes()
        if content.startswith(BEGINS) and content.endswith(ENDS):
            return content
    of = of_spec(task.spec())
    content = drawing.first_panel(of, of.result(task), load_arrays(store, task), WIDTH)
    with contextlib.suppress(StoreUnusable):  # a shipped one on a read-only disk
        write_atomic(path, content)
    return content
