"""What `pixels` is asked: its spec, presets, pools and cost. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from analysis.contract import AnalysisTask
from analysis.runs import Chosen
from ddcore.base.fields import number
from ddcore.nets.plan import Shape
from ddcore.pools.real_spec import Counts, Need

REAL = "real"
GRID = 512
FINE = 256  # cells per bandwidth: the density is exact to about 1e-4 of its height
ROUNDING = 1e-6  # of taking the normalisation back: nearer to 0 or 1 does not count as outside
LEVEL = 0.02  # grey levels: nearer to a whole one is one, after float32 has gone there and back


@dataclass(frozen=True, kw_only=True)
class PixelsTask(AnalysisTask):
    """Pixel values of the sets beside those of test images."""

    KIND: ClassVar[str] = "pixels"
    RUNNER: ClassVar[str] = "analysis.suite.pixels.compute:run"
    SLOT: ClassVar[str] = "light"

    real_images: int = number(
        20, 1, 1000, "Test images of each class, drawn by the seed.", unit="images"
    )


def presets(data: str, shape: Shape, ipc: int) -> dict[str, dict[str, Any]]:
    """More real images for a smoother curve; published: one image of a class, so any number will do."""
    return {"quick": {}, "teaching": {"real_images": 50}, "published": {"real_images": 100}}


def cost(spec: PixelsTask, chosen: Chosen, counts: Counts) -> Need:
    """A few thousand points of a grid for each set and channel."""
    channels, values = chosen.shape[0], float(np.prod(chosen.shape))
    sets = len(chosen.runs) + 1
    images = sum(r.images for r in chosen.runs)
    macs = sets * (channels + 1) * GRID * 4096.0 + images * values
    disk = values * (4.0 * images + spec.real_images * chosen.classes)
    return Need(macs, memory=16 * values * images, disk=disk)
