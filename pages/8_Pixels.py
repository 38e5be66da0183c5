"""Pixel density: are distilled pixels distributed like real ones?"""

from pages.components import analysis_page

analysis_page.show("pixels")
