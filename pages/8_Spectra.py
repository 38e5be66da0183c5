"""Spectra: which spatial frequencies images hold, and which networks use."""

from pages.components import analysis_page

analysis_page.show("spectra")
