"""Continual learning: classes arrive in steps, what does a small memory keep of them?"""

from pages.components import continual_views, shell

with shell.page(
    "Continual",
    section="Use",
    icon=":material/stairs:",
    about="Classes arrive in steps: what a distilled memory keeps",
    order=1,  # after Reproduce
):
    continual_views.show()
