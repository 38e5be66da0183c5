"""Do networks trained on real images recognise the sets (Fig. 2, left)?"""

from __future__ import annotations

import numpy as np

from analysis.claims import base
from analysis.claims.base import Claim, ClaimPart, Evidence, PublishedFinding
from analysis.contract import Arrays
from analysis.shared import significance
from analysis.shared.significance import GREATER
from analysis.suite.recognition.result import RecognitionResult

PLAIN, RESIDUAL = (54.0, 71.0), (41.0, 46.0)  # of distribution matching: two ConvNets, two ResNets
SETTING = {
    "networks": ("convnet-16", "convnet-128", "resnet18-64", "resnet34-64"),
    "batch": 256,
}
READ = "Fig. 2, left: caption, and figures in the official code's notebook, with its bar labels corrected"
VARIES = "The networks trained on real images. Each set was made once."


def values(result: RecognitionResult, key: str) -> np.ndarray:
    """Shares recognised (architectures, networks), in per cent."""
    return 100 * np.array(result.found.recognised[key], np.float64)


def gap(what: str, better: np.ndarray, worse: np.ndarray) -> ClaimPart:
    """Whether the same networks (A, n) recognise one set better than another, all architectures alike.

    Networks of different architectures are independent: the variances of their mean differences add.
    """
    apart = better - worse
    each = list(apart / len(apart))
    test = significance.combined(float(apart.mean()), each, GREATER)
    return base.tested(what, base.change(apart.mean(0)), test)


def by_role(result: RecognitionResult, arrays: Arrays) -> Evidence:
    """Every set trained through above every matched one."""
    strong, weak = (base.of_roles(result, roles) for roles in (base.TRAINED, base.MATCHED))
    runs = [*strong, *weak]
    names = base.shorts(result.runs)
    found = {run.key: values(result, run.key) for run in runs}
    nets, kinds = len(result.found.test[0]), len(result.found.networks)
    parts = [
        gap(
            f"{names[one.key]} above {names[other.key]}",
            found[one.key],
            found[other.key],
        )
        for one in strong
        for other in weak
    ]
    published = {"dm": (*RESIDUAL, *PLAIN)}
    marks = [base.mark(run, names[run.key], found[run.key].mean(0), published) for run in runs]
    return Evidence(
        parts=tuple(parts),
        marks=tuple(marks),
        n=f"{base.over(nets)} of each of {kinds} kinds",
        tested="paired t test over networks, each of which sees all sets",
        varies=VARIES,
        cannot=(*base.missing(result, base.ALL), *base.few(nets)),
    )


def residual(result: RecognitionResult, arrays: Arrays) -> Evidence:
    """Every residual architecture below every other one, on each matched set."""
    runs, names = base.of_roles(result, base.MATCHED), base.shorts(result.runs)
    nets, networks = len(result.found.test[0]), result.found.networks
    low = [i for i, name in enumerate(networks) if "resnet" in name.lower()]
    high = [i for i in range(len(networks)) if i not in low]
    cannot = (*base.missing(result, base.MATCHED), *base.few(nets))
    if not low or not high:
        which = "no residual network" if not low else "only residual networks"
        cannot = (f"there is {which} among {', '.join(networks)}", *cannot)
    parts, marks = [], []
    for run in runs:
        own, name = values(result, run.key), names[run.key]
        for a in low:
            for b in high:
                apart = significance.combined(
                    own[b].mean() - own[a].mean(), [own[a], own[b]], GREATER
                )
                what = f"{name}: {networks[a]} below {networks[b]}"
                parts.append(
                    base.tested(what, f"{own[a].mean() - own[b].mean():+.1f} points", apart)
                )
        for rows, label, theirs in ((low, "ResNets", RESIDUAL), (high, "others", PLAIN)):
            if rows:
                marks.append(base.mark(run, f"{name}, {label}", own[rows].mean(0), {"dm": theirs}))
    return Evidence(
        parts=tuple(parts),
        marks=tuple(marks),
        n=f"{base.over(nets)} of each kind",
        tested="Welch's t test between kinds of network",
        varies=VARIES,
        cannot=cannot,
    )


CLAIMS = (
    Claim(
        id="recognition.roles",
        analysis="recognition",
        statement="Networks that saw only real data recognise sets of BPTT and MTT better than those of "
        "DM and GM.",
        published=PublishedFinding("BPTT and MTT near 100 %, DM 41 to 71 %", READ),
        judge=by_role,
        setting=SETTING,
    ),
    Claim(
        id="recognition.residual",
        analysis="recognition",
        statement="Residual networks recognise the sets of DM and GM least.",
        published=PublishedFinding("DM: two ResNets 41 and 46 %, two ConvNets 54 and 71 %", READ),
        judge=residual,
        setting=SETTING,
    ),
)
