"""The measures of DD-Ranking (Li et al. 2025, arXiv 2505.13300): is it the images, or their treatment?

An accuracy also depends on labels, augmentation and step sizes, which help random images as well. So a
set is compared with random images treated alike, their labels included where these can be made anew, and
with all real data where labels are hard. No torch here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ddcore.base import spread
from ddcore.base.errors import SpecError
from ddcore.measure.spec import LABELLED

if TYPE_CHECKING:
    from ddcore.sets.distilled import DistilledSet
    from ddcore.training.protocols import Protocol

DEFINITIONS = {
    "improvement over random": "IOR = accuracy of the set − accuracy of as many random real images, both "
    "used in the same way and, where a teacher made the set's labels, with labels by the same teacher. "
    "Larger is better; 0 means that distilling was for nothing.",
    "hard-label gap": "HLR = accuracy of all training images − accuracy of the set with hard labels. "
    "Smaller is better; 0 means that the set replaces all training images, without the help of labels "
    "that know more than the class.",
    "label robust score": "LRS = (e^α − e⁻¹) / (e − e⁻¹) with α = ½ IOR − ½ HLR, both as shares. Larger is "
    "better, but 1 is out of reach: a set that is no better than random images and has no gap has 0.27, one "
    "that is right everywhere beside random images that never are 0.54.",
    "augmentation robust score": "ARS = (e^β − e⁻¹) / (e − e⁻¹), where β is the mean of two improvements "
    "over random: with the protocol's augmentation, and without any. Larger is better; 0.27 means that "
    "distilling was for nothing.",
}
DOUBT = (
    "A single score hides its parts: a gap is made up for by a gain that labels or a weak baseline may have "
    "given, half of each counts whatever they are worth, and each is as uncertain as its ±. Compare scores "
    "of sets of one size under one protocol only."
)
WEIGHT = 0.5  # of the first part of a score, as published
LABELS_DIFFER = (
    "The set has labels of its own, the random images have those of their classes: what the labels gain is "
    "included."
)


@dataclass(frozen=True)
class Difference:
    """A difference of two mean accuracies, as a share. `std` takes the networks as independent.

    None where one of the two is a single figure.
    """

    mean: float
    std: float | None

    def points(self) -> str:
        """ "+17.8 ± 2.8 points"."""
        std = None if self.std is None else 100 * self.std
        return f"{spread.plus_minus(f'{100 * self.mean:+.1f}', std)} points"


@dataclass(frozen=True)
class Improvement:
    """IOR, and what is to be said about the labels of the random images ("" if they are as the set's).

    `over_classes` is the difference to random images with class labels where `over_random` is not.
    """

    over_random: Difference
    over_classes: Difference | None = None
    note: str = ""


def difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> Difference:
    """The first figure minus the second; figures have `mean` and `std` over networks."""
    ours, theirs = spread.of(one), spread.of(other)
    both = None if ours is None or theirs is None else math.hypot(ours, theirs)
    return Difference(one["mean"] - other["mean"], both)


def with_own_labels(made: DistilledSet, protocol: Protocol) -> bool:
    """Whether a set is used with labels that say more than the class under a protocol."""
    return made.soft and made.for_training(protocol)[1].ndim == 2


def improvement_over_random(
    rows: Mapping[str, Mapping[str, Any]], own_labels: bool
) -> Improvement | None:
    """IOR from an evaluation's rows by subject; None where one is missing. `own_labels`: of the set."""
    if not {"distilled", "random"} <= set(rows):
        return None
    over_classes = difference(rows["distilled"], rows["random"])
    if not own_labels:
        return Improvement(over_classes)
    if LABELLED not in rows:
        return Improvement(over_classes, note=LABELS_DIFFER)
    note = (
        f"The random images have labels by the same teacher. With class labels instead it would be "
        f"{over_classes.points()}: the rest is what the labels gain."
    )
    return Improvement(difference(rows["distilled"], rows[LABELLED]), over_classes, note)


def hard_label_gap(
    whole: Mapping[str, Any] | None, hard: Mapping[str, Any] | None
) -> Difference | None:
    """HLR from the figures of all training images and of the set with hard labels."""
    return difference(whole, hard) if whole and hard else None


def label_robust_score(gap: float, over_random: float, weight: float = WEIGHT) -> float:
    """LRS from HLR and IOR as shares: α = w IOR − (1 − w) HLR, from -1..1 onto 0..1.

    `SpecError` for a weight beyond 0..1, or figures that are no differences of shares (per cent, say).
    """
    return _score(_share("over_random", over_random), -_share("gap", gap), weight)


def augmentation_robust_score(with_it: float, without: float, weight: float = WEIGHT) -> float:
    """ARS from improvements over random with augmentation and without, as shares; errors as for LRS."""
    return _score(_share("with_it", with_it), _share("without", without), weight)


def _score(first: float, second: float, weight: float) -> float:
    if not 0 <= weight <= 1:
        raise SpecError("weight", weight, "a number from 0 to 1")
    exponent = weight * first + (1 - weight) * second
    return (math.exp(exponent) - math.exp(-1)) / (math.e - math.exp(-1))


def _share(field: str, value: float) -> float:
    if not -1 <= value <= 1:
        raise SpecError(field, value, "a difference of shares, from -1 to 1")
    return value
