"""Recipes that end in analyses; see `ddcore.recipes`, which finds them."""
