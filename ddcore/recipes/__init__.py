"""Recipes that make published results anew. Adding one is adding a file here that defines `RECIPE`.

A recipe that ends in analyses lies in `analysis/recipes/`, since nothing here may import that package; it
is found by name.
"""

from __future__ import annotations

from ddcore.base.registry import Registry
from ddcore.recipes.base import Recipe

RECIPES: Registry[Recipe] = Registry(
    "recipe",
    ("ddcore.recipes", "analysis.recipes"),
    "RECIPE",
    order=lambda recipe: (recipe.machine, recipe.order),  # those for a processor first
)
recipes, recipe = RECIPES.all, RECIPES.get
