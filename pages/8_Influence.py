"""Influence: exact leave-one-out retraining of every distilled image."""

from pages.components import analysis_page, influence_view

analysis_page.show("influence", influence_view.draw, influence_view.lead)
