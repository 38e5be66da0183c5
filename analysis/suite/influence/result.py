"""What `influence` found."""

from __future__ import annotations

from dataclasses import dataclass, field

from analysis.results import LEFT_OUT, Found, Result


@dataclass(frozen=True)
class Correlation:
    """Of an estimate with the exact influence over all pairs of images, and that of the ranks."""

    pearson: float
    spearman: float


@dataclass(frozen=True)
class EstimatorScore(Correlation):
    """Of means over initialisations, `single` of each; `beyond` of ranks beyond class mates."""

    single: tuple[Correlation, ...]
    beyond: float


@dataclass(frozen=True)
class EstimatorScores:
    """The gradient dot product, the inverse Hessian, and how its equations were solved.

    The largest relative `residual` and number of `steps`, and how many were `given_up`.
    """

    dot: EstimatorScore
    cg: EstimatorScore
    residual: float
    steps: int
    given_up: int

    def named(self, name: str) -> EstimatorScore:
        """One of both, "dot" or "cg"."""
        return {"dot": self.dot, "cg": self.cg}[name]


@dataclass(frozen=True)
class Effects:
    """Of a set: classes of its images, `tests` to choose from, accuracies with all images and, mean, without
    one (a value for each initialisation).

    By effect, as in `EFFECTS`: `agreement` is the rank correlation of two initialisations, None of one;
    `same_class` the share of its own class among the test images that an image helps most.
    """

    labels: list[int]
    tests: list[int]
    agreement: dict[str, float | None]
    same_class: dict[str, float]
    accuracy: list[float]
    without: list[float]
    estimates: EstimatorScores | None = field(default=None, metadata=LEFT_OUT)


@dataclass(frozen=True)
class InfluenceFound(Found):
    """By run key. `test_classes` are the classes of the test images that are shown, by their number as text.

    There are `tests` test images. `weights` names those that estimates take derivatives of (see
    `ESTIMATES`). `pools` are the keys of the retrained networks, in the order of the runs, `soft` the runs
    with soft labels.
    """

    sets: dict[str, Effects]
    test_classes: dict[str, int]
    tests: int
    network: str
    inits: int
    iterations: int
    weights: str
    damping: float
    pools: tuple[str, ...]
    soft: tuple[str, ...]


InfluenceResult = Result[InfluenceFound]
