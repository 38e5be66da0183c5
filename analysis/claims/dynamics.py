"""When, in training on real data, are the sets recognised (Fig. 5)?"""

from __future__ import annotations

import numpy as np

from analysis.claims import base
from analysis.claims.base import Claim, Evidence, PublishedFinding
from analysis.contract import Arrays
from analysis.runs import Run
from analysis.shared.significance import GREATER
from analysis.suite.dynamics.result import DynamicsResult
from analysis.suite.dynamics.spec import TEST

MOMENT, LAST = 150, 300
AROUND = 15  # iterations on each side over which a level is averaged
MARGIN = 2.0  # points: a smaller rise is none
THEN = {"bptt": (100.0,), "mtt": (100.0,), "dc": (83.0,), "dm": (73.0,)}
FULL = {"bptt": (110.0, 116.0), "mtt": (110.0, 116.0)}
SETTING = {"network": "convnet-128", "batch": 256, "iterations": LAST}
READ = "Fig. 5: read off the saved picture"
VARIES = "The networks: starting weights and the order of images. Each set was made once."


def recognised(arrays: Arrays, key: str) -> np.ndarray:
    """Share of a set's images called right (networks, tests), in per cent."""
    return 100 * arrays[f"accuracy.{key}"].astype(np.float64)


def level(arrays: Arrays, key: str, at: int) -> np.ndarray:
    """Mean around an iteration (networks,): single tests of 100 images are noisy."""
    steps = arrays["steps"]
    end = min(at + AROUND, int(steps[-1]))
    near = np.abs(steps - at) <= AROUND if end == at + AROUND else steps >= end - 2 * AROUND
    if not near.any():
        near = np.abs(steps - at) == np.abs(steps - at).min()
    return recognised(arrays, key)[:, near].mean(1)


def above_test(result: DynamicsResult, arrays: Arrays) -> Evidence:
    """After `MOMENT` iterations each set is recognised more often than test images are."""
    runs, names, cannot = _given(result, arrays, base.ALL, MOMENT)
    if cannot:
        return Evidence(cannot=cannot)
    found = {r.key: level(arrays, r.key, MOMENT) for r in runs}
    test = level(arrays, TEST, MOMENT)
    parts = [base.paired(f"{names[k]} above test", v - test, GREATER) for k, v in found.items()]
    marks = [base.mark(r, names[r.key], found[r.key], THEN) for r in runs]
    marks.append(base.real_mark("test", "Real test images", test, (60.7,)))
    return Evidence(
        parts=tuple(parts),
        marks=tuple(marks),
        n=base.over(result.found.nets),
        tested=f"paired t test over networks at iteration {MOMENT} (mean of {2 * AROUND} iterations)",
        varies=VARIES,
        cannot=(*base.missing(result, base.ALL), *base.few(result.found.nets)),
    )


def full(result: DynamicsResult, arrays: Arrays) -> Evidence:
    """Every network gets every image of the sets trained through right at some moment."""
    runs, names, cannot = _given(result, arrays, base.TRAINED, MOMENT)
    if cannot:
        return Evidence(cannot=cannot)
    steps, parts, marks = arrays["steps"], [], []
    for run in runs:
        right, name = recognised(arrays, run.key) >= 100 - 1e-4, names[run.key]
        reached = np.any(right, axis=1)
        parts.append(base.counted(f"{name} at 100 %", reached))
        if reached.all():
            first = steps[right.argmax(1)]
            marks.append(base.mark(run, name, first, FULL))
    return Evidence(
        parts=tuple(parts),
        marks=tuple(marks),
        unit="iteration",
        digits=0,
        n=base.over(result.found.nets),
        tested="the first test of each network at which all images are right",
        varies=VARIES,
        cannot=(*base.missing(result, base.TRAINED), *base.few(result.found.nets)),
    )


