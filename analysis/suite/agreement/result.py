"""What `agreement` found."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.results import Found, Result
from analysis.suite.agreement.spec import EARLY, SUBSET


@dataclass(frozen=True)
class Matched:
    """Pairs of a network trained on a set and one of a pool with the same accuracy; means over them.

    `networks` of the pool are in `pairs`. What cannot be known, as without pairs, is None. `kappa` and
    `shared` are those of `MEASURES`.
    """

    pairs: int
    networks: int
    accuracy: float | None
    other_accuracy: float | None
    agreement: float | None
    kappa: float | None
    shared: float | None


@dataclass(frozen=True)
class AgreementLead:
    """How much more a set's networks agree with early-stopped ones: mean, cautious standard error, degrees of
    freedom and p. All but the mean are None where one of the three kinds of network is a single one."""

    mean: float
    error: float | None = None
    df: float | None = None
    p: float | None = None


@dataclass(frozen=True)
class Alike:
    """Of one set: accuracy of each network trained on it, and its pairs with either pool.

    `lead` is None without pairs of both pools. `sides`: by pool, how many test images there are on which the
    networks side with its majority and not the other's; empty if a pool has nobody.
    """

    accuracy: list[float]
    early: Matched
    subset: Matched
    lead: AgreementLead | None
    sides: dict[str, int]

    def matched(self, pool: str) -> Matched:
        """The pairs with a pool, as named in `POOLS`."""
        return {EARLY: self.early, SUBSET: self.subset}[pool]


@dataclass(frozen=True)
class AgreementFound(Found):
    """By run key. `gap` is the difference of accuracy up to which networks are a pair.

    `networks` is how many there are of each pool, `pools` the keys of these, `stored_bytes` their answers.
    """

    sets: dict[str, Alike]
    gap: float
    test_images: int
    stored_bytes: int
    pools: tuple[str, ...]
    networks: dict[str, int]
    network: str


AgreementResult = Result[AgreementFound]
