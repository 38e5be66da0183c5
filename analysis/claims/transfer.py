"""Outside the standard evaluation, do the sets help other architectures less (abstract)?"""

from __future__ import annotations

import numpy as np

from analysis.claims import base
from analysis.claims.base import Claim, Evidence, PublishedFinding
from analysis.contract import Arrays
from analysis.shared.significance import LESS
from analysis.suite.transfer.figures import gains, others
from analysis.suite.transfer.result import TransferResult


def gains_less(result: TransferResult, arrays: Arrays) -> Evidence:
    """What a set gains over random real images is less on other architectures than where it was made."""
    names, nets, every = base.shorts(result.runs), result.found.nets, gains(result)
    runs = [r for r in base.of_roles(result, base.ALL) if others(result, r.key)[0]]
    cannot = (*base.missing(result, base.ALL), *base.few(nets))
    if not runs:
        return Evidence(cannot=("there is no other architecture", *cannot))
    change: dict[str, np.ndarray] = {}  # of the gain, from home to the mean of the others
    for run in runs:
        own = every[run.key]  # (networks, nets)
        elsewhere = own[others(result, run.key)[0]].mean(0)
        change[run.key] = elsewhere - own[result.found.home[run.key]]
    return Evidence(
        parts=tuple(base.paired(f"{names[k]} less elsewhere", v, LESS) for k, v in change.items()),
        marks=tuple(base.mark(r, names[r.key], change[r.key], {}) for r in runs),
        unit="points elsewhere",
        n=base.over(nets),
        reference=0.0,
        tested="paired t test over networks of each kind with the same random real images",
        varies="Starting weights and the random real images, not the architectures. Each set was made once.",
        cannot=cannot,
    )


CLAIMS = (
    Claim(
        id="transfer.gains_less",
        analysis="transfer",
        statement="On other architectures a set gains less over random real images than where it was made.",
        published=PublishedFinding(
            "no figure: outside the standard evaluation they are no substitute",
            "abstract; other architectures are not compared there, this is ours",
        ),
        judge=gains_less,
    ),
)
