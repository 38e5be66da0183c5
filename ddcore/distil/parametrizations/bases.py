"""Memories: a few pictures shared by all classes, combined into many images.

Deng & Russakovsky 2022, "Remember the Past: Distilling Datasets into Addressable Memories".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ddcore.base.errors import SpecError
from ddcore.base.fields import number
from ddcore.distil.contract import Knobs, Parametrization
from ddcore.nets.plan import Shape

if TYPE_CHECKING:
    from ddcore.distil.contract import DistillSpec, Params
    from ddcore.distil.decoder import Decoder
    from ddcore.distil.problem import Problem

SHARE = (
    0.4  # of the budget spent on bases where their number is left open: as published for CIFAR-10
)


@dataclass(frozen=True, kw_only=True)
class BasesKnobs(Knobs):
    """Pictures that all classes share. What the budget leaves goes into coefficients, one of each picture for
    each image."""

    bases: int = number(
        0, 0, 100_000, f"How many pictures are shared; 0: what {SHARE:.0%} of the budget pays for."
    )
    scale: float = number(2.0, 1, 64, "How many times smaller than the images they are.")


def small(spec: DistillSpec[Params, BasesKnobs], shape: Shape) -> tuple[int, int]:
    """(h, w) of a basis."""
    h, w = (max(1, round(side / spec.knobs.scale)) for side in shape[1:])
    return h, w


def count(spec: DistillSpec[Params, BasesKnobs], shape: Shape, classes: int) -> int:
    """Bases that fit beside one image of each class and step; `SpecError` if those asked for do not."""
    floats = spec.ipc * classes * math.prod(shape)
    one = shape[0] * math.prod(small(spec, shape))
    most = floats // (one + classes * spec.steps)
    asked = spec.knobs.bases
    if asked > most:
        allowed = f"at most {most}, which fit into ipc = {spec.ipc} beside {classes} classes"
        raise SpecError("bases", asked, f"{allowed}; 0 takes as many as suit the budget")
    if not most:
        allowed = (
            f"fewer: ipc = {spec.ipc} has no room for a basis and {spec.steps} x {classes} images"
        )
        raise SpecError("steps", spec.steps, allowed)
    return asked or min(max(1, int(SHARE * floats / one)), most)


def per_class(spec: DistillSpec[Params, BasesKnobs], shape: Shape, classes: int) -> int:
    """Images whose coefficients the budget pays for, beside the bases; the same number in each step."""
    bases = count(spec, shape, classes)
    floats = spec.ipc * classes * math.prod(shape)
    left = floats - bases * shape[0] * math.prod(small(spec, shape))
    rows = left // (classes * bases)
    return rows // spec.steps * spec.steps


def build(problem: Problem[DistillSpec[Params, BasesKnobs]]) -> Decoder:
    """Bases and coefficients for preprocessed images."""
    from ddcore.distil.parametrizations._bases import SharedBases, start

    spec, shape, labels = problem.spec, problem.data.shape, problem.labels()
    bases, coefficients = start(
        spec.init,
        labels,
        count(spec, shape, problem.classes),
        small(spec, shape),
        problem.data,
        problem.generator("images"),
    )
    return SharedBases(bases, coefficients, labels, shape[1:])


PARAMETRIZATION = Parametrization(
    name="bases",
    title="Shared bases (memories)",
    idea="Images are combinations of a few small pictures that all classes share, so there are many more "
    "of them than the same numbers would give as pixels.",
    source="Deng & Russakovsky 2022, Remember the Past",
    knobs=BasesKnobs,
    per_class=per_class,
    build=build,
)
