"""Calibration: how sure networks are, and of what."""

from pages.components import analysis_page

analysis_page.show("calibration")
