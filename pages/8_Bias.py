"""Bias: accuracy with colours that agree with the class, and with others."""

from pages.components import analysis_page

analysis_page.show("bias")
