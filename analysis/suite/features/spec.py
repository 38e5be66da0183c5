"""What `features` is asked: its spec, presets, pools and cost. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from analysis.contract import AnalysisTask, Cost
from analysis.runs import Chosen
from analysis.shared.networks import AT_ONCE
from analysis.shared.real import real_pool
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import parse
from ddcore.pools.real_spec import Counts, RealPool

REAL = "real"
PIXELS = "real_pixels"  # of the real images, where the dataset is here
NONE = "none"
FOUND = "#D64B4E"  # ring around a point that was asked for
MAPS = {
    "joint": "UMAP fitted to all images",
    "apart": "UMAP fitted to real images",
}
PROJECTIONS = ("umap", "pca")
SHOWN = 10  # images of a set that are shown
MANY = 3000  # points from which the browser draws with its graphics card
# By the time it takes, at 4e9 a second: 1 ms for a point and a fit, 10 s to load UMAP (measured).
UMAP_MACS, UMAP_LOAD_MACS = 4e6, 4e10


@dataclass(frozen=True, kw_only=True)
class FeaturesTask(AnalysisTask):
    """Penultimate features in `nets` networks, trained on all real training data, of the sets and of
    `real_images` test images drawn by the seed (all of them where there are not so many).

    `network` is an architecture and its width, such as convnet-16. `epochs` 0 chooses by the number of
    images; `batch` and `lr` are those of plain SGD with momentum 0.9. Each image is judged by its
    `neighbours` nearest real images. `projection` umap draws UMAP with its `n_neighbors` and `random_state`
    beside PCA; pca draws only the latter.
    """

    KIND: ClassVar[str] = "features"
    RUNNER: ClassVar[str] = "analysis.suite.features.compute:run"

    network: str = "convnet-16"
    nets: int = 3
    epochs: int = 0
    batch: int = 64
    lr: float = 0.02
    real_images: int = 1000
    neighbours: int = 10
    projection: str = "umap"
    n_neighbors: int = 5
    random_state: int = 42

    def validate(self) -> None:
        """Check ranges and the network's name."""
        super().validate()
        parse("network", self.network)
        self.require_range("nets", 1, 100)
        self.require_range("real_images", 20, 100_000)
        self.require_range("neighbours", 1, self.real_images - 1)
        self.require_choice("projection", PROJECTIONS)
        self.require_range("n_neighbors", 2, min(200, self.real_images - 1))
        self.require_range("random_state", 0, 2**31 - 1)


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


def cost(spec: FeaturesTask, chosen: Chosen, counts: Counts) -> Cost:
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
    return Cost(macs, memory, disk=4 * made * values + 100.0 * total + 1e5)
