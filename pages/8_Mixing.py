"""Mixing: distilled sets with real images added."""

from pages.components import analysis_page

analysis_page.show("mixing")
