"""What `robustness` is asked: its spec, presets and cost. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from analysis.contract import AnalysisTask
from analysis.runs import Chosen
from analysis.shared import fields as shared
from analysis.shared.stand_ins import image_counts
from ddcore.base.fields import number, numbers
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import network
from ddcore.pools.real_spec import Counts, Need

ATTACKS = {"pgd": "Projected gradient descent", "fgsm": "Fast gradient sign"}


@dataclass(frozen=True, kw_only=True)
class RobustnessTask(AnalysisTask):
    """Networks trained on sets and on real images in their place, attacked along training."""

    KIND: ClassVar[str] = "robustness"
    RUNNER: ClassVar[str] = "analysis.suite.robustness.compute:run"

    network: str = shared.network()
    nets: int = shared.nets(5, help="How many are trained on each set.")
    iterations: int = shared.iterations()
    more: int = shared.more()
    bounds: tuple[float, ...] = numbers(
        (0.02, 0.05, 0.1, 0.15, 0.2),
        0.0001,
        1,
        "one or more different numbers from 0.0001 to 1",
        "By how much an attack may change each pixel, on the 0..1 scale; along training the middle one.",
    )
    steps: int = number(10, 1, 1000, "Steps of projected gradient descent.")
    images: int = number(300, 1, 100_000, "Test images that are attacked.", unit="images")
    looks: int = shared.looks()

    def validate(self) -> None:
        """Each bound once."""
        super().validate()
        self.require("bounds", 0 < len(set(self.bounds)) == len(self.bounds))

    @property
    def followed(self) -> float:
        """The bound of the attacks along training."""
        return sorted(self.bounds)[len(self.bounds) // 2]


def presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """Few narrow networks; colour images are attacked by fewer grey levels, as is usual."""
    colour: dict[str, Any] = (
        {"bounds": (0.002, 0.004, 0.008, 0.016, 0.032)} if shape[0] == 3 else {}
    )
    quick = {"network": "convnet-8", "iterations": 100, "images": 200, "steps": 7, "looks": 7}
    if shape[1] >= 28:
        quick |= {"nets": 3, "images": 100, "looks": 5, "more": 20}
    return {
        "quick": quick | colour,
        "teaching": {"images": 500, **colour},
        "published": {
            "network": "convnet-128",
            "images": 10_000,
            "looks": 12,
            **colour,
        },
    }


def net_of(spec: RobustnessTask, chosen: Chosen) -> NetSpec:
    """What is trained."""
    return network("network", spec.network, chosen.shape, chosen.classes)


def cost(spec: RobustnessTask, chosen: Chosen, counts: Counts) -> Need:
    """Training on every source; attacks along training and, by every bound, in the end."""
    one = net_cost(net_of(spec, chosen).plan(chosen.shape, chosen.classes), chosen.shape)
    trained = image_counts(chosen, counts, more=spec.more)
    hit = min(spec.images, counts.test)
    attacks = (spec.looks + len(spec.bounds)) * (3 * spec.steps + 1) + 4 * len(spec.bounds)
    passes = 3.0 * spec.iterations * sum(trained) + len(trained) * float(attacks * hit)
    held = 12.0 * one.activations * max(200, *trained)
    return Need(spec.nets * one.macs * passes, held)
