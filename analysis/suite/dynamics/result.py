"""What `dynamics` found."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.results import Found, Result


@dataclass(frozen=True)
class Learning:
    """What the curves of a set, the mean of all networks, say of its `images`.

    `plateau` is the iteration from which on the accuracy rises no more than `tolerance`, None where that
    begins too late; `test_gain` what the accuracy on real test images gains from there to the end. `ceiling`:
    the accuracy comes so near to 100 % that a rise above it could not be seen. `full` is the first test at
    which every network gets every image right. `then` is the accuracy at the iteration `moment`, `last` that
    at the end.
    """

    images: int
    tolerance: float
    plateau: int | None
    test_gain: float | None
    ceiling: bool
    full: int | None
    moment: int
    then: float
    last: float
    lowest_loss_at: int
    last_loss: float


@dataclass(frozen=True)
class DynamicsFound(Found):
    """Of `nets` networks of one kind, by run key and for `TEST`; `soft` are the runs with soft labels."""

    sets: dict[str, Learning]
    nets: int
    network: str
    soft: tuple[str, ...]


DynamicsResult = Result[DynamicsFound]
