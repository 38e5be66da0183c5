"""What `privacy` is asked: its spec, presets, pools and cost. No torch here."""

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
from ddcore.nets.words import network
from ddcore.pools.real_spec import Counts, Need, RealPool
from ddcore.training.estimate import protocol_work
from ddcore.training.protocols import PROTOCOLS

ALL, SAME = "real", "same_size"
TITLES = {ALL: "All real images", SAME: "Random real images, as many"}
RESAMPLES = 500
Rows = dict[str, tuple[str, np.ndarray]]
SHOWN = 6  # images beside their nearest training image


@dataclass(frozen=True, kw_only=True)
class PrivacyTask(AnalysisTask):
    """Networks are trained on each set, and on real data, for the membership test."""

    KIND: ClassVar[str] = "privacy"
    RUNNER: ClassVar[str] = "analysis.suite.privacy.compute:run"

    network: str = shared.network()
    nets: int = shared.nets(5, "How many are trained on each set, and on real data.")
    images: int = number(
        1000,
        10,
        50_000,
        "So many training and test images are compared in the test, and at most as many held-out images in "
        "distance.",
        unit="images",
    )
    epochs: int = shared.epochs()
    batch: int = shared.batch(0)
    lr: float = shared.lr(0.02, "Step size of those trained on real images: sgd with momentum 0.9.")


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


def cost(spec: PrivacyTask, chosen: Chosen, counts: Counts) -> Need:
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
    return Need(macs, memory=4.0 * one.activations * 2000, disk=4e5)
