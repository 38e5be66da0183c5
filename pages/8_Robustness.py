"""Robustness: accuracy under attacks with bounded pixels."""

from pages.components import analysis_page

analysis_page.show("robustness")
