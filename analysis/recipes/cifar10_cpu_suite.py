"""The suite of Yang et al. 2024 on the CIFAR-10 sets that a processor made."""

from __future__ import annotations

import functools

from analysis.recipes.cifar10_suite import suite
from ddcore.recipes.base import Recipe
from ddcore.recipes.cifar10_cpu import FAMILIES

RECIPE = Recipe(
    name="cifar10-cpu-suite",
    order=4,
    title="What is Dataset Distillation Learning? on a processor",
    about="Every analysis under the preset Teaching, on the sets of the recipe cifar10-cpu with ten images "
    "per class: networks of a quarter of the published width, fewer of them.",
    machine="cpu",
    rows=FAMILIES,
    repeats=True,
    follow=functools.partial(suite, "teaching"),
)
