"""Sweeps: runs over axes of methods, sizes, settings and seeds, as one picture and one table."""

from pages.components import shell, sweep_views

with shell.page(
    "Sweeps",
    section="Use",
    icon=":material/apps:",
    about="Many runs at once: how methods and settings compare",
    order=3,
):
    sweep_views.show()
