"""What follows from predictions and from what a cue points at. No torch here."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from analysis.shared.equal import AtEqual, differences
from analysis.suite.bias.result import BiasFound, BiasResult


class ByAgreement(NamedTuple):
    """Accuracies (nets,) on images whose cue points at their class, and on all others."""

    agreeing: np.ndarray
    contradicting: np.ndarray


def by_agreement(predicted: np.ndarray, labels: np.ndarray, cues: np.ndarray) -> ByAgreement:
    """Of predictions (nets, B) for images with these labels (B,) and classes that the cue points at (B,)."""
    right, agree = predicted == labels, cues == labels
    return ByAgreement(right[:, agree].mean(1), right[:, ~agree].mean(1))


def as_in_training(found: BiasFound) -> dict[str, np.ndarray]:
    """Accuracy (looks, nets) by key, were the cue right as often as in training.

    This is what somebody measures who does not know of the cue, and holds out images of the same kind.
    """
    share = found.correlation
    return {
        key: share * values + (1 - share) * found.contradictings[key]
        for key, values in found.agreeings.items()
    }


def reliance(found: BiasFound) -> dict[str, np.ndarray]:
    """Points of accuracy (looks, nets) by key that are lost where the cue points at another class."""
    return {
        key: 100 * (values - found.contradictings[key]) for key, values in found.agreeings.items()
    }


def gaps(result: BiasResult) -> list[AtEqual]:
    """Points that networks of each set lose more than others, at equal accuracy as coloured in training."""
    found = result.found
    return differences(found.sources, as_in_training(found), reliance(found))
