"""What `curvature` is asked: its spec, presets, pools and cost. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from analysis.contract import AnalysisTask, Cost
from analysis.runs import Chosen
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import network, parse
from ddcore.pools.real_spec import Counts

REAL = "real"
KEEP = 0.9  # share of the smoothed value that an iteration keeps (Yang et al. 2024)
PRODUCT, SHARED = 6, 3  # passes of a Hessian-vector product, and of the gradient several share
GRID, WIDTH = 400, 0.01  # points of a density, and its Gaussian's width as a share of the range
LOWEST_DENSITY = 1e-5
VIEWS = {"smooth": "smoothed", "raw": "as measured"}


@dataclass(frozen=True, kw_only=True)
class CurvatureTask(AnalysisTask):
    """`nets` networks in their first `iterations` on real training images; along the way, every `every`
    iterations, the Hessian of the loss on each set.

    `network` is an architecture and its width, such as convnet-16. Training is plain SGD with step size
    `lr`, momentum 0.9 and shuffled batches of `batch`. Traces take `probes` random directions, the same for
    all sets; the real set is a class-balanced sample of `real_images` (0: all). At `spectra` moments spread
    evenly, Lanczos gives the density from `starts` directions of `steps` products each, and those of the
    `top` largest eigenvalues on which the starts agree; one start alone has nothing to agree with.
    """

    KIND: ClassVar[str] = "curvature"
    VERSION: ClassVar[int] = 2
    RUNNER: ClassVar[str] = "analysis.suite.curvature.compute:run"

    network: str = "convnet-16"
    nets: int = 1
    iterations: int = 300
    every: int = 10
    batch: int = 64
    lr: float = 0.01
    real_images: int = 1000
    probes: int = 50
    spectra: int = 4
    top: int = 5
    starts: int = 2
    steps: int = 40

    def validate(self) -> None:
        """Check ranges and the network's name."""
        super().validate()
        parse("network", self.network)
        self.require_range("nets", 1, 100)
        self.require_range("iterations", 1, 100_000)
        self.require_range("every", 1, self.iterations)
        self.require_range("batch", 1, 1_000_000)
        self.require_range("lr", 1e-8, 1e3)
        self.require_range("real_images", 0, 10_000_000)
        self.require_range("probes", 2, 10_000)
        self.require_range("spectra", 1, 1 + self.iterations // self.every)
        self.require_range("steps", 2, 1000)
        self.require_range("top", 1, self.steps)
        self.require_range("starts", 1, 1000)

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


def cost(spec: CurvatureTask, chosen: Chosen, counts: Counts) -> Cost:
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
    return Cost(spec.nets * passes * one.macs, memory=held + stored, disk=stored + 1e5)
