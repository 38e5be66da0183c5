"""Are networks trained on a set like networks that stopped early (Fig. 4)?"""

from __future__ import annotations

import numpy as np

from analysis.agreement import EARLY, SUBSET, UNEQUAL
from analysis.base import Arrays, Result
from analysis.claims import base
from analysis.claims.base import Claim, Evidence, Mark, Part, Published

# Peak of early stopping minus peak of subsets, in points; gradient matching's early one is spread.
LEADS = {"bptt": (3.8,), "dm": (10.4,), "dc": (3.7, 8.7), "mtt": (5.9,)}


def early(result: Result, arrays: Arrays) -> Evidence:
    """The stored lead of early stopping, whose error covers the networks of all three kinds."""
    runs, names = base.of_roles(result, base.ALL), base.shorts(result["runs"])
    parts, marks, unmatched, apart = [], [], [], []
    for run in runs:
        facts, name = result["sets"][run["key"]], names[run["key"]]
        lead = facts["lead"]
        if not lead:
            unmatched.append(name)
            continue
        error = lead["error"]
        measured = f"{100 * lead['mean']:+.1f} points" + (
            "" if error is None else f", standard error {100 * error:.1f}"
        )
        p = np.nan if lead["p"] is None else lead["p"]
        parts.append(Part(name, measured, p, 1 - p))
        spread = None if error is None else 100 * error
        marks.append(
            Mark(
                name,
                run["method"],
                100 * lead["mean"],
                spread,
                LEADS.get(run["method"], ()),
                run["label"],
            )
        )
        other = facts[EARLY]["other_accuracy"] - facts[SUBSET]["other_accuracy"]
        if abs(other) >= UNEQUAL:
            apart.append(f"{name}'s early-stopped {100 * other:+.1f} points")
    nets = min((len(result["sets"][r["key"]]["accuracy"]) for r in runs), default=0)
    pools = (
        f"{result['networks'][EARLY]} early-stopped and {result['networks'][SUBSET]} subset-trained"
    )
    cannot = base.missing(result, base.ALL)
    if unmatched:
        cannot += (f"no networks of equal accuracy for {', '.join(unmatched)}",)
    note = f". Not quite equal in accuracy: {', '.join(apart)}" if apart else ""
    return Evidence(
        parts=tuple(parts),
        marks=tuple(marks),
        unit="points ahead",
        n=f"{base.over(nets)} per set; ± is the standard error",
        reference=0.0,
        tested=f"t test whose error adds {nets} networks per set, {pools} ones{note}",
        varies="The networks of all three kinds. Each set was made once.",
        cannot=(*cannot, *base.few(nets)),
    )


CLAIMS = (
    Claim(
        id="agreement.early",
        analysis="agreement",
        statement="At equal accuracy, networks trained on any of the four sets agree more with early-stopped "
        "networks than with subset-trained ones.",
        published=Published(
            "BPTT 66 against 62 %, DM 58 against 47, GM 56 to 61 against 52, MTT 63 against 57",
            "Fig. 4: peaks read off the saved picture",
        ),
        judge=early,
        setting={"network": "convnet-128", "early": 30, "early_batch": 256},
    ),
)
