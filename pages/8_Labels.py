"""Labels: hard, soft and a teacher's, for sets, coresets and random images."""

from pages.components import analysis_page

analysis_page.show("labels")
