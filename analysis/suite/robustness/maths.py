"""What follows from accuracies under attack. No torch here."""

from __future__ import annotations

from analysis.shared.equal import AtEqual, differences
from analysis.suite.robustness.result import RobustnessResult


def gaps(result: RobustnessResult) -> list[AtEqual]:
    """Points of accuracy under attack that each set has more than others at equal accuracy without one."""
    found = result.found
    robust = {key: 100 * values for key, values in found.robusts.items()}
    return differences(found.sources, found.accuracies, robust)
