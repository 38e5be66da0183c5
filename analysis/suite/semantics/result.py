"""What `semantics` found."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.results import Found, Result
from analysis.shared.effects import CENTRED, RAW


@dataclass(frozen=True)
class Example:
    """A clear discovery: numbers of the image and the attribute, its lift and p, influence on test images."""

    image: int
    attribute: int
    lift: float
    p: float
    values: list[float]


@dataclass(frozen=True)
class Discoveries:
    """Share of images with a discovery, pairs of image and attribute, and the share by chance."""

    share: float
    pairs: int
    control: float
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class Meaning:
    """Of a set: classes of its images, and what is found in each of `VIEWS`."""

    labels: list[int]
    raw: Discoveries
    centred: Discoveries

    def view(self, name: str) -> Discoveries:
        """That of a view, as named in `VIEWS`."""
        return {RAW: self.raw, CENTRED: self.centred}[name]


@dataclass(frozen=True)
class SemanticsFound(Found):
    """By run key. `attributes` are names, the last `own_table` from the user's table.

    Of `tests` test images the `top` of each class are looked at; `pools` are the keys of the retrained
    networks, in the order of the runs.
    """

    sets: dict[str, Meaning]
    attributes: tuple[str, ...]
    own_table: int
    tests: int
    top: list[int]
    fdr: float
    controls: int
    inits: int
    network: str
    pools: tuple[str, ...]


SemanticsResult = Result[SemanticsFound]
