"""Images made by a learned network, each from its own noise: generative teaching networks.

Such, Rawal, Lehman, Stanley & Clune 2020, "Generative Teaching Networks".
"""

from __future__ import annotations

from dataclasses import dataclass

from ddcore.base.fields import flag, number
from ddcore.base.registry import late
from ddcore.distil.contract import DistillSpec, Knobs, Parametrization
from ddcore.nets.plan import Shape


@dataclass(frozen=True, kw_only=True)
class GeneratorKnobs(Knobs):
    """The numbers stored, weights and noise, are what they are: `ipc` counts the images rendered and bounds
    no numbers here."""

    noise_dim: int = number(128, 1, 10_000, "Numbers that, with the class, make an image.")
    hidden: int = number(1024, 1, 100_000, "Units of the hidden layer.")
    channels: int = number(128, 1, 10_000, "Feature maps after it.")
    batch_norm: bool = flag(True, "Normalise every layer over the images of one step.")


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
    only_for=("gtn",),
    why_only="its images belong to the steps of a fixed training order, which only gtn follows",
)
