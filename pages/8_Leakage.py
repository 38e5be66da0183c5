"""Leakage: what do images and labels of a set give away?"""

from pages.components import analysis_page

analysis_page.show("leakage")
