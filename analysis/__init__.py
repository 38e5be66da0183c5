"""What is computed about distilled sets. Adding an analysis is adding a package to `analysis.suite`.

Imports ddcore, never streamlit; computing needs neither plotly nor matplotlib. Pages import all that defines
an analysis (its spec and its figures), so these import torch inside functions only.
"""

from __future__ import annotations

from analysis.contract import analyses, analysis

__all__ = ["analyses", "analysis", "kinds"]

OTHER_KINDS = {  # tasks that are no analyses: networks that these share, single pages, uses of sets
    "candidates": "analysis.uses.search.spec:CandidatesTask",
    "continual": "analysis.uses.continual.spec:ContinualTask",
    "leave_one_out": "analysis.shared.loo_spec:LeaveOneOut",
    "nearest": "analysis.single.nearest:NearestTask",
    "race": "analysis.single.race:RaceTask",
    "regimes": "analysis.uses.regimes.spec:RegimesTask",
    "search": "analysis.uses.search.spec:SearchTask",
}


def kinds() -> dict[str, str]:
    """Where the class of each kind of task in this package is, as "module:class"."""
    specs = (a.spec for a in analyses().values())
    return OTHER_KINDS | {s.KIND: f"{s.__module__}:{s.__qualname__}" for s in specs}
