"""Do the images of a set lie among the real ones of their class (Fig. 2, right)?"""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.claims import base
from analysis.claims.base import Claim, Evidence, PublishedFinding
from analysis.contract import Arrays
from analysis.runs import Run
from analysis.shared.significance import GREATER
from analysis.suite.features.result import FeaturesResult

SETTING = {"network": "resnet18-64", "real_images": 10_000, "batch": 256}
VARIES = "The networks trained on real images. Each set was made once."


def shares(result: FeaturesResult, key: str) -> np.ndarray:
    """Images with most neighbours of their class (networks,), in per cent."""
    return 100 * np.array(result.found.agreement[key], np.float64)


def shown(
    result: FeaturesResult, roles: tuple[str, ...]
) -> tuple[list[Run], dict[str, np.ndarray], dict[str, str]]:
    """The runs of these families, their shares, and short names."""
    runs = base.of_roles(result, roles)
    return runs, {r.key: shares(result, r.key) for r in runs}, base.shorts(result.runs)


def own_class(result: FeaturesResult, arrays: Arrays) -> Evidence:
    """More than half of each set, in every network."""
    runs, found, names = shown(result, ("dm", "mtt"))
    nets = len(result.found.test)
    parts = [base.counted(names[r.key], found[r.key] > 50) for r in runs]
    return _evidence(
        result,
        runs,
        found,
        names,
        parts=tuple(parts),
        tested="images of each set are counted in each network; most is more than half",
        cannot=(*base.missing(result, ("dm", "mtt")), *base.few(nets)),
        reference=50.0,
    )


def mtt_above_dm(result: FeaturesResult, arrays: Arrays) -> Evidence:
    """Trajectory matching above distribution matching, in the same networks."""
    runs, found, names = shown(result, ("dm", "mtt"))
    nets = len(result.found.test)
    parts = [
        base.paired(
            f"{names[one.key]} above {names[other.key]}",
            found[one.key] - found[other.key],
            GREATER,
        )
        for one in runs
        for other in runs
        if base.role(one) == "mtt" and base.role(other) == "dm"
    ]
    return _evidence(
        result,
        runs,
        found,
        names,
        parts=tuple(parts),
        tested="paired t test over networks that see both sets",
        cannot=(*base.missing(result, ("mtt", "dm")), *base.few(nets)),
    )


def _evidence(
    result: FeaturesResult,
    runs: list[Run],
    found: dict[str, np.ndarray],
    names: dict[str, str],
    **details: Any,
) -> Evidence:
    return Evidence(
        marks=tuple(base.mark(r, names[r.key], found[r.key], {}) for r in runs),
        n=base.over(len(result.found.test)),
        varies=VARIES,
        **details,
    )


CLAIMS = (
    Claim(
        id="features.own_class",
        analysis="features",
        statement="Most distilled images lie among the real images of their class.",
        published=PublishedFinding("most points, no figure", "Fig. 2, right: caption"),
        judge=own_class,
        setting=SETTING,
    ),
    Claim(
        id="features.mtt",
        analysis="features",
        statement="More images of MTT lie among their class than of DM.",
        published=PublishedFinding(
            "no figure: many points of DM lie apart", "Fig. 2, right: seen in the saved picture"
        ),
        judge=mtt_above_dm,
        setting=SETTING,
    ),
)
