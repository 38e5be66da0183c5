"""A finding of a paper as a claim, what was measured on it here, and a verdict that a test stands behind.

A claim's file knows one analysis. It turns a finished result into `Evidence`: parts that all have to be so,
each with a p value for and one against, or counted. Whether a part is shown is decided by `verdicts` over
all parts of a table at once, so that many claims do not make one of them true by chance.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from analysis.contract import Arrays
from analysis.results import Result
from analysis.runs import Run
from analysis.shared import significance
from analysis.shared.significance import GREATER, LESS
from ddcore.base.spread import deviation, plus_minus

HOLDS, NOT, OPEN = "holds", "not", "open"
WORDS = {HOLDS: "holds", NOT: "does not hold", OPEN: "cannot be told"}
# The paper's four families and which methods here are one of them.
ROLES = {"bptt": ("bptt",), "dm": ("dm",), "gm": ("dc", "dsa"), "mtt": ("mtt",)}
TRAINED, MATCHED, ALL = ("bptt", "mtt"), ("dm", "gm"), tuple(ROLES)
NAMES = {
    "bptt": "backpropagation through time",
    "dm": "distribution matching",
    "gm": "gradient matching",
    "mtt": "trajectory matching",
}
PUBLISHED_DATA, PUBLISHED_LABEL, PUBLISHED_IPC = "cifar10", "CIFAR-10", 10
ONE_NETWORK = "one network has no spread, so nothing is claimed from it"
SHORT = {"dc": "GM"}  # as the paper writes it; other methods are their names in capitals
SHOWN = {1: "Shown", 2: "Both parts are shown"}  # by how many there are
SETTINGS = {  # words for fields of a spec whose value alone would say nothing
    "batch": "batches of {}",
    "early": "{} early-stopped networks",
    "early_batch": "batches of {}",
    "iterations": "{} iterations",
    "real_images": "{} real images",
}


@dataclass(frozen=True)
class PublishedFinding:
    """What the paper reports, in few words, and where that was read."""

    text: str
    read: str


@dataclass(frozen=True)
class ClaimPart:
    """Something that has to be so for a claim to hold, with the difference that was measured.

    `p` is of the claimed direction, `against` of the opposite one; both NaN where nothing can be tested.
    What was counted rather than tested has its outcome in `counted` instead.
    """

    what: str
    measured: str
    p: float = np.nan
    against: float = np.nan
    counted: str = ""


@dataclass(frozen=True)
class Mark:
    """A line of the small picture: our mean and spread, and what was published for it."""

    label: str
    method: str  # for its colour; "" for real images
    ours: float
    spread: float | None = None
    published: tuple[float, ...] = ()
    full: str = ""  # the set's whole label

    def text(self, digits: int = 1) -> str:
        """ "84.6 ± 1.2"."""
        mean = f"{round(self.ours, digits) + 0.0:.{digits}f}"
        return mean if self.spread is None else f"{mean} ± {self.spread:.{digits}f}"


@dataclass(frozen=True)
class Evidence:
    """What a result says about a claim.

    Marks are our figures in `unit`, `n` says over how many, `reference` is drawn as a line. `tested` is how
    parts were tested, `varies` what that is over. With a reason in `cannot` the claim may be refuted but not
    confirmed; if it is `ONE_NETWORK`, neither.
    """

    parts: tuple[ClaimPart, ...] = ()
    marks: tuple[Mark, ...] = ()
    unit: str = "%"
    digits: int = 1
    n: str = ""
    reference: float | None = None
    tested: str = ""
    varies: str = ""
    cannot: tuple[str, ...] = ()

    @property
    def ours(self) -> str:
        """Our figures in a line."""
        words = ", ".join(f"{m.label} {m.text(self.digits)}" for m in self.marks)
        return "; ".join(filter(None, (f"{words} {self.unit}" if words else "", self.n)))


@dataclass(frozen=True)
class Claim:
    """A finding, what was published for it, and how a result of an analysis is judged.

    `setting` are the fields of the analysis's spec as published. `explained` says why the finding is not
    seen in a result, by that result's key: measured reasons only.
    """

    id: str
    analysis: str
    statement: str
    published: PublishedFinding
    judge: Callable[[Result[Any], Arrays], Evidence]
    setting: Mapping[str, Any] = field(default_factory=dict)
    explained: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """An outcome with what it rests on. `parts` are pairs of a part and its own outcome."""

    outcome: str
    why: str
    evidence: Evidence
    parts: tuple[tuple[ClaimPart, str], ...] = ()

    @property
    def word(self) -> str:
        """ "holds", "does not hold" or "cannot be told"."""
        return WORDS[self.outcome]


# --- deciding -------------------------------------------------------------------------------------


def verdicts(judged: Sequence[Evidence]) -> list[Verdict]:
    """Benjamini-Hochberg over both directions of every part of all claims, then an outcome for each.

    Correcting both one-sided p values together is the correction of the two-sided ones. A claim holds if
    each of its parts is shown, and does not hold if the opposite of one of them is.
    """
    each = [(part.p, part.against) for evidence in judged for part in evidence.parts]
    found = iter(significance.discoveries(np.array(each).reshape(-1, 2)).tolist())
    return [
        _verdict(evidence, [_outcome(part, *next(found)) for part in evidence.parts])
        for evidence in judged
    ]


def _outcome(part: ClaimPart, shown: bool, opposite: bool) -> str:
    return part.counted or (HOLDS if shown else NOT if opposite else OPEN)


def _verdict(evidence: Evidence, outcomes: list[str]) -> Verdict:
    if ONE_NETWORK in evidence.cannot:
        outcome = OPEN
    elif NOT in outcomes:
        outcome = NOT
    elif outcomes and not evidence.cannot and set(outcomes) == {HOLDS}:
        outcome = HOLDS
    else:
        outcome = OPEN
    parts = tuple(zip(evidence.parts, outcomes))
    return Verdict(outcome, _why(outcome, evidence, parts), evidence, parts)


def _why(outcome: str, evidence: Evidence, parts: Sequence[tuple[ClaimPart, str]]) -> str:
    """What decided, in sentences."""
    if outcome == OPEN:
        open_ = [part for part, own in parts if own == OPEN]
        alike = [p for p in open_ if not p.counted and np.isnan(p.p)]
        reasons = list(evidence.cannot)
        if alike and not reasons:
            reasons.append(f"nothing varies that could be tested for {_listed(alike)}")
        if rest := [part for part in open_ if part not in alike]:
            reasons.append(f"not shown for {_listed(rest)}")
        return _sentence("; ".join(reasons), evidence)
    decisive = [part for part, own in parts if own == outcome]
    if all(part.counted for part in decisive):
        first = "Counted, so there is nothing to test"
        return _sentence(first if outcome == HOLDS else f"{first}: {_listed(decisive)}", evidence)
    if outcome == NOT:
        return _sentence(f"The opposite is shown for {_listed(decisive)}", evidence)
    return _sentence(SHOWN.get(len(parts), f"All {len(parts)} parts are shown"), evidence)


def _sentence(text: str, evidence: Evidence) -> str:
    tested = f" {_capital(evidence.tested)}." if evidence.tested and evidence.parts else ""
    return f"{_capital(text)}.{tested}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _listed(parts: Sequence[ClaimPart], most: int = 3) -> str:
    named = [part.what for part in parts[:most]]
    rest = len(parts) - most
    return ", ".join(named) + (f" and {rest} more" if rest > 0 else "")


# --- parts ----------------------------------------------------------------------------------------


def tested(what: str, measured: str, test: significance.Test) -> ClaimPart:
    """A part whose claimed direction was tested."""
    p = float(test.p)
    return ClaimPart(what, measured, p, 1 - p)


def paired(what: str, differences: np.ndarray, direction: str, unit: str = "points") -> ClaimPart:
    """Student's test of differences (n,) of pairs; `direction` is the claimed one."""
    test = significance.paired(differences, direction)
    return tested(what, change(differences, unit), test)


