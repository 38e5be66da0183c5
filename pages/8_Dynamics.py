"""Dynamics: when in real training are distilled images learnt?"""

from pages.components import analysis_page

analysis_page.show("dynamics")
