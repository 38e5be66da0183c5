"""What `leakage` found."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.results import Result
from analysis.shared.sources import FoundOfSources, SourceFacts


@dataclass(frozen=True)
class AttackFacts:
    """An area and the share of members caught at each rate: value and both ends of its 95 % interval.

    None in place of a share where there are too few others for the rate.
    """

    auc: list[float]
    caught: list[list[float] | None]


@dataclass(frozen=True)
class LeakFacts:
    """What one channel (`kind`) of a source gives away, by attack.

    So many networks were attacked, over which `members` and `others` are counted.
    """

    key: str
    kind: str
    targets: int
    members: int
    others: int
    attacks: dict[str, AttackFacts]


@dataclass(frozen=True)
class MemorisedFacts:
    """False labels that a source's labels give away: by teacher, and of all together by how much chance."""

    key: str
    shares: list[float]
    hits: int
    trials: int
    p: float


@dataclass(frozen=True)
class LeakageFound(FoundOfSources):
    """`leaks` by source and kind, `memorised` by source; `rates` are those of false positives.

    `half` images taught each of `shadows` teachers, `planted` of them with a false label, of which the
    teachers themselves give a share `fitted` as their answer; `teacher` is their accuracy on the other half.
    """

    sources: tuple[SourceFacts, ...]
    leaks: tuple[LeakFacts, ...]
    memorised: tuple[MemorisedFacts, ...]
    rates: tuple[float, ...]
    shadows: int
    half: int
    planted: int
    fitted: float
    teacher: float
    nets: int
    network: str
    iterations: int
    temperature: float

    def leak(self, key: str, kind: str) -> LeakFacts | None:
        """What this channel of this source gives away, if it was measured."""
        return next((x for x in self.leaks if (x.key, x.kind) == (key, kind)), None)


LeakageResult = Result[LeakageFound]
