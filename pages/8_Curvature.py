"""Curvature: how bent is the loss on each set along training on real data?"""

from pages.components import analysis_page, curvature_view

analysis_page.show("curvature", curvature_view.draw)
