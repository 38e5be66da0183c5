"""What does a single distilled image teach (Fig. 10)?"""

from __future__ import annotations

from analysis.claims import base
from analysis.claims.base import HOLDS, NOT, OPEN, Claim, ClaimPart, Evidence, PublishedFinding
from analysis.contract import Arrays
from analysis.shared.effects import RAW
from analysis.suite.influence.result import InfluenceResult
from analysis.suite.influence.spec import TOP

ROLES = ("bptt",)


def same_class(result: InfluenceResult, arrays: Arrays) -> Evidence:
    """Of the test images that an image helps most, more than half are of its class. Counted.

    Influence is stored as its mean over initialisations, so there is one count for each set.
    """
    runs, names, inits = base.of_roles(result, ROLES), base.shorts(result.runs), result.found.inits
    chance, parts, marks = 100 / len(result.class_names), [], []
    for run in runs:
        facts, name = result.found.sets[run.key], names[run.key]
        share = 100 * facts.same_class[RAW]
        of = TOP * len(facts.labels)
        outcome = OPEN if inits < 2 else HOLDS if share > 50 else NOT
        parts.append(ClaimPart(name, f"{share:.0f} % of {of}", counted=outcome))
        marks.append(base.mark(run, name, [share], {"bptt": (100.0,)}))
    return Evidence(
        parts=tuple(parts),
        marks=tuple(marks),
        n=base.over(inits, "initialisations"),
        reference=50.0,
        tested=f"the {TOP} test images that each image helps most, by mean influence over initialisations; "
        f"most is more than half, chance about {chance:.0f} %",
        varies="Nothing: these networks' answers are counted. Each set was made once.",
        cannot=(*base.missing(result, ROLES), *base.few(inits)),
    )


CLAIMS = (
    Claim(
        id="influence.same_class",
        analysis="influence",
        statement="Most of the test images that an image of BPTT helps most share its class.",
        published=PublishedFinding(
            "all 90 of class airplane", "Fig. 10: counted in the saved picture of one class"
        ),
        judge=same_class,
        setting={"network": "convnet-128", "iterations": 300},
    ),
)