def within(what: str, differences: np.ndarray, margin: float, unit: str = "points") -> ClaimPart:
    """Equivalence by two one-sided tests: the mean of differences (n,) is nearer to 0 than the margin."""
    differences = np.asarray(differences, np.float64)
    below = float(significance.paired(differences - margin, LESS).p)
    above = float(significance.paired(differences + margin, GREATER).p)
    outside = min(1.0, 2 * min(1 - below, 1 - above))  # either side, so twice
    return ClaimPart(what, change(differences, unit), max(below, above), outside)


def at_most(what: str, rises: np.ndarray, margin: float, unit: str = "points") -> ClaimPart:
    """The mean of rises (n,) is smaller than the margin."""
    test = significance.paired(np.asarray(rises, np.float64) - margin, LESS)
    return tested(what, change(rises, unit), test)


def counted(what: str, so: Sequence[bool] | np.ndarray, of: str = "networks") -> ClaimPart:
    """Something that is so or not in each of several networks: it is only said where they all agree.

    One network decides nothing.
    """
    so = [bool(each) for each in so]
    outcome = HOLDS if all(so) else NOT if not any(so) else OPEN
    measured = f"in {sum(so)} of {len(so)} {of}"
    return ClaimPart(what, measured, counted=outcome if len(so) > 1 else OPEN)


