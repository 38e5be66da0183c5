"""The whole suite of Yang et al. 2024 as published, on CIFAR-10 sets of the four families."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from types import MappingProxyType

from analysis import analyses
from analysis.runs import planned
from analysis.settings import estimate, make_spec
from ddcore.base.errors import SpecError
from ddcore.data.spec import form
from ddcore.distil.contract import DistillSpec
from ddcore.recipes.base import Recipe, Step
from ddcore.recipes.cifar10 import FAMILIES


def suite(
    preset: str,
    runs: list[DistillSpec],
    rehearsal: bool,
    only: Collection[str] = (),
    settings: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> list[Step]:
    """Every analysis of the runs, or those named in `only`, under a preset; as a rehearsal the smallest.

    `settings` are fields that differ from the preset, by the analysis's name.
    """
    shape, _ = form(runs[0].data)
    chosen = planned(runs, shape)
    steps = []
    for each in (of for name, of in analyses().items() if not only or name in only):
        try:
            own = settings.get(each.name, {}).items()
            spec = make_spec(each, chosen, "quick" if rehearsal else preset, own)
        except SpecError:  # no answer for sets of this size, or for these data
            continue
        if rehearsal:
            spec = spec.replace(**each.smallest)
        guess = functools.partial(estimate, each, spec, chosen)
        steps.append(Step(spec, "", guess))
    return steps


RECIPE = Recipe(
    name="cifar10-suite",
    order=3,
    title="What is Dataset Distillation Learning? on CIFAR-10",
    about="Every analysis under its preset as published, on the sets of the recipe cifar10: 520 subset "
    "networks, 30 early-stopped ones, curvature on all training images, 101 leave-one-out networks.",
    machine="gpu",
    rows=FAMILIES,
    repeats=True,
    follow=functools.partial(suite, "published"),
)
