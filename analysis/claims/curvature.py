"""How much curvature do the sets induce along training on real data (Section 4.3)?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from analysis.claims import base
from analysis.claims.base import Claim, Evidence, PublishedFinding
from analysis.contract import Arrays
from analysis.shared.significance import GREATER, LESS
from analysis.suite.curvature.maths import smooth
from analysis.suite.curvature.result import CurvatureResult
from analysis.suite.curvature.spec import REAL

LAST = 300
# Shares of the real trace: published peaks over 2,200, published ends over 1,800.
PEAKS = {"mtt": (218.0,), "bptt": (195.0,), "dc": (182.0,), "dm": (168.0,)}
ENDS = {"bptt": (24.0,), "mtt": (41.0,), "dm": (128.0,), "dc": (111.0,)}
SETTING = {"network": "convnet-128", "batch": 256, "iterations": LAST}
READ = "the official code's notebook: smoothed curves read off the saved picture"
VARIES = "The networks, all sets at the same weights. Each set was made once."


def traces(result: CurvatureResult, arrays: Arrays, key: str) -> np.ndarray:
    """Smoothed trace (networks, moments), each the mean over probes that all sets share."""
    return smooth(arrays[f"samples.{key}"].mean(-1).T, result.found.every).T


def peak(result: CurvatureResult, arrays: Arrays) -> Evidence:
    """The highest trace of each set is above the highest real one."""
    return _judged(result, arrays, base.ALL, True, GREATER, PEAKS, "peak")


def below(result: CurvatureResult, arrays: Arrays) -> Evidence:
    """At the end the traces of sets trained through are below the real one."""
    return _judged(result, arrays, base.TRAINED, False, LESS, ENDS, "end")


def above(result: CurvatureResult, arrays: Arrays) -> Evidence:
    """At the end those of the matched sets are above it."""
    return _judged(result, arrays, base.MATCHED, False, GREATER, ENDS, "end")


def _judged(
    result: CurvatureResult,
    arrays: Arrays,
    roles: tuple[str, ...],
    highest: bool,
    direction: str,
    published: Mapping[str, tuple[float, ...]],
    what: str,
) -> Evidence:
    """Highest or last traces of these families' sets beside the real ones, in the same networks."""
    runs, names, nets = base.of_roles(result, roles), base.shorts(result.runs), result.found.nets
    cannot = base.absent(arrays, [f"samples.{key}" for key in [REAL, *(r.key for r in runs)]])
    ends = result.found.last - result.found.last % result.found.every
    if not cannot and ends < LAST:
        cannot = (f"traces end at iteration {ends} here, before {LAST}",)
    if not runs or cannot:
        return Evidence(cannot=cannot or base.missing(result, roles))

    def of(key: str) -> np.ndarray:
        each = traces(result, arrays, key)
        return each.max(1) if highest else each[:, -1]

    real, word = of(REAL), "above" if direction == GREATER else "below"
    shares = bool((real > 0).all())  # networks differ in scale, so each is its own measure
    parts, marks = [], []
    for run in runs:
        own, name = of(run.key), names[run.key]
        gap, unit = (100 * own / real - 100, "% of real") if shares else (own - real, "")
        parts.append(base.paired(f"{name}'s {what} {word} real", gap, direction, unit))
        if shares:
            marks.append(base.mark(run, name, 100 * own / real, published))
    cannot = (*base.missing(result, roles), *base.few(nets))
    if nets == 1:
        cannot += (f"its page tests over the {result.found.probes} probes of this one",)
    return Evidence(
        parts=tuple(parts),
        marks=tuple(marks),
        unit="% of real",
        digits=0,
        n=f"{base.over(nets)}, {result.found.probes} probes each",
        reference=100.0,
        tested="t test over networks of smoothed traces, each as a share of the real one at the same weights"
        if shares
        else "paired t test of smoothed traces over networks",
        varies=VARIES,
        cannot=cannot,
    )


CLAIMS = (
    Claim(
        id="curvature.peak",
        analysis="curvature",
        statement="The loss becomes more curved on every set than on real images.",
        published=PublishedFinding(
            "peak traces MTT 4,800, BPTT 4,300, GM 4,000, DM 3,700, real 2,200", READ
        ),
        judge=peak,
        setting=SETTING,
    ),
    Claim(
        id="curvature.below",
        analysis="curvature",
        statement="By iteration 300 the curvature on the sets of BPTT and MTT has collapsed below the "
        "real one.",
        published=PublishedFinding("BPTT 440, MTT 730, real 1,800", READ),
        judge=below,
        setting=SETTING,
    ),
    Claim(
        id="curvature.above",
        analysis="curvature",
        statement="By iteration 300 the curvature on the sets of DM and GM is still above the real one.",
        published=PublishedFinding("DM 2,300, GM 2,000, real 1,800", READ),
        judge=above,
        setting=SETTING,
    ),
)