def signs(what: str, differences: np.ndarray, of: str) -> ClaimPart:
    """Exact sign test of differences (n,): more of them above 0 than below. Those of 0 do not count."""
    from scipy.stats import binom

    above, n = int((differences > 0).sum()), int((differences != 0).sum())
    measured = f"{above} of {n} {of}"
    if n < 2:
        return ClaimPart(what, measured)
    return ClaimPart(
        what, measured, float(binom.sf(above - 1, n, 0.5)), float(binom.cdf(above, n, 0.5))
    )


# --- runs -----------------------------------------------------------------------------------------


def role(run: Run) -> str:
    """The family of a run; "" if it is none of the paper's."""
    return next((name for name, methods in ROLES.items() if run.method in methods), "")


def of_roles(result: Result[Any], roles: Sequence[str]) -> list[Run]:
    """The runs of these families, in the order of figures."""
    return [run for run in result.runs if role(run) in roles]


def missing(result: Result[Any], roles: Sequence[str]) -> tuple[str, ...]:
    """The reason why a claim about these families cannot be confirmed, () if all are there."""
    there = {role(run) for run in result.runs}
    lacking = [NAMES[name] for name in roles if name not in there]
    return (f"no set of {' and none of '.join(lacking)} is among the runs",) if lacking else ()


def absent(arrays: Arrays, names: Sequence[str]) -> tuple[str, ...]:
    """The reason why nothing can be said without these arrays, () if all are there."""
    lacking = sum(name not in arrays for name in names)
    return (f"{lacking} of {len(names)} arrays of the result are missing",) if lacking else ()


def few(n: int) -> tuple[str, ...]:
    """The reason why nothing is claimed from one network, () for more."""
    return (ONE_NETWORK,) if n < 2 else ()


def shorts(runs: Sequence[Run]) -> dict[str, str]:
    """A short name for each run by key: BPTT, DM, DM 2."""
    found: dict[str, str] = {}
    seen: dict[str, int] = {}
    for run in runs:
        name = SHORT.get(run.method) or run.method.upper() or "file"
        seen[name] = seen.get(name, 0) + 1
        found[run.key] = f"{name} {seen[name]}" if seen[name] > 1 else name
    return found


PREPROCESSED = {
    "zca": "whitened images",
    "scale": "pixels scaled from -1 to 1",
    "imagenet": "images normalised as torchvision does",
}


def differs(result: Result[Any], spec: Mapping[str, Any], setting: Mapping[str, Any]) -> list[str]:
    """In what a result is not what was published: data, size of the sets, settings of the analysis."""
    data, sizes = result.data, sorted({run.ipc for run in result.runs})
    found = []
    if data.name != PUBLISHED_DATA or result.data_label != PUBLISHED_LABEL:
        found.append(f"{result.data_label} instead of {PUBLISHED_LABEL}")
    if data.resolution or data.grey:
        found.append("images of another size or colour")
    if data.preprocess != "normalise":
        found.append(PREPROCESSED[data.preprocess])
    if sizes != [PUBLISHED_IPC]:
        found.append(f"{', '.join(map(str, sizes))} per class instead of {PUBLISHED_IPC}")
    for name, value in setting.items():
        if name in spec and _said(spec[name]) != _said(value):
            words = SETTINGS.get(name, "{}")
            found.append(f"{words.format(_said(spec[name]))} instead of {_said(value)}")
    return found


def _said(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


# --- figures in words -----------------------------------------------------------------------------


def change(values: np.ndarray | Sequence[float], unit: str = "points") -> str:
    """ "+1.2 ± 0.3 points" of some differences, "+1.2 points" of one."""
    mean = f"{round(float(np.mean(values)), 1) + 0.0:+.1f}"
    return f"{plus_minus(mean, deviation(values))} {unit}".rstrip()


def p_text(p: float) -> str:
    """ "p = 0.03", "p < 0.001"."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def mark(
    run: Run,
    label: str,
    values: np.ndarray | Sequence[float],
    published: Mapping[str, tuple[float, ...]],
) -> Mark:
    """The line of a run: mean and spread of some values; what was published goes by its method."""
    found = real_mark(label, run.label, values, tuple(published.get(run.method, ())))
    return dataclasses.replace(found, method=run.method)


def real_mark(
    label: str, full: str, values: np.ndarray | Sequence[float], published: tuple[float, ...] = ()
) -> Mark:
    """The line of real images."""
    values = np.atleast_1d(np.asarray(values, np.float64))
    return Mark(label, "", float(values.mean()), deviation(values), published, full)


def over(n: int, what: str = "networks") -> str:
    """ "n = 3 networks"."""
    return f"n = {n} {what if n != 1 else what.removesuffix('s')}"
