"""Barriers: do networks trained on a set and on real images end in the same valley?"""

from pages.components import analysis_page

analysis_page.show("barriers")
