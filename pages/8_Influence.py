"""Influence: exact leave-one-out retraining of every distilled image."""

from pages.components import analysis_page

analysis_page.show("influence")
