"""Images made by a learned network, each from its own noise: generative teaching networks.

Such, Rawal, Lehman, Stanley & Clune 2020, "Generative Teaching Networks".
"""

from __future__ import annotations

from dataclasses import dataclass

from ddcore.base.registry import late
from ddcore.distil.contract import DistillSpec, Knobs, Parametrization
from ddcore.nets.plan import Shape


@dataclass(frozen=True, kw_only=True)
class GeneratorKnobs(Knobs):
    """`noise_dim` numbers and the class make an image: `hidden` units, then `channels` feature maps.

    `batch_norm` normalises every layer over the images of one step. The numbers stored, weights and
    noise, are what they are: `ipc` counts the images rendered and bounds no numbers here.
    """

    noise_dim: int = 128
    hidden: int = 1024
    channels: int = 128
    batch_norm: bool = True

    def validate(self) -> None:
        """Check ranges."""
        self.require_range("noise_dim", 1, 10_000)
        self.require_range("hidden", 1, 100_000)
        self.require_range("channels", 1, 10_000)


def seed_side(side: int) -> int:
    """Side of the first feature maps, doubled twice on the way; what is too much is cut off."""
    return -(-side // 4)


def macs(knobs: GeneratorKnobs, shape: Shape, classes: int) -> float:
    """Multiply-adds of making one image."""
    cells = seed_side(shape[1]) * seed_side(shape[2])
    half = max(1, knobs.channels // 2)
    full = (knobs.noise_dim + classes) * knobs.hidden + knobs.hidden * knobs.channels * cells
    return full + 9 * 4 * cells * half * (knobs.channels + 4 * shape[0])


def per_class(spec: DistillSpec, shape: Shape, classes: int) -> int:
    """As many images as asked for."""
    return spec.ipc


PARAMETRIZATION = Parametrization(
    name="generator",
    title="Generator network",
    idea="A small network makes each image from noise of its own and its class; weights and noise are "
    "learned.",
    source="Such et al. 2020, Generative Teaching Networks",
    knobs=GeneratorKnobs,
    per_class=per_class,
    build=late("ddcore.distil.parametrizations._generator:build"),
)
