"""The whole suite of Yang et al. 2024 as published, on CIFAR-10 sets of the four families."""

from __future__ import annotations

import functools

from analysis import analyses, base
from ddcore.data.spec import form
from ddcore.errors import SpecError
from ddcore.methods.spec import DistillSpec
from ddcore.recipes.base import Recipe, Step
from ddcore.recipes.cifar10 import FAMILIES


def suite(preset: str, runs: list[DistillSpec], rehearsal: bool) -> list[Step]:
    """Every analysis of the runs under a preset; as a rehearsal the smallest of its kind."""
    shape, _ = form(runs[0].data)
    chosen = base.planned(runs, shape)
    steps = []
    for each in analyses().values():
        try:
            spec = base.make_spec(each, chosen, "quick" if rehearsal else preset)
        except SpecError:  # no answer for sets of this size
            continue
        if rehearsal:
            spec = spec.replace(**each.smallest)
        guess = functools.partial(base.estimate, each, spec, chosen)
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
