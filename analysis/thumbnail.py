"""A picture of an analysis' first panel, for cards; drawn when first looked at and kept beside the result.

It is no part of the result: no manifest names it, and it can be drawn again at any time.
"""

from __future__ import annotations

import contextlib

from analysis.contract import of_spec
from analysis.printed import archive, panel
from analysis.task import load_arrays
from ddcore.base.errors import StoreUnusable
from ddcore.tasks.files import write_atomic
from ddcore.tasks.store import Store, Task

NAME = ".thumbnail.png"
WIDTH = 640  # pixels: twice what a card has, for screens with small ones
INCHES = (3.25, 1.9)  # in which it is drawn: text stays readable on a card
BEGINS, ENDS = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"


def of_task(store: Store, task: Task) -> bytes:
    """PNG for a finished analysis."""
    path = task.folder / NAME
    with contextlib.suppress(OSError):
        content = path.read_bytes()
        if content.startswith(BEGINS) and content.endswith(ENDS):
            return content
    of = of_spec(task.spec())
    first = archive.panels(of, of.result(task), load_arrays(store, task))[0].figure
    content = panel.drawn_bytes(first, "png", *INCHES, dpi=round(WIDTH / INCHES[0]))
    with contextlib.suppress(StoreUnusable):  # a shipped one on a read-only disk
        write_atomic(path, content)
    return content
