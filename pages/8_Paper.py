"""The paper, here: each finding of Yang et al. 2024 beside what the chosen runs show, with a verdict."""

from pages.components import paper_views, shell

with shell.page(
    "The paper, here",
    section="Understand",
    icon=":material/fact_check:",
    about="Each finding of the paper, and whether it holds for these runs",
    order=1,  # after the overview
):
    paper_views.show()
