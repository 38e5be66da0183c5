"""What `influence` is asked: its spec, presets, pools and cost. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from analysis.contract import AnalysisTask, Cost
from analysis.runs import Chosen
from analysis.shared.loo_spec import PRECISIONS, check_network
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import network
from ddcore.pools.real_spec import Counts

TOP = 9  # test images beside a distilled one, as in the paper
OFFERED = 3  # test images of each class to choose from
SHOWN = 10  # images of a class that are shown
POINTS = 2000  # of the scatter of estimates
ESTIMATES = {"last": "the last layer", "all": "all weights", "none": "nothing"}
TYPICAL_STEPS = 60  # of conjugate gradients


@dataclass(frozen=True, kw_only=True)
class InfluenceTask(AnalysisTask):
    """Each image of each set left out in turn, from `inits` initialisations that all sets share.

    `network` is an architecture without batch norm and its width, such as convnet-16, trained for
    `iterations` full-batch steps at step size `lr` with momentum 0.9, in single or double `precision`.
    Beside the exact influence two cheap estimates are computed, from derivatives with respect to the weights
    that `estimate` names: last (the last layer), all, or none. `damping` is added to the Hessian's
    eigenvalues for one of them; with all weights some are negative, which it must outweigh: about .1.
    """

    KIND: ClassVar[str] = "influence"
    RUNNER: ClassVar[str] = "analysis.suite.influence.compute:run"

    network: str = "convnet-16"
    inits: int = 3
    iterations: int = 300
    lr: float = 0.01
    precision: str = "single"
    estimate: str = "last"
    damping: float = 0.001

    def validate(self) -> None:
        """Check ranges and the network's name."""
        super().validate()
        check_network(self, self.network)
        self.require_range("inits", 1, 100)
        self.require_range("iterations", 1, 100_000)
        self.require_range("lr", 1e-8, 1e3)
        self.require_choice("precision", PRECISIONS)
        self.require_choice("estimate", ESTIMATES)
        self.require_range("damping", 1e-12, 1e6)


def cost(spec: InfluenceTask, chosen: Chosen, counts: Counts) -> Cost:
    """The estimates: double precision, and a step of conjugate gradients is six passes."""
    net = network("network", spec.network, chosen.shape, chosen.classes)
    one = net_cost(net.plan(chosen.shape, chosen.classes), chosen.shape)
    classifier = chosen.classes * (one.features + 1)
    macs = memory = 0.0
    for m in (run.images for run in chosen.runs):
        passes = m * (TYPICAL_STEPS * 6.0 * m + 6.0 * counts.test)
        products = m * (TYPICAL_STEPS * 2.0 * m + 2.0 * counts.test)
        macs += {"last": products * classifier, "all": passes * one.macs, "none": 0.0}[
            spec.estimate
        ]
        macs += 20.0 * m * counts.test  # ranks
        memory = max(memory, 16.0 * spec.inits * m * counts.test + 32.0 * m * one.activations)
    disk = sum(2.0 * run.images * counts.test for run in chosen.runs) + 1e5
    return Cost(2 * spec.inits * macs, memory=memory, disk=disk)
