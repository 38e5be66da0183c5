"""The best test accuracy on the way, which stands beside the accuracy at the end and never in its place."""

from __future__ import annotations

from typing import Any

from ddcore.base.spread import summary
from ddcore.data.tensors import Part
from ddcore.training.trained import TrainedNets


class BestOnTest:
    """The best test accuracy of each network on its way: chosen on the images it is measured on.

    Looks every so many epochs, and at the end; 0: never.
    """

    def __init__(self, every: int, epochs: int, test: Part) -> None:
        self.every, self.epochs, self.test = every, epochs, test
        self._groups: list[list[float]] = []  # networks that are trained together

    def look(self, epoch: int, nets: TrainedNets) -> None:
        """Called after every epoch of every group; 0: untrained."""
        if epoch == 0:
            self._groups.append([0.0] * nets.network.num_nets)
        elif self.every and (epoch % self.every == 0 or epoch == self.epochs):
            now = nets.accuracy(self.test)
            self._groups[-1] = list(map(max, self._groups[-1], now))

    def best(self) -> list[float] | None:
        """Of each network; None where nobody looked."""
        if not self.every:
            return None
        return [value for group in self._groups for value in group]


def best_facts(looked: list[float], last: list[float], every: int) -> dict[str, Any]:
    """The best on test of each network; nothing where nobody looked."""
    if not looked:
        return {}
    best = list(map(max, looked, last))
    return {"best_on_test": {**summary(best), "accuracies": best, "every": every}}
