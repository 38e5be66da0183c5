"""Are networks trained on a set like networks that stopped early (Fig. 4)?"""

from __future__ import annotations

import numpy as np

from analysis.claims import base
from analysis.claims.base import Claim, ClaimPart, Evidence, Mark, PublishedFinding
from analysis.contract import Arrays
from analysis.runs import Run
from analysis.suite.agreement.result import AgreementLead, AgreementResult, Alike
from analysis.suite.agreement.spec import POOLS, UNEQUAL

# Peak of early stopping minus peak of subsets, in points; gradient matching's early one is spread.
LEADS = {"bptt": (3.8,), "dm": (10.4,), "dc": (3.7, 8.7), "mtt": (5.9,)}


def early(result: AgreementResult, arrays: Arrays) -> Evidence:
    """The stored lead of early stopping, whose error covers the networks of all three kinds."""
    runs, names = base.of_roles(result, base.ALL), base.shorts(result.runs)
    facts = {names[run.key]: result.found.sets[run.key] for run in runs}
    leads = {name: own.lead for name, own in facts.items() if own.lead}
    nets = min((len(own.accuracy) for own in facts.values()), default=0)
    unmatched = [name for name in facts if name not in leads]
    lonely = [name for name, lead in leads.items() if lead.p is None]
    cannot = base.missing(result, base.ALL)
    if unmatched:
        cannot += (f"no networks of equal accuracy for {', '.join(unmatched)}",)
    if lonely and nets > 1:
        cannot += (f"a single network of equal accuracy for {', '.join(lonely)}",)
    pools = [f"{result.found.networks[pool]} {word}" for pool, word in POOLS.items()]
    return Evidence(
        parts=tuple(part(name, lead) for name, lead in leads.items()),
        marks=tuple(
            mark(run, names[run.key], leads[names[run.key]])
            for run in runs
            if names[run.key] in leads
        ),
        unit="points ahead",
        n=f"{base.over(nets)} per set; ± is the standard error",
        reference=0.0,
        tested=f"t test whose error adds {nets} networks per set, {' and '.join(pools)} ones{unequal(facts)}",
        varies="The networks of all three kinds. Each set was made once.",
        cannot=(*cannot, *base.few(nets)),
    )


def part(name: str, lead: AgreementLead) -> ClaimPart:
    """The lead of a set by its stored test."""
    error = "" if lead.error is None else f", standard error {100 * lead.error:.1f}"
    p = np.nan if lead.p is None else lead.p
    return ClaimPart(name, f"{100 * lead.mean:+.1f} points{error}", p, 1 - p)


def mark(run: Run, name: str, lead: AgreementLead) -> Mark:
    """The lead of a set in points with its standard error."""
    error = None if lead.error is None else 100 * lead.error
    published = LEADS.get(run.method, ())
    return Mark(name, run.method, 100 * lead.mean, error, published, run.label)


def unequal(facts: dict[str, Alike]) -> str:
    """By how much matched accuracies differ, where that explains a lead or hides one."""
    found = []
    for name, own in facts.items():
        first, second = (own.early.other_accuracy, own.subset.other_accuracy)
        if first is None or second is None or abs(first - second) < UNEQUAL:
            continue
        found.append(f"{name}'s early-stopped {100 * (first - second):+.1f} points")
    return f". Not quite equal in accuracy: {', '.join(found)}" if found else ""


CLAIMS = (
    Claim(
        id="agreement.early",
        analysis="agreement",
        statement="At equal accuracy, networks trained on each set agree more with early-stopped than with "
        "subset-trained ones.",
        published=PublishedFinding(
            "BPTT 66 against 62 %, DM 58 against 47, GM 56 to 61 against 52, MTT 63 against 57",
            "Fig. 4: peaks read off the saved picture",
        ),
        judge=early,
        setting={"network": "convnet-128", "early": 30, "early_batch": 256},
    ),
)
