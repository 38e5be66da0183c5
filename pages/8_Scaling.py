"""Scaling: how does the gap to all data shrink with images per class?"""

from pages.components import analysis_page

analysis_page.show("scaling")
