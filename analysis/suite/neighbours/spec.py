"""What `neighbours` is asked: its spec, presets, pools and cost. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from analysis.contract import AnalysisTask
from analysis.runs import Chosen
from analysis.shared import fields as shared
from analysis.shared.real import real_pool
from ddcore.base.fields import number
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.pools.real_spec import Counts, Need, RealPool

PIXELS, FEATURES = "pixels", "features"
SPACES = {PIXELS: "In pixels", FEATURES: "In features"}
HELD_OUT = "held_out"
BESIDE = 4  # real images beside a distilled one, in each space: two spaces fill a row of ten
DOTS = 400  # images of a set up to which each is drawn


@dataclass(frozen=True, kw_only=True)
class NeighboursTask(AnalysisTask):
    """The training images nearest to every image of the sets, by Euclidean distance.

    Once between pixels, and once between penultimate features in networks trained on all real training data.
    """

    KIND: ClassVar[str] = "neighbours"
    RUNNER: ClassVar[str] = "analysis.suite.neighbours.compute:run"

    neighbours: int = number(4, 1, 50, "How many.", unit="images")
    held_out: int = number(
        1000,
        1,
        100_000,
        "So many real images that were held out of training (the validation part) give the yardstick.",
        unit="images",
    )
    network: str = shared.network()
    nets: int = shared.nets()
    epochs: int = shared.epochs()
    batch: int = shared.batch(0)
    lr: float = shared.lr(0.02)


def presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """A narrow ConvNet; published: the network of the feature map."""
    epochs = 15 if shape[1] < 28 else 3
    teaching = {"epochs": epochs} if shape[1] < 28 else {"epochs": 5, "network": "convnet-32"}
    return {
        "quick": {"epochs": epochs, "held_out": 500},
        "teaching": teaching,
        "published": {
            "network": "resnet18-64",
            "epochs": 40,
            "batch": 256,
            "lr": 0.01,
            "held_out": 5000,
        },
    }


def pools(spec: NeighboursTask, chosen: Chosen) -> dict[str, RealPool]:
    """The networks; recognition and the feature map share them."""
    return {spec.network: real_pool(spec, chosen, "network", spec.network)}


def cost(spec: NeighboursTask, chosen: Chosen, counts: Counts) -> Need:
    """Features of all images in every network, and every distance in both spaces."""
    net = pools(spec, chosen)[spec.network].net
    one = net_cost(net.plan(chosen.shape, chosen.classes), chosen.shape)
    held = min(spec.held_out, counts.train)  # an upper bound: the validation part is smaller
    asked = sum(run.images for run in chosen.runs) + held
    pixels = float(np.prod(chosen.shape))
    macs = asked * counts.train * (pixels + spec.nets * one.features)
    macs += spec.nets * (asked + counts.train) * one.macs
    memory = 4.0 * one.activations * 500 + 4.0 * one.features * counts.train + 1e8
    return Need(macs, memory, disk=asked * 20.0 * spec.neighbours + 1e5)
