"""Semantics: attributes of the test images that a distilled image helps most."""

from pages.components import analysis_page

analysis_page.show("semantics")
