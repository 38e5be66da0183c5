"""What `features` is asked: its spec, presets, pools and cost. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from analysis.contract import AnalysisTask
from analysis.runs import Chosen
from analysis.shared import fields as shared
from analysis.shared.networks import AT_ONCE
from analysis.shared.real import real_pool
from ddcore.base.fields import choice, number, seed
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.pools.real_spec import Counts, Need, RealPool

REAL = "real"
PIXELS = "real_pixels"  # of the real images, where the dataset is here
NONE = "none"
FOUND = "#D64B4E"  # ring around a point that was asked for
MAPS = {
    "joint": "UMAP fitted to all images",
    "apart": "UMAP fitted to real images",
}
PROJECTIONS = {"umap": "UMAP beside PCA", "pca": "PCA alone"}
SHOWN = 10  # images of a set that are shown
MANY = 3000  # points from which the browser draws with its graphics card
# By the time it takes, at 4e9 a second: 1 ms for a point and a fit, 10 s to load UMAP (measured).
UMAP_MACS, UMAP_LOAD_MACS = 4e6, 4e10


@dataclass(frozen=True, kw_only=True)
class FeaturesTask(AnalysisTask):
    """Penultimate features of the sets and of test images, in networks trained on all real training data."""

    KIND: ClassVar[str] = "features"
    RUNNER: ClassVar[str] = "analysis.suite.features.compute:run"

    network: str = shared.network()
    nets: int = shared.nets()
    epochs: int = shared.epochs()
    batch: int = shared.batch(0)
    lr: float = shared.lr(0.02)
    real_images: int = number(
        1000,
        20,
        100_000,
        "Test images, drawn by the seed; all, if there are not so many.",
        unit="images",
    )
    neighbours: int = number(
        10, 1, 99_999, "So many nearest real images judge each image.", unit="images"
    )
    projection: str = choice("umap", PROJECTIONS, "Which maps are drawn.")
    n_neighbors: int = number(5, 2, 200, "UMAP's neighbours of a point.")
    random_state: int = seed(42, "UMAP's seed.")

    def validate(self) -> None:
        """No more neighbours than there are images."""
        super().validate()
        self.require_range("neighbours", 1, self.real_images - 1)
        self.require_range("n_neighbors", 2, min(200, self.real_images - 1))


def presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """A narrow ConvNet; published: the paper's ResNet-18, 10,000 images and settings of UMAP."""
    small = shape[1] < 28
    teaching = {"epochs": 15} if small else {"epochs": 5, "network": "convnet-32"}
    return {
        "quick": {"epochs": 15 if small else 3, "real_images": 500},
        "teaching": {**teaching, "real_images": 1500},
        "published": {
            "network": "resnet18-64",
            "epochs": 40,
            "batch": 256,
            "lr": 0.01,
            "real_images": 10_000,
        },
    }


def pools(spec: FeaturesTask, chosen: Chosen) -> dict[str, RealPool]:
    """The networks; the analysis of recognition shares them."""
    return {spec.network: real_pool(spec, chosen, "network", spec.network)}


def cost(spec: FeaturesTask, chosen: Chosen, counts: Counts) -> Need:
    """Features of all images in every network, all distances, and the maps."""
    net = pools(spec, chosen)[spec.network].net
    one = net_cost(net.plan(chosen.shape, chosen.classes), chosen.shape)
    real, made = min(spec.real_images, counts.test), sum(r.images for r in chosen.runs)
    total = real + made
    macs = spec.nets * total * (one.macs + real * float(one.features))
    if spec.projection == "umap":
        macs += UMAP_LOAD_MACS + UMAP_MACS * (total + real)
    values = float(np.prod(chosen.shape))
    memory = 4.0 * one.activations * AT_ONCE + 16.0 * total * one.features + 8.0 * real * total
    return Need(macs, memory, disk=4 * made * values + 100.0 * total + 1e5)
