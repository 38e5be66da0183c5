"""Understand: every analysis of the chosen runs at a glance, and all of them as one job."""

from pages.components import analysis_overview, shell

with shell.page(
    "Overview",
    section="Understand",
    icon=":material/psychology:",
    about="All analyses of some runs",
):
    analysis_overview.show()
