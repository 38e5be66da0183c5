"""Reproduce: published figures beside those measured with this program, and the commands that make them."""

from __future__ import annotations

import streamlit as st

from ddcore.recipes import recipes, table
from pages.components import reproduce_views, shell, teach

READ = """A cell is a method, a dataset and a number of images per class; each mark in it is one protocol or
variant, on an axis from 0 to 100 %. The tick is the published figure, the mark is ours, its line one standard
deviation over networks. Click a mark for the protocol, the source and the command; there it stands beside
random real images and class means of the same size under the same protocol, so that a figure cannot look good
only because its protocol is kind. Only figures that were read in a source are shown."""

DOUBT = """Published figures are often the best checkpoint on test images; here a tenth of the training
images is kept back to choose it. One distillation stands behind each mark, so its spread says nothing about
other seeds. Where CIFAR-10 (JPEG) is named, the images had been re-encoded, which may change accuracies
slightly. Shorter runs and narrower networks are marked as such: they show that a method works, not that a
figure is right."""


def main() -> None:
    """The whole page."""
    lines = table.lines(shell.store())
    with shell.head():
        st.title("Can the published results be had again?", anchor=False)
        with shell.bar("reproduce.bar"):
            measured = st.toggle(
                "Measured only",
                value=True,
                key="measured",
                bind="query-params",
                disabled=teach.off("view"),
            )
            with (
                teach.part("texts", "reproduce.texts"),
                st.popover("Read and doubt", icon=":material/menu_book:"),
            ):
                st.markdown(f"**How to read it**\n\n{READ}\n\n**How to doubt it**\n\n{DOUBT}")
        st.markdown(reproduce_views.answer(lines))
    reproduce_views.matrix([line for line in lines if line.ours or not measured])
    st.header("Recipes", anchor=False)
    st.caption(
        "They make the figures step by step; stopped at any moment, a recipe goes on where it was."
    )
    for known in recipes().values():
        own = [line for line in lines if line.recipe.name == known.name]
        reproduce_views.recipe(known, own)


with shell.page(
    "Reproduce", section="Look", icon=":material/history_edu:", about="Published figures, and ours"
):
    main()
