"""What `spectra` is asked: its spec, presets, pool and cost. No torch here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from analysis.contract import AnalysisTask
from analysis.runs import Chosen
from analysis.shared import fields as shared
from analysis.shared.real import real_pool
from analysis.shared.sources import REAL
from analysis.shared.stand_ins import image_counts
from ddcore.base.errors import SpecError
from ddcore.base.fields import number
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.pools.real_spec import Counts, Need, RealPool

REAL_MOST = 2000  # of them


@dataclass(frozen=True, kw_only=True)
class SpectraTask(AnalysisTask):
    """Power by radial frequency, accuracy without each band, and the dimensions that images fill."""

    KIND: ClassVar[str] = "spectra"
    RUNNER: ClassVar[str] = "analysis.suite.spectra.compute:run"

    bands: int = number(4, 2, 16, "Of equal width, up to the highest frequency along a side.")
    network: str = shared.network(help="What is trained, and whose features are taken.")
    nets: int = shared.nets(5, help="How many are trained on each set without each band.")
    iterations: int = shared.iterations()
    epochs: int = shared.epochs()
    batch: int = shared.batch(0)
    lr: float = shared.lr(0.02, "Step size of training on real images.")


def require_bands(spec: SpectraTask, shape: Shape) -> None:
    """`SpecError` if some band would hold no frequency."""
    most = min(shape[1:]) // 2
    if spec.bands > most:
        raise SpecError("bands", spec.bands, f"at most {most} for {shape[1]} × {shape[2]} pixels")


def presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """A narrow network and few steps; published: the paper's width."""
    small = shape[1] < 28
    own = {"bands": min(4, max(2, min(shape[1:]) // 2))}
    return {
        "quick": {**own, "network": "convnet-8", "iterations": 100, "epochs": 15 if small else 3},
        "teaching": {**own, "epochs": 15 if small else 5},
        "published": {
            "bands": min(8, max(2, min(shape[1:]) // 2)),
            "network": "convnet-128",
            "epochs": 40,
            "batch": 256,
            "lr": 0.01,
        },
    }


def pools(spec: SpectraTask, chosen: Chosen) -> dict[str, RealPool]:
    """The networks whose features are taken."""
    return {REAL: real_pool(spec, chosen, "network", spec.network)}


def cost(spec: SpectraTask, chosen: Chosen, counts: Counts) -> Need:
    """Training on every source without each band, tests without each band, features, transforms."""
    net = pools(spec, chosen)[REAL].net
    one = net_cost(net.plan(chosen.shape, chosen.classes), chosen.shape)
    images, variants = image_counts(chosen, counts), 1 + spec.bands
    pixels = math.prod(chosen.shape)
    trained = 3.0 * spec.nets * spec.iterations * variants * sum(images)
    tested = 1.0 * spec.nets * len(images) * variants**2 * counts.test
    transformed = 20.0 * len(images) * variants**2 * counts.test * pixels
    seen = spec.nets * (min(REAL_MOST, counts.train) + sum(images))
    held = 12.0 * one.activations * max(200, *images) + 24.0 * counts.test * pixels
    kept = 4.0 * pixels * sum(run.images for run in chosen.runs)
    return Need(one.macs * (trained + tested + seen) + transformed, held, kept + 2e5)
