"""What `privacy` is asked: its spec, presets, pools and cost. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from analysis.contract import AnalysisTask, Cost
from analysis.runs import Chosen
from analysis.shared.real import real_pool
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import network, parse
from ddcore.pools.real_spec import Counts, RealPool
from ddcore.training.estimate import protocol_work
from ddcore.training.protocols import PROTOCOLS

ALL, SAME = "real", "same_size"
TITLES = {ALL: "All real images", SAME: "Random real images, as many"}
RESAMPLES = 500
Rows = dict[str, tuple[str, np.ndarray]]
SHOWN = 6  # images beside their nearest training image


@dataclass(frozen=True, kw_only=True)
class PrivacyTask(AnalysisTask):
    """`nets` networks `network` are trained on each set, and on real data, for the membership test.

    A network is written as an architecture and its width, such as convnet-16. `images` training images and
    as many test images are compared in the test, and at most as many held-out images in distance. `epochs`,
    `batch` and `lr` are those of the networks trained on all real data (0 epochs: chosen by their number).
    """

    KIND: ClassVar[str] = "privacy"
    RUNNER: ClassVar[str] = "analysis.suite.privacy.compute:run"

    network: str = "convnet-16"
    nets: int = 5
    images: int = 1000
    epochs: int = 0
    batch: int = 64
    lr: float = 0.02

    def validate(self) -> None:
        """Check ranges and the network's name."""
        super().validate()
        parse("network", self.network)
        self.require_range("nets", 1, 100)
        self.require_range("images", 10, 50_000)


def presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """Narrow networks; published: the network of the other analyses (the paper has none of this)."""
    small = shape[1] < 28
    quick = {"network": "convnet-16", "epochs": 15 if small else 3}
    return {
        "quick": {**quick, "nets": 3, "images": 500},
        "teaching": {**quick, "nets": 5},
        "published": {
            "network": "convnet-128",
            "epochs": 40,
            "batch": 256,
            "lr": 0.01,
            "images": 5000,
        },
    }


def pools(spec: PrivacyTask, chosen: Chosen) -> dict[str, RealPool]:
    """Networks trained on all real data."""
    return {spec.network: real_pool(spec, chosen, "network", spec.network)}


def cost(spec: PrivacyTask, chosen: Chosen, counts: Counts) -> Cost:
    """Training on each set and a random one, and comparing every image with every training image."""
    net = network("network", spec.network, chosen.shape, chosen.classes)
    sizes = [r.images for r in chosen.runs]
    protocol = PROTOCOLS["t300"]
    macs = spec.nets * sum(
        protocol_work(protocol, net, chosen.shape, chosen.classes, m) for m in (*sizes, max(sizes))
    )
    one = net_cost(net.plan(chosen.shape, chosen.classes), chosen.shape)
    macs += (len(sizes) + 2) * spec.nets * 2 * spec.images * one.macs
    macs += (sum(sizes) + spec.images) * counts.train * float(np.prod(chosen.shape))
    return Cost(macs, memory=4.0 * one.activations * 2000, disk=4e5)
