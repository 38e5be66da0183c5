"""Frequencies: images as the cosine coefficients in which real images of their class differ most.

Shin, Shin & Moon 2023, "Frequency Domain-based Dataset Distillation" (FreD).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ddcore.base.errors import SpecError
from ddcore.base.fields import number
from ddcore.base.registry import late
from ddcore.distil.contract import DistillSpec, Knobs, Parametrization, Params
from ddcore.nets.plan import Shape

SHARE = 16  # as published for 32 x 32 pixels: 64 of 1,024
FEWEST = 32  # what 8 x 8 pixels still need; ours


@dataclass(frozen=True, kw_only=True)
class FreDKnobs(Knobs):
    """Each class has its own frequencies. As published, which these are does not count in the budget, one
    whole number for each of a class."""

    frequencies: int = number(
        0,
        0,
        10_000_000,
        f"How many an image keeps, in every channel; 0: one in {SHARE}, but at least {FEWEST}.",
    )


def kept(spec: DistillSpec[Params, FreDKnobs], shape: Shape) -> int:
    """Frequencies of an image in one channel; `SpecError` for more than there are."""
    all_of_them = math.prod(shape[1:])
    asked = spec.knobs.frequencies
    if asked > all_of_them:
        allowed = f"at most {all_of_them}, as many as an image has pixels"
        raise SpecError("frequencies", asked, f"{allowed}; 0 takes a part that suits the size")
    return asked or min(max(FEWEST, all_of_them // SHARE), all_of_them)


def per_class(spec: DistillSpec[Params, FreDKnobs], shape: Shape, classes: int) -> int:
    """Images whose coefficients the budget pays for; the same number in each step."""
    images = spec.ipc * math.prod(shape[1:]) // kept(spec, shape)
    return images // spec.steps * spec.steps


PARAMETRIZATION = Parametrization(
    name="fred",
    title="Frequencies (FreD)",
    idea="Each image keeps a few frequencies, those in which real images of its class differ most, so "
    "there are more images than the same numbers would give as pixels.",
    source="Shin, Shin & Moon 2023, Frequency Domain-based Dataset Distillation",
    knobs=FreDKnobs,
    per_class=per_class,
    build=late("ddcore.distil.parametrizations._fred:build"),
)
