"""Does a single image carry meaning beyond its class (Section 5)?"""

from __future__ import annotations

import numpy as np

from analysis.claims import base
from analysis.claims.base import Claim, Evidence, PublishedFinding
from analysis.contract import Arrays
from analysis.shared.effects import CENTRED
from analysis.suite.semantics.result import SemanticsResult


def beyond(result: SemanticsResult, arrays: Arrays) -> Evidence:
    """In most classes more images with a discovery than random test images give, beyond class mates.

    Classes are the units: they share no test image, while the images of one class do.
    """
    runs, names, inits = (
        base.of_roles(result, base.ALL),
        base.shorts(result.runs),
        result.found.inits,
    )
    cannot = base.absent(arrays, [f"found.{CENTRED}.{run.key}" for run in runs])
    if not runs or cannot:
        return Evidence(cannot=cannot or base.missing(result, base.ALL))
    parts, marks = [], []
    for run in runs:
        facts, name = result.found.sets[run.key], names[run.key]
        found = np.any(arrays[f"found.{CENTRED}.{run.key}"], axis=1)
        labels, control = np.array(facts.labels), facts.centred.control
        each = np.array([found[labels == c].mean() for c in np.unique(labels)])
        what = f"{name} above random ({100 * control:.1f} %)"
        parts.append(base.signs(what, each - control, "classes"))
        marks.append(base.mark(run, name, [100 * found.mean()], {}))
    raw = ", ".join(
        f"{names[r.key]} {100 * result.found.sets[r.key].raw.share:.0f} %" for r in runs
    )
    return Evidence(
        parts=tuple(parts),
        marks=tuple(marks),
        unit="% of images",
        digits=0,
        n=base.over(inits, "initialisations"),
        reference=0.0,
        tested="sign test over classes: images with an attribute of their own among the test images they "
        "help more than their class mates do, against random test images. "
        f"By influence alone, which also picks images that are hard for all: {raw}",
        varies="The classes. Each set was made once.",
        cannot=(*base.missing(result, base.ALL), *base.few(inits)),
    )


CLAIMS = (
    Claim(
        id="semantics.beyond",
        analysis="semantics",
        statement="Single distilled images carry meaning beyond their class.",
        published=PublishedFinding(
            "no figure that can be repeated: its questions to a language model are not public",
            "abstract and title of Section 5; the test here is ours",
        ),
        judge=beyond,
        setting={"network": "convnet-128", "iterations": 300},
    ),
)
