"""What is computed about distilled sets. Adding an analysis is adding a file that defines `ANALYSIS`.

Imports ddcore, never streamlit; computing needs neither plotly nor matplotlib. Pages import every module
that defines an analysis, so such a module imports torch inside its functions only.
"""

from __future__ import annotations

import functools
import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ddcore.base.errors import SpecError

if TYPE_CHECKING:
    from analysis.base import Analysis

# Other modules here need torch on import, so what a file defines is read before it is imported.
DEFINES = re.compile(r"^ANALYSIS = Analysis\(", re.MULTILINE)
OTHER_KINDS = {  # tasks that are no analyses: pools that these share, what single pages compute
    "early_nets": "analysis.pools:EarlyPool",
    "leave_one_out": "analysis.shared.loo_spec:LeaveOneOut",
    "nearest": "analysis.nearest:NearestTask",
    "race": "analysis.race:RaceTask",
    "real_nets": "analysis.pools:RealPool",
    "subset_nets": "analysis.pools:SubsetPool",
}


@functools.cache
def analyses() -> dict[str, Analysis]:
    """All analyses by name, in the order of the pages."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    names = [f.stem for f in files if DEFINES.search(f.read_text(encoding="utf-8"))]
    found = [importlib.import_module(f"{__name__}.{name}").ANALYSIS for name in names]
    return {a.name: a for a in sorted(found, key=lambda a: a.order)}


def analysis(name: str) -> Analysis:
    """The analysis of that name; an unknown name lists the known ones."""
    if name not in analyses():
        raise SpecError("analysis", name, "one of " + ", ".join(analyses()))
    return analyses()[name]


def kinds() -> dict[str, str]:
    """Where the class of each kind of task in this package is, as "module:class"."""
    specs = (a.spec for a in analyses().values())
    return OTHER_KINDS | {s.KIND: f"{s.__module__}:{s.__qualname__}" for s in specs}
