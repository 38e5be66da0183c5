"""A picture of an analysis' first panel, for cards; drawn when first looked at and kept beside the result.

It is no part of the result: no manifest names it, and it can be drawn again at any time.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from analysis.contract import of_spec
from analysis.printed import archive, panel
from analysis.task import load_arrays
from ddcore.base.errors import StoreUnusable
from ddcore.tasks.files import write_atomic
from ddcore.tasks.store import Store, Task

if TYPE_CHECKING:
    from collections.abc import Collection

    from plotly.graph_objects import Figure

NAME = ".thumbnail.png"
WIDTH = 480  # pixels: twice what a card has, for screens with small ones
INCHES = (2.5, 1.6)  # in which it is drawn: text stays readable on a card
BEGINS, ENDS = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
SIZE = slice(16, 20)  # of a PNG: its width
NAMED = 4  # most names in its legend


def of_task(store: Store, task: Task) -> bytes:
    """PNG for a finished analysis."""
    path = task.folder / NAME
    with contextlib.suppress(OSError):
        if _is_ours(content := path.read_bytes()):
            return content
    of = of_spec(task.spec())
    result = of.result(task)
    first = archive.panels(of, result, load_arrays(store, task))[0].figure
    without_sets(first, {run.label for run in result.runs})
    content = panel.drawn_bytes(first, "png", *INCHES, dpi=round(WIDTH / INCHES[0]))
    with contextlib.suppress(StoreUnusable):  # a shipped one on a read-only disk
        write_atomic(path, content)
    return content


def _is_ours(content: bytes) -> bool:
    """Whether it is whole and of today's width: an older one is drawn anew."""
    wide = int.from_bytes(content[SIZE], "big") == WIDTH
    return wide and content.startswith(BEGINS) and content.endswith(ENDS)


def without_sets(figure: Figure, sets: Collection[str]) -> None:
    """A legend without the sets, whose colours a page names above its cards; a long one is left out."""
    for trace in figure.data:
        if trace.name in sets:
            trace.showlegend = False
    left = {t.name for t in figure.data if t.name and t.showlegend is not False}
    if len(left) > NAMED:
        figure.update_layout(showlegend=False)
