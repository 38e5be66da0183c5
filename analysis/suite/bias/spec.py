"""What `bias` is asked: its spec, presets and cost, and which data it is about. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from analysis.contract import AnalysisTask
from analysis.runs import Chosen
from analysis.shared import fields as shared
from analysis.shared.stand_ins import image_counts
from ddcore.base.fields import number
from ddcore.data.registry import OWN, datasets, get
from ddcore.data.spec import DataSpec
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import network
from ddcore.pools.real_spec import Counts, Need


@dataclass(frozen=True, kw_only=True)
class BiasTask(AnalysisTask):
    """Networks trained on sets and on real images: how much do they go by a colour that misleads?"""

    KIND: ClassVar[str] = "bias"
    RUNNER: ClassVar[str] = "analysis.suite.bias.compute:run"

    network: str = shared.network()
    nets: int = shared.nets(5, help="How many are trained on each set.")
    iterations: int = shared.iterations()
    more: int = number(
        100_000,
        0,
        100_000,
        "Random real images beside the sets, at most as many as the smallest class has; 0: none.",
        unit="images per class",
    )
    looks: int = shared.looks()


def presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """Few narrow networks; published: the paper's width."""
    return {
        "quick": {"network": "convnet-8", "iterations": 100, "looks": 7},
        "teaching": {},
        "published": {"network": "convnet-128", "nets": 10, "looks": 12},
    }


def lacking(data: DataSpec) -> str:
    """Which sets are expected, where no colour in these data points at classes; "" where one does."""
    if data.name not in OWN and get(data.name).cue and not data.grey:
        return ""
    titles = " or ".join(source.title for source in datasets().values() if source.cue)
    return (
        f"sets made from {titles}, in colour: in other data no colour is known to point at classes"
    )


def net_of(spec: BiasTask, chosen: Chosen) -> NetSpec:
    """What is trained."""
    return network("network", spec.network, chosen.shape, chosen.classes)


def cost(spec: BiasTask, chosen: Chosen, counts: Counts) -> Need:
    """Training on every source; all test images at every look."""
    one = net_cost(net_of(spec, chosen).plan(chosen.shape, chosen.classes), chosen.shape)
    trained = image_counts(chosen, counts, more=spec.more)
    passes = 3.0 * spec.iterations * sum(trained) + len(trained) * float(spec.looks * counts.test)
    return Need(spec.nets * one.macs * passes, 12.0 * one.activations * max(200, *trained))
