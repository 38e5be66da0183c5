"""What becomes of a set to which real images are added (Fig. 3, right)?"""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.claims import base
from analysis.claims.base import Claim, ClaimPart, Evidence, PublishedFinding
from analysis.contract import Arrays
from analysis.shared.significance import GREATER, LESS
from analysis.suite.mixing.result import MixingResult

MARGIN = 2.0  # points that curves may lie apart and still meet
LARGE = 25  # times a set's images per class: 250 of 10, where the published curves end
DIPS = {"bptt": (-8.9,), "mtt": (-7.9,)}  # points, from 0 to 10 real images per class
RISE = {0: (27.3,), 250: (58.3,)}
SETTING = {"network": "convnet-128", "iterations": 300}
RANDOM = "Random real images"
READ = "Fig. 3, right: read off the saved picture"
VARIES = (
    "Starting weights and the real images drawn, the same for every set. Each set was made once."
)


def curve(result: MixingResult, key: str) -> np.ndarray:
    """Accuracy (amounts, networks) of a source, in per cent."""
    return 100 * result.found.curves[key]


def random_of(result: MixingResult, ipc: int) -> np.ndarray:
    """The curve of random real images in place of a set of so many per class."""
    return curve(result, f"random.{ipc}")


def few_real(result: MixingResult) -> int:
    """Where about as many real images are added as the set has: never more, if that can be had."""
    smallest = min(run.ipc for run in result.runs)
    return max([1] + [i for i, k in enumerate(result.found.added) if 0 < k <= smallest])


def dip(result: MixingResult, arrays: Arrays) -> Evidence:
    """Less accurate with some real images than without, each network against itself."""
    column, nets = few_real(result), result.found.nets
    gains = {r.key: _gain(result, r.key, column) for r in base.of_roles(result, base.TRAINED)}
    return _gains(
        result,
        gains,
        column,
        parts=[
            base.paired(f"{name} with +{result.found.added[column]}", gains[key], LESS)
            for key, name in base.shorts(result.runs).items()
            if key in gains
        ],
        tested="paired t test over networks, each compared with itself",
        cannot=(*base.missing(result, base.TRAINED), *base.few(nets)),
    )


def not_alike(result: MixingResult, arrays: Arrays) -> Evidence:
    """Real images help random ones, and a set trained through less than that."""
    column, nets, names = few_real(result), result.found.nets, base.shorts(result.runs)
    runs, k = base.of_roles(result, base.TRAINED), result.found.added[column]
    gains = {r.key: _gain(result, r.key, column) for r in runs}
    sizes = sorted({run.ipc for run in runs}) or _sizes(result)
    random = {ipc: _gain(result, f"random.{ipc}", column) for ipc in sizes}
    parts = [base.paired(f"+{k} for random images", g, GREATER) for g in random.values()]
    parts += [
        base.paired(f"+{k} for {names[r.key]} below that", gains[r.key] - random[r.ipc], LESS)
        for r in runs
    ]
    return _gains(
        result,
        gains | {f"random.{ipc}": gain for ipc, gain in random.items()},
        column,
        parts=parts,
        tested="paired t test over networks with the same starts and the same real images added",
        cannot=(*base.missing(result, base.TRAINED), *base.few(nets)),
    )


def rises(result: MixingResult, arrays: Arrays) -> Evidence:
    """Random real images gain with every step."""
    added, nets = result.found.added, result.found.nets
    parts, marks = [], []
    for ipc in _sizes(result):
        own, note = random_of(result, ipc), f", {ipc} per class" if len(_sizes(result)) > 1 else ""
        for i in range(1, len(added)):
            parts.append(
                base.paired(f"+{added[i - 1]} to +{added[i]}{note}", own[i] - own[i - 1], GREATER)
            )
        marks += [
            base.real_mark(f"+{k}", RANDOM + note, v, RISE.get(k, ())) for k, v in zip(added, own)
        ]
    return Evidence(
        parts=tuple(parts),
        marks=tuple(marks),
        n=base.over(nets),
        tested="paired t test of each step over networks",
        varies=VARIES,
        cannot=base.few(nets),
    )


def meet(result: MixingResult, arrays: Arrays) -> Evidence:
    """With many real images every set is as good as random ones: within a margin."""
    runs, names = base.of_roles(result, base.ALL), base.shorts(result.runs)
    k, nets = result.found.added[-1], result.found.nets
    apart = {r.key: curve(result, r.key)[-1] - random_of(result, r.ipc)[-1] for r in runs}
    enough = k >= LARGE * max([run.ipc for run in runs], default=1)
    short = f"at most {k} real images per class are added here, 250 in the paper"
    parts = [
        base.within(f"{names[r.key]} within {MARGIN:g} points", apart[r.key], MARGIN)
        for r in runs
        if enough
    ]
    return Evidence(
        parts=tuple(parts),
        marks=tuple(base.mark(r, names[r.key], apart[r.key], {}) for r in runs),
        unit=f"points at +{k}",
        n=base.over(nets),
        reference=0.0,
        tested=f"two one-sided paired t tests over networks: to meet is to be less than {MARGIN:g} points "
        "apart (a margin of ours)",
        varies=VARIES,
        cannot=(*(() if enough else (short,)), *base.missing(result, base.ALL), *base.few(nets)),
    )


def _sizes(result: MixingResult) -> list[int]:
    """Images per class of the random real sets."""
    return sorted(
        s.ipc for s in result.found.sources if not s.method and s.key.startswith("random.")
    )


def _gain(result: MixingResult, key: str, column: int) -> np.ndarray:
    own = curve(result, key)
    return own[column] - own[0]


def _gains(
    result: MixingResult,
    gains: dict[str, np.ndarray],
    column: int,
    *,
    parts: list[ClaimPart],
    **details: Any,
) -> Evidence:
    """Evidence whose picture shows what real images bring to each source."""
    names, k = base.shorts(result.runs), result.found.added[column]
    published = DIPS if k == 10 else {}
    runs = {run.key: run for run in result.runs}
    marks = [
        base.mark(runs[key], names[key], values, published)
        if key in runs
        else base.real_mark("random", RANDOM, values)
        for key, values in gains.items()
    ]
    return Evidence(
        parts=tuple(parts),
        marks=tuple(marks),
        unit=f"points by +{k}",
        n=base.over(result.found.nets),
        reference=0.0,
        varies=VARIES,
        **details,
    )


CLAIMS = (
    Claim(
        id="mixing.rises",
        analysis="mixing",
        statement="Networks trained on random real images gain with every real image that is added.",
        published=PublishedFinding("27.3 to 58.3 % from 0 to +250 per class", READ),
        judge=rises,
        setting=SETTING,
    ),
    Claim(
        id="mixing.dip",
        analysis="mixing",
        statement="Adding a few real images makes the sets of BPTT and MTT worse.",
        published=PublishedFinding("+10 per class: BPTT 58.7 to 49.8 %, MTT 53.2 to 45.3 %", READ),
        judge=dip,
        setting=SETTING,
    ),
    Claim(
        id="mixing.not_alike",
        analysis="mixing",
        statement="Added real images help random real images; the sets of BPTT and MTT gain less.",
        published=PublishedFinding("the sets lose 8.9 and 7.9 points, random images gain", READ),
        judge=not_alike,
        setting=SETTING,
    ),
    Claim(
        id="mixing.meet",
        analysis="mixing",
        statement="With many real images added, every set ends where random real images end.",
        published=PublishedFinding("all near 59 % at +250 per class", READ),
        judge=meet,
        setting=SETTING,
    ),
)
