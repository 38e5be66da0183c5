"""What `calibration` is asked: its spec, presets and cost. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from analysis.contract import AnalysisTask
from analysis.runs import Chosen
from analysis.shared import fields as shared
from analysis.shared.stand_ins import image_counts
from ddcore.base.fields import number
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import network
from ddcore.pools.real_spec import Counts, Need

UNKNOWN = {
    "inverted": "Inverted test images",
    "shuffled": "Test images with shuffled pixels",
    "noise": "Uniform noise",
}


@dataclass(frozen=True, kw_only=True)
class CalibrationTask(AnalysisTask):
    """Networks trained on sets and on real images in their place: how sure they are, and of what."""

    KIND: ClassVar[str] = "calibration"
    RUNNER: ClassVar[str] = "analysis.suite.calibration.compute:run"

    network: str = shared.network()
    nets: int = shared.nets(5, help="How many are trained on each set.")
    iterations: int = shared.iterations()
    more: int = shared.more()
    images: int = number(
        1000, 10, 1_000_000, "Test images, and of each kind of unknown ones.", unit="images"
    )
    looks: int = shared.looks()


def presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """Few narrow networks; published: the paper's width and all test images."""
    quick: dict[str, Any] = {"network": "convnet-8", "iterations": 100, "looks": 7}
    if shape[1] >= 28:
        quick |= {"nets": 3, "images": 500, "more": 20}
    return {
        "quick": quick,
        "teaching": {},
        "published": {"network": "convnet-128", "images": 10_000, "looks": 12},
    }


def net_of(spec: CalibrationTask, chosen: Chosen) -> NetSpec:
    """What is trained."""
    return network("network", spec.network, chosen.shape, chosen.classes)


def cost(spec: CalibrationTask, chosen: Chosen, counts: Counts) -> Need:
    """Training on every source; validation, test and unknown images at every look."""
    one = net_cost(net_of(spec, chosen).plan(chosen.shape, chosen.classes), chosen.shape)
    trained = image_counts(chosen, counts, more=spec.more)
    seen = min(spec.images, counts.test) * (1 + len(UNKNOWN)) + spec.images
    passes = 3.0 * spec.iterations * sum(trained) + 1.0 * len(trained) * spec.looks * seen
    return Need(spec.nets * one.macs * passes, 12.0 * one.activations * max(200, *trained))
