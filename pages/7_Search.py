"""Architecture search: do small sets rank networks as full training does?"""

from pages.components import search_views, shell

with shell.page(
    "Search",
    section="Use",
    icon=":material/manage_search:",
    about="Do small sets rank architectures as full training does?",
    order=2,
):
    search_views.show()
