"""What the published width changes: three analyses in networks of width 128, of sets made at two widths."""

from __future__ import annotations

import functools

from analysis.recipes.cifar10_suite import suite
from ddcore.recipes.base import Recipe
from ddcore.recipes.cifar10_cpu import FAMILIES, MADE_WIDE

# Beside the preset Quick: as much as two cores carry in an hour.
SETTINGS = {
    "dynamics": {"network": "convnet-128", "nets": "3"},
    "recognition": {"networks": "convnet-128", "epochs": "1"},
    "curvature": {"network": "convnet-128", "spectra": "1", "steps": "20"},
}

RECIPE = Recipe(
    name="cifar10-wide-suite",
    order=5,
    title="CIFAR-10 sets in networks of the published width",
    about="Recognition, its course along training and curvature in ConvNets of width 128, of the four sets "
    "of the recipe cifar10-cpu and of two that were made in networks of that width.",
    machine="cpu",
    rows=(*FAMILIES, *MADE_WIDE),
    repeats=True,
    follow=functools.partial(suite, "quick", only=SETTINGS, settings=SETTINGS),
)
