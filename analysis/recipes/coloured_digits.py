"""Sets of digits whose colours mislead, and how much networks trained on them go by these."""

from __future__ import annotations

import functools

from analysis.recipes.cifar10_suite import suite
from ddcore.recipes.base import Recipe, RecipeRow


def _row(method: str) -> RecipeRow:
    return RecipeRow(
        name=f"coloured-digits-{method}-10",
        method=method,
        dataset="coloured_digits",
        ipc=10,
        preset="quick",
        differs="Ours: nobody published this. Test images have any colour, training images mostly that of "
        "their class.",
    )


RECIPE = Recipe(
    name="coloured-digits",
    order=7,
    title="Coloured digits",
    about="Does distilling strengthen a misleading colour? Two quick sets of the bundled digits in colours, "
    "and the analysis bias of both.",
    machine="cpu",
    rows=(_row("dm"), _row("bptt")),
    follow=functools.partial(suite, "quick", only=("bias",)),
)
