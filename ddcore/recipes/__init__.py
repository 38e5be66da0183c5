"""Recipes that make published results anew. Adding one is adding a file here that defines `RECIPE`.

A recipe that ends in analyses lies in `analysis/recipes/`, since nothing here may import that package; it
is found by name.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pkgutil

from ddcore.errors import SpecError
from ddcore.recipes.base import Recipe

PACKAGES = ("ddcore.recipes", "analysis.recipes")


@functools.cache
def recipes() -> dict[str, Recipe]:
    """All recipes by name, those for a processor first."""
    found = []
    for name in PACKAGES:
        package = importlib.import_module(name)
        for info in pkgutil.iter_modules(package.__path__):
            module = importlib.import_module(f"{name}.{info.name}")
            if hasattr(module, "RECIPE"):
                found.append(module.RECIPE)
    return {r.name: r for r in sorted(found, key=lambda r: (r.machine, r.order))}


def recipe(name: str) -> Recipe:
    """The recipe of that name; an unknown name lists the known ones."""
    if name not in recipes():
        raise SpecError("recipe", name, "one of " + ", ".join(recipes()))
    return recipes()[name]
