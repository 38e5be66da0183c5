"""Transfer: networks of other kinds than a set was made with."""

from pages.components import analysis_page

analysis_page.show("transfer")
