"""Sensitivity: the training set-up changed one factor at a time."""

from pages.components import analysis_page

analysis_page.show("sensitivity")
