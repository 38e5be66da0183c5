"""Do distilled pixels leave the range of real ones (Fig. 3, left)?"""

from __future__ import annotations

from analysis.claims import base
from analysis.claims.base import HOLDS, NOT, OPEN, Claim, ClaimPart, Evidence, PublishedFinding
from analysis.contract import Arrays
from analysis.suite.pixels.result import PixelsResult
from analysis.suite.pixels.spec import REAL
from ddcore.base.texts import percent

ROLES = ("dm", "mtt")


def outside(result: PixelsResult, arrays: Arrays) -> Evidence:
    """Some pixels of each set are below 0 or above 1, none of the real ones. Counted, so exact."""
    runs, names = base.of_roles(result, ROLES), base.shorts(result.runs)
    rounded = result.found.eight_bit
    parts, marks = [], []
    for run in runs:
        facts, name = result.found.sets[run.key][0], names[run.key]
        measured = f"{percent(facts.outside)}, {facts.min:.2f} to {facts.max:.2f}"
        outcome = HOLDS if facts.outside > 0 else NOT
        parts.append(ClaimPart(name, measured, counted=OPEN if run.key in rounded else outcome))
        marks.append(base.mark(run, name, [100 * facts.outside], {}))
    real = result.found.sets[REAL][0].outside
    parts.append(
        ClaimPart("real images inside", percent(real), counted=HOLDS if real == 0 else NOT)
    )
    lost = [names[run.key] for run in runs if run.key in rounded]
    cannot = base.missing(result, ROLES)
    if lost:
        cannot += (f"{', '.join(lost)}: from 8-bit pixels, which show nothing outside 0..1",)
    return Evidence(
        parts=tuple(parts),
        marks=(*marks, base.real_mark("real", "Real images", [100 * real])),
        unit="% outside",
        n="exact: every pixel",
        reference=0.0,
        tested="all pixels of each set; real ones are 8-bit, so they cannot lie outside",
        varies="Nothing: every pixel is counted. Each set was made once.",
        cannot=cannot,
    )


CLAIMS = (
    Claim(
        id="pixels.outside",
        analysis="pixels",
        statement="Distilled pixels leave the range 0..1 of real ones.",
        published=PublishedFinding(
            "one image each: MTT and DM have mass below 0 and above 1, real none",
            "Fig. 3, left: read off the saved picture, a smoothed curve",
        ),
        judge=outside,
    ),
)
