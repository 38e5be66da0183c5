"""All claims beside what was measured: a line for each, decided together, and the sentence above them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from analysis import analysis
from analysis.claims import claims
from analysis.claims.base import (
    HOLDS,
    NAMES,
    NOT,
    OPEN,
    Claim,
    Verdict,
    differs,
    p_text,
    role,
    verdicts,
)
from analysis.contract import COMPUTED_OR, AnalysisTask, Arrays, seen
from analysis.results import Result
from analysis.runs import Chosen
from analysis.settings import make_spec, preset_of
from analysis.shared.significance import LEVEL
from ddcore.base.errors import DDError, SpecError
from ddcore.tasks.store import Store, Task

MISSING = "not computed yet"
LEGEND = ", ".join(f"{name.upper()} {words}" for name, words in NAMES.items()) + "."
RULE = (
    f"Tests are corrected together: of all that is shown in this table at most {100 * LEVEL:g} % are "
    "expected to be false discoveries (Benjamini-Hochberg). A finding holds here if each of its parts is "
    "shown, it does not hold if the opposite of one is; otherwise it cannot be told at this size."
)


@dataclass(frozen=True)
class ClaimLine:
    """A claim with its verdict; None where its analysis is not there, or for the reason in `trouble`."""

    claim: Claim
    verdict: Verdict | None = None
    differs: tuple[str, ...] = ()
    key: str = ""
    trouble: str = ""

    @property
    def word(self) -> str:
        """The verdict in words."""
        return self.verdict.word if self.verdict else MISSING

    @property
    def explained(self) -> str:
        """Why the finding is not seen in this very result, where that was measured."""
        if not self.verdict or self.verdict.outcome == HOLDS:
            return ""
        return self.claim.explained.get(self.key, "")


def tasks(store: Store, chosen: Chosen, preset: str) -> dict[str, Task | str]:
    """By analysis the task that a preset describes for these runs, or why there can be none.

    `COMPUTED` is for each analysis the largest preset under which it has been computed. Where the same was
    computed with more networks, that is taken: some presets have only one.
    """
    if preset not in COMPUTED_OR:
        raise SpecError("preset", preset, "one of " + ", ".join(COMPUTED_OR))
    found: dict[str, Task | str] = {}
    for name in dict.fromkeys(claim.analysis for claim in claims().values()):
        try:
            of = analysis(name)
            own = preset_of(of, chosen, store, preset)
            found[name] = largest(store, make_spec(of, chosen, own))
        except SpecError as refused:
            found[name] = str(refused)
    return found


def networks(spec: AnalysisTask) -> str:
    """The field of a spec that says how many networks there are; "" if it has none."""
    return next((name for name in ("nets", "inits") if hasattr(spec, name)), "")


def largest(store: Store, spec: AnalysisTask) -> Task:
    """The finished task that differs from a spec in a larger number of networks only, else its own."""
    name, best = networks(spec), store.task(spec)
    most = getattr(spec, name, 0)
    for task in store.tasks(spec.KIND) if name else ():
        other = stored(task)
        if other is None or getattr(other, name) <= most:
            continue
        if other.replace(**{name: getattr(spec, name)}) == spec:
            best, most = task, getattr(other, name)
    return best


def stored(task: Task) -> AnalysisTask | None:
    """The spec of a finished task; None of one that is not, or that cannot be read."""
    try:
        spec = task.spec() if task.is_done() else None
    except DDError:
        return None
    return spec if isinstance(spec, AnalysisTask) else None


def lines(
    store: Store, found: Mapping[str, Task | str], how: Callable[[str], str] = str
) -> list[ClaimLine]:
    """A line for each claim; those whose analysis is done are decided together.

    What other people wrote passes through `how` (see `analysis.contract.seen`).
    """
    read: dict[str, _Read] = {}
    trouble: dict[str, str] = {}
    for name, task in found.items():
        if isinstance(task, str):
            trouble[name] = how(task)
        elif task.is_done():
            try:
                result = seen(analysis(name).result(task), how)
                spec = task.document()["spec"]
                read[name] = _Read(task.key, result, dict(task.arrays()), spec)
            except DDError as error:  # damaged: the others can still be told
                trouble[name] = how(str(error))
    ready = [claim for claim in claims().values() if claim.analysis in read]
    judged = [c.judge(read[c.analysis].result, read[c.analysis].arrays) for c in ready]
    decided = dict(zip((claim.id for claim in ready), verdicts(judged)))
    made = []
    for claim in claims().values():
        if claim.id not in decided:
            made.append(ClaimLine(claim, trouble=trouble.get(claim.analysis, "")))
            continue
        known = read[claim.analysis]
        apart = tuple(differs(known.result, known.spec, claim.setting))
        made.append(ClaimLine(claim, decided[claim.id], apart, known.key))
    return made


@dataclass(frozen=True)
class _Read:
    """A finished analysis: its key, what it found, and what it was asked."""

    key: str
    result: Result[Any]
    arrays: Arrays
    spec: dict[str, Any]


def summary(of: list[ClaimLine]) -> str:
    """ "5 of 21 findings hold, 2 do not, 11 cannot be told, 3 are not computed yet."."""
    count = dict.fromkeys((HOLDS, NOT, OPEN, ""), 0)
    for line in of:
        count[line.verdict.outcome if line.verdict else ""] += 1
    hold, do, missing = count[HOLDS], count[NOT], count[""]
    text = f"**{hold} of {len(of)}** findings {'holds' if hold == 1 else 'hold'}"
    text += f", **{do}** {'does' if do == 1 else 'do'} not, **{count[OPEN]}** cannot be told"
    if missing:
        text += f", {missing} {'is' if missing == 1 else 'are'} not computed yet"
    return f"{text}."


def unjudged(chosen: Chosen) -> list[str]:
    """Labels of the runs that no claim is about."""
    return [run.label for run in chosen.runs if not role(run)]


def part_text(part: Any) -> str:
    """What a part measured, with its p value."""
    if part.counted or part.p != part.p:
        return f"{part.what}: {part.measured}"
    p = min(part.p, part.against)
    side = "" if part.p <= part.against else ", for the opposite"
    return f"{part.what}: {part.measured}, {p_text(p)}{side}"


def facts(line: ClaimLine) -> dict[str, Any]:
    """A line as plain values, for the command line."""
    verdict = line.verdict
    row = {
        "claim": line.claim.id,
        "analysis": line.claim.analysis,
        "statement": line.claim.statement,
        "published": line.claim.published.text,
        "read": line.claim.published.read,
        "verdict": line.word,
        "ours": verdict.evidence.ours if verdict else "",
        "why": verdict.why if verdict else line.trouble,
        "varies": verdict.evidence.varies if verdict else "",
        "differs": list(line.differs),
        "parts": [f"{part_text(p)}: {outcome}" for p, outcome in verdict.parts] if verdict else [],
        "explained": line.explained,
        "key": line.key,
    }
    return row


def markdown(of: list[ClaimLine]) -> str:
    """The table of docs/results.md."""
    rows = ["| finding | in the paper | here | verdict |", "|---|---|---|---|"]
    for line in of:
        ours = line.verdict.evidence.ours if line.verdict else "–"
        published = line.claim.published.text
        rows.append(f"| {line.claim.statement} | {published} | {ours} | {line.word} |")
    return "\n".join([*rows, "", summary(of)])
