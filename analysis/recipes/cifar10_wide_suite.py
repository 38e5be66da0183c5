"""What the published width changes: three analyses in networks of width 128, of sets made at two widths."""

from __future__ import annotations

import functools

from analysis import analysis
from analysis.runs import planned
from analysis.settings import estimate, make_spec
from ddcore.data.spec import form
from ddcore.distil.contract import DistillSpec
from ddcore.recipes.base import Recipe, Step
from ddcore.recipes.cifar10_cpu import FAMILIES, MADE_WIDE

# Beside the preset Quick: as much as two cores carry in an hour.
SETTINGS = {
    "dynamics": {"network": "convnet-128", "nets": "3"},
    "recognition": {"networks": "convnet-128", "epochs": "1"},
    "curvature": {"network": "convnet-128", "spectra": "1", "steps": "20"},
}


def suite(runs: list[DistillSpec], rehearsal: bool) -> list[Step]:
    """The three, in networks of the published width; as a rehearsal the smallest."""
    shape, _ = form(runs[0].data)
    chosen = planned(runs, shape)
    steps = []
    for name, settings in SETTINGS.items():
        each = analysis(name)
        spec = make_spec(each, chosen, settings=settings.items())
        if rehearsal:
            spec = spec.replace(**each.smallest)
        steps.append(Step(spec, "", functools.partial(estimate, each, spec, chosen)))
    return steps


RECIPE = Recipe(
    name="cifar10-wide-suite",
    order=5,
    title="CIFAR-10 sets in networks of the published width",
    about="Recognition, its course along training and curvature in ConvNets of width 128, of the four sets "
    "of the recipe cifar10-cpu and of two that were made in networks of that width.",
    machine="cpu",
    rows=(*FAMILIES, *MADE_WIDE),
    repeats=True,
    follow=suite,
)
