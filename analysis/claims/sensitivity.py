"""Outside the standard training, do the sets lose more than real images (abstract)?"""

from __future__ import annotations

from analysis.claims import base
from analysis.claims.base import Claim, Evidence, PublishedFinding
from analysis.contract import Arrays
from analysis.shared.significance import LESS
from analysis.suite.sensitivity.figures import against_random
from analysis.suite.sensitivity.result import SensitivityResult


def loses_more(result: SensitivityResult, arrays: Arrays) -> Evidence:
    """The mean change of accuracy over all changed set-ups is below that of random real images."""
    runs, names, nets = base.of_roles(result, base.ALL), base.shorts(result.runs), result.found.nets
    count = len(result.found.levels) - 1
    if not runs or not count:
        nothing = () if count else ("nothing was changed",)
        return Evidence(cannot=(*nothing, *base.missing(result, base.ALL)))
    beyond = against_random(result)
    found = {run.key: beyond[run.key][1:].mean(0) for run in runs}  # (networks,)
    return Evidence(
        parts=tuple(base.paired(f"{names[key]} below random", v, LESS) for key, v in found.items()),
        marks=tuple(base.mark(r, names[r.key], found[r.key], {}) for r in runs),
        unit="points beyond random",
        n=base.over(nets),
        reference=0.0,
        tested=f"paired t test of the mean over {count} changes, over networks with the same starts",
        varies="Starting weights and the random real images. Each set was made once.",
        cannot=(*base.missing(result, base.ALL), *base.few(nets)),
    )


CLAIMS = (
    Claim(
        id="sensitivity.loses_more",
        analysis="sensitivity",
        statement="Trained on in other ways, distilled sets lose more than random real images do.",
        published=PublishedFinding(
            "no figure: outside the standard evaluation they are no substitute",
            "abstract; the paper changes the data only (mixing), these changes are ours",
        ),
        judge=loses_more,
        setting={"network": "convnet-128", "iterations": 300},
    ),
)
