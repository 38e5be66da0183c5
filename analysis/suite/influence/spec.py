"""What `influence` is asked: its spec, presets, pools and cost. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from analysis.contract import AnalysisTask
from analysis.runs import Chosen
from analysis.shared import fields as shared
from analysis.shared.loo_spec import loo_network
from ddcore.base.fields import choice, number
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import network
from ddcore.pools.real_spec import Counts, Need

TOP = 9  # test images beside a distilled one, as in the paper
OFFERED = 3  # test images of each class to choose from
SHOWN = 10  # images of a class that are shown
POINTS = 2000  # of the scatter of estimates
ESTIMATES = {"last": "the last layer", "all": "all weights", "none": "nothing"}
TYPICAL_STEPS = 60  # of conjugate gradients


@dataclass(frozen=True, kw_only=True)
class InfluenceTask(AnalysisTask):
    """Each image of each set left out in turn, from initialisations that all sets share."""

    KIND: ClassVar[str] = "influence"
    RUNNER: ClassVar[str] = "analysis.suite.influence.compute:run"

    network: str = loo_network()
    inits: int = shared.inits()
    iterations: int = shared.iterations()
    lr: float = shared.lr()
    precision: str = shared.precision()
    estimate: str = choice(
        "last",
        ESTIMATES,
        "With respect to which weights two cheap estimates are differentiated, beside the exact influence.",
    )
    damping: float = number(
        0.001,
        1e-12,
        1e6,
        "Added to the Hessian's eigenvalues for one of the estimates; with all weights some are negative, "
        "which it must outweigh: about .1.",
    )


def cost(spec: InfluenceTask, chosen: Chosen, counts: Counts) -> Need:
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
    return Need(2 * spec.inits * macs, memory=memory, disk=disk)