def plateau(result: DynamicsResult, arrays: Arrays) -> Evidence:
    """From `MOMENT` to `LAST` test accuracy rises and recognition does not; not told at the ceiling."""
    runs, names, cannot = _given(result, arrays, base.ALL, LAST)
    if cannot:
        return Evidence(cannot=cannot)
    ceiling = [r for r in runs if level(arrays, r.key, MOMENT).mean() + MARGIN >= 100]
    free = [r for r in runs if r not in ceiling]
    rise = {k: level(arrays, k, LAST) - level(arrays, k, MOMENT) for k in [TEST, *names]}
    parts = [base.paired("test accuracy rises", rise[TEST], GREATER)]
    parts += [
        base.at_most(f"{names[r.key]} by less than {MARGIN:g} points", rise[r.key], MARGIN)
        for r in free
    ]
    high = ", ".join(names[r.key] for r in ceiling)
    at_ceiling = f"at the ceiling of 100 % by iteration {MOMENT}, where nothing can rise: {high}"
    marks = [base.mark(r, names[r.key], rise[r.key], {}) for r in runs]
    marks.append(base.real_mark("test", "Real test images", rise[TEST], (5.8,)))
    missing = base.missing(result, base.ALL)
    if ceiling and not free:
        missing = (at_ceiling, *missing)
    return Evidence(
        parts=tuple(parts),
        marks=tuple(marks),
        unit=f"points since {MOMENT}",
        n=base.over(result.found.nets),
        reference=0.0,
        tested=f"paired t tests over networks, from iteration {MOMENT} to {LAST} (means of {2 * AROUND} "
        f"iterations); a rise below {MARGIN:g} points is none (a margin of ours)"
        + (f". {at_ceiling[0].upper()}{at_ceiling[1:]}" if ceiling and free else ""),
        varies=VARIES,
        cannot=(*missing, *base.few(result.found.nets)),
    )


def never_full(result: DynamicsResult, arrays: Arrays) -> Evidence:
    """No network ever gets every image of the matched sets right."""
    runs, names, cannot = _given(result, arrays, base.MATCHED, LAST)
    if cannot:
        return Evidence(cannot=cannot)
    parts, marks = [], []
    for run in runs:
        own, name = recognised(arrays, run.key), names[run.key]
        parts.append(base.counted(f"{name} always below 100 %", own.max(1) < 100 - 1e-4))
        marks.append(base.mark(run, name, level(arrays, run.key, LAST), THEN))
    return Evidence(
        parts=tuple(parts),
        marks=tuple(marks),
        unit=f"% at {LAST}",
        n=base.over(result.found.nets),
        reference=100.0,
        tested=f"the highest test of each network up to iteration {LAST}",
        varies=VARIES,
        cannot=(*base.missing(result, base.MATCHED), *base.few(result.found.nets)),
    )


def _given(
    result: DynamicsResult, arrays: Arrays, roles: tuple[str, ...], last: int
) -> tuple[list[Run], dict[str, str], tuple[str, ...]]:
    """The runs of these families with short names; why nothing can be said."""
    runs, names = base.of_roles(result, roles), base.shorts(result.runs)
    needed = ["steps", *(f"accuracy.{key}" for key in [TEST, *(r.key for r in runs)])]
    cannot = base.absent(arrays, needed)
    if not cannot and int(arrays["steps"][-1]) < last:
        cannot = (f"training ends at iteration {int(arrays['steps'][-1])} here, before {last}",)
    if not cannot and not runs:
        cannot = base.missing(result, roles)
    return runs, {r.key: names[r.key] for r in runs}, cannot


CLAIMS = (
    Claim(
        id="dynamics.above_test",
        analysis="dynamics",
        statement=f"By iteration {MOMENT} on real data every set is recognised better than test images.",
        published=PublishedFinding("BPTT and MTT 100 %, GM 83, DM 73; test images 60.7 %", READ),
        judge=above_test,
        setting=SETTING,
    ),
    Claim(
        id="dynamics.full",
        analysis="dynamics",
        statement="The sets of BPTT and MTT come to be recognised fully.",
        published=PublishedFinding("100 % from iterations 110 to 116", READ),
        judge=full,
        setting=SETTING,
    ),
    Claim(
        id="dynamics.never_full",
        analysis="dynamics",
        statement="The sets of DM and GM are never recognised fully.",
        published=PublishedFinding("DM stays near 73 %, GM near 83 %", READ),
        judge=never_full,
        setting=SETTING,
    ),
    Claim(
        id="dynamics.plateau",
        analysis="dynamics",
        statement=f"After iteration {MOMENT} recognition of the sets rises no more; test accuracy does.",
        published=PublishedFinding("sets flat; test 60.7 to 66.5 %", READ),
        judge=plateau,
        setting=SETTING,
    ),
)
