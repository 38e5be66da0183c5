"""The findings of Yang et al. 2024 as claims that finished analyses are held against.

Adding claims is adding a file that defines `CLAIMS`. Nothing here needs torch, plotly or streamlit.
"""

from __future__ import annotations

import functools
import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.claims.base import Claim

DEFINES = re.compile(r"^CLAIMS = \(", re.MULTILINE)


@functools.cache
def claims() -> dict[str, Claim]:
    """All claims by id, in the order of the analyses' pages, within a file as they stand there."""
    from analysis import analyses

    files = sorted(Path(__file__).parent.glob("*.py"))
    names = [f.stem for f in files if DEFINES.search(f.read_text(encoding="utf-8"))]
    found = [c for name in names for c in importlib.import_module(f"{__name__}.{name}").CLAIMS]
    known = analyses()
    return {c.id: c for c in sorted(found, key=lambda c: known[c.analysis].order)}
