"""What `curvature` is asked: its spec, presets, pools and cost. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from analysis.contract import AnalysisTask
from analysis.runs import Chosen
from analysis.shared import fields as shared
from ddcore.base.fields import number
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import network
from ddcore.pools.real_spec import Counts, Need

REAL = "real"
KEEP = 0.9  # share of the smoothed value that an iteration keeps (Yang et al. 2024)
PRODUCT, SHARED = 6, 3  # passes of a Hessian-vector product, and of the gradient several share
GRID, WIDTH = 400, 0.01  # points of a density, and its Gaussian's width as a share of the range
LOWEST_DENSITY = 1e-5
VIEWS = {"smooth": "smoothed", "raw": "as measured"}
HESSIAN, FISHER = "hessian", "fisher"
TRACES = {HESSIAN: "of the Hessian", FISHER: "of the Fisher matrix"}


@dataclass(frozen=True, kw_only=True)
class CurvatureTask(AnalysisTask):
    """Networks in their first iterations on real training images, and the Hessian of the loss on each set.

    The random directions of traces are the same for all sets. At moments spread evenly Lanczos gives the
    density and those of the largest eigenvalues on which its starts agree.
    """

    KIND: ClassVar[str] = "curvature"
    VERSION: ClassVar[int] = 2
    RUNNER: ClassVar[str] = "analysis.suite.curvature.compute:run"

    network: str = shared.network()
    nets: int = shared.nets(1)
    iterations: int = shared.iterations(help="Steps of training, on shuffled batches.")
    every: int = shared.every(10, "How often the Hessian is looked at.")
    batch: int = shared.batch()
    lr: float = shared.lr()
    real_images: int = number(
        1000,
        0,
        10_000_000,
        "The real set is a class-balanced sample of so many; 0: all.",
        unit="images",
    )
    probes: int = number(50, 2, 10_000, "Random directions of a trace.")
    spectra: int = number(4, 1, 100_001, "At so many moments there are eigenvalues and densities.")
    top: int = number(5, 1, 1000, "How many of the largest eigenvalues.")
    starts: int = number(
        2, 1, 1000, "Directions from which Lanczos starts; one alone has nothing to agree with."
    )
    steps: int = number(40, 2, 1000, "Products with the Hessian from each start.")

    def validate(self) -> None:
        """No more moments and eigenvalues than there are."""
        super().validate()
        self.require_range("every", 1, self.iterations)
        self.require_range("spectra", 1, 1 + self.iterations // self.every)
        self.require_range("top", 1, self.steps)

    def moments(self) -> np.ndarray:
        """Iterations of the traces (T,), the network before training included."""
        return np.arange(0, self.iterations + 1, self.every)

    def spectrum_places(self) -> np.ndarray:
        """Which of the moments get eigenvalues and densities; one alone is the last."""
        last = len(self.moments()) - 1
        return np.linspace(last if self.spectra == 1 else 0, last, self.spectra).round().astype(int)


def presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """Fewer moments and real images on larger images; published: the paper's network, batch and grid."""
    few = {"spectra": 2}
    if shape[1] < 28:
        quick: dict[str, Any] = {"every": 30, "probes": 20, "real_images": 300, **few}
        teaching: dict[str, Any] = {}
    else:
        quick = {"every": 60, "probes": 10, "real_images": 100, **few}
        teaching = {"nets": 3, "probes": 10, "real_images": 2000, "batch": 256, **few}
        teaching |= {"network": "convnet-32"}
    published = {
        "network": "convnet-128",
        "every": 1,
        "batch": 256,
        "real_images": 0,
        "probes": 100,
    }
    return {"quick": quick, "teaching": teaching, "published": published}


def products(spec: CurvatureTask, sizes: list[int]) -> float:
    """Images times directions that go through Hessian-vector products for one network."""
    each = len(spec.moments()) * spec.probes + spec.spectra * spec.starts * spec.steps
    return float(each * sum(sizes))


def cost(spec: CurvatureTask, chosen: Chosen, counts: Counts) -> Need:
    """Training once, Hessian-vector products, one gradient per image at each moment."""
    net = network("network", spec.network, chosen.shape, chosen.classes)
    one = net_cost(net.plan(chosen.shape, chosen.classes), chosen.shape)
    sizes = [r.images for r in chosen.runs] + [min(spec.real_images or counts.train, counts.train)]
    moments = len(spec.moments())
    passes = PRODUCT * products(spec, sizes)
    passes += SHARED * sum(sizes) * (2 * moments + spec.spectra * spec.steps)
    passes += 3 * spec.iterations * min(spec.batch, counts.train)
    vectors = max(3.0 * spec.probes, 3.0 * spec.starts * spec.steps) * one.parameters
    stored = 8.0 * spec.nets * len(sizes) * (moments * spec.probes + 2 * spec.spectra * spec.steps)
    held = 4.0 * 6 * one.activations * min(200, max(sizes)) + 4.0 * vectors
    return Need(spec.nets * passes * one.macs, memory=held + stored, disk=stored + 1e5)
