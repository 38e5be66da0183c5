"""What `pixels` found."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.results import Found, Result


@dataclass(frozen=True)
class Extremes:
    """Exact facts about pixel values where real ones are 0..1; `below`, `above` and `outside` are shares."""

    min: float
    max: float
    below: float
    above: float
    outside: float
    mean: float
    std: float


@dataclass(frozen=True)
class PixelsFound(Found):
    """By run key, and for `REAL`: all channels together, then, of several, each of them.

    `eight_bit` are the runs whose pixels were rounded to 8 bits, so that nothing outside 0..1 is left.
    """

    channels: int
    sets: dict[str, list[Extremes]]
    eight_bit: tuple[str, ...] = ()


PixelsResult = Result[PixelsFound]
