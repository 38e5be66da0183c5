"""Two measures of DD-Ranking (Li et al. 2025, arXiv 2505.13300): is it the images, or their treatment?

An accuracy also depends on labels, augmentation and step sizes, which help random images as well. So a
set is compared with random images treated alike, and with all real data where labels are hard.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ddcore import spread

DEFINITIONS = {
    "improvement over random": "IOR = accuracy of the set − accuracy of as many random real images, both "
    "used in the same way. Larger is better; 0 means that distilling was for nothing.",
    "hard-label gap": "HLR = accuracy of all training images − accuracy of the set with hard labels. "
    "Smaller is better; 0 means that the set replaces all training images, without the help of labels "
    "that know more than the class.",
}


@dataclass(frozen=True)
class Difference:
    """A difference of two mean accuracies, as a share. `std` takes the networks as independent.

    None where one of the two is a single figure.
    """

    mean: float
    std: float | None


def difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> Difference:
    """The first figure minus the second; figures have `mean` and `std` over networks."""
    stds = spread.of(one), spread.of(other)
    return Difference(one["mean"] - other["mean"], None if None in stds else math.hypot(*stds))


def improvement_over_random(rows: Mapping[str, Mapping[str, Any]]) -> Difference | None:
    """IOR from an evaluation's rows by subject; None where one of the two is missing."""
    if not {"distilled", "random"} <= set(rows):
        return None
    return difference(rows["distilled"], rows["random"])


def hard_label_gap(
    whole: Mapping[str, Any] | None, hard: Mapping[str, Any] | None
) -> Difference | None:
    """HLR from the figures of all training images and of the set with hard labels."""
    return difference(whole, hard) if whole and hard else None
