"""What `sensitivity` is asked: its spec, presets, pools and cost. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from analysis.contract import AnalysisTask
from analysis.runs import Chosen
from analysis.shared import fields as shared
from analysis.shared.set_ups import ALL, FACTORS, FEW, GRIDS, levels
from analysis.shared.sources import RANDOM
from analysis.shared.stand_ins import image_counts
from ddcore.base.fields import choice, choices, number
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.pools.real_spec import Counts, Need


@dataclass(frozen=True, kw_only=True)
class SensitivityTask(AnalysisTask):
    """Networks trained on each set under protocol t300 and under changes of it, one at a time."""

    KIND: ClassVar[str] = "sensitivity"
    RUNNER: ClassVar[str] = "analysis.suite.sensitivity.compute:run"

    factors: tuple[str, ...] = choices(
        tuple(FACTORS),
        FACTORS,
        "one or more different factors of " + ", ".join(FACTORS),
        "What is changed.",
    )
    grid: str = choice(FEW, GRIDS, "How much of it.")
    nets: int = shared.nets(help="How many are trained on each set, each time.")
    network: str = shared.network()
    iterations: int = number(300, 10, 100_000, "Steps of training, with all images at once.")

    def validate(self) -> None:
        """Each factor once."""
        super().validate()
        self.require("factors", 0 < len(set(self.factors)) == len(self.factors))


def presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """Few changes of narrow networks; published: all changes of the paper's network."""
    quick = {"factors": ("optimiser", "step_size", "steps", "architecture", "loss"), "nets": 5}
    if ipc > 5 or shape[1] >= 28:
        quick |= {"network": "convnet-8", "iterations": 100}
    return {
        "quick": quick,
        "teaching": {"nets": 5, "grid": ALL},
        "published": {"nets": 5, "grid": ALL, "network": "convnet-128"},
    }


def cost(spec: SensitivityTask, chosen: Chosen, counts: Counts) -> Need:
    """Training under every change on every set and random one, and a pass over the test images."""
    own = image_counts(chosen, counts, (RANDOM,))
    macs = largest = 0.0
    for level in levels(spec, chosen):
        one = net_cost(level.net.plan(chosen.shape, chosen.classes), chosen.shape)
        macs += sum(3.0 * level.seen(m) + counts.test for m in own) * one.macs
        largest = max(largest, one.activations)
    return Need(spec.nets * macs, memory=12.0 * largest * max(200, *own))
