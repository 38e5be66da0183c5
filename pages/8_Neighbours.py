"""Neighbours: distilled images beside their nearest real ones."""

from pages.components import analysis_page

analysis_page.show("neighbours")
