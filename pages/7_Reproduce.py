"""Reproduce: published figures beside those measured with this program, and the commands that make them."""

from __future__ import annotations

import streamlit as st

from ddcore.recipes import recipes, table
from pages.components import charts, reproduce_views, shell

READ = """Each line is one set under one protocol. A cross is the published figure; the other marks are ours:
the distilled set, and random real images and class means of the same size under the same protocol, so that a
figure cannot look good only because its protocol is kind. Bars are one standard deviation, over networks in
ours. Only figures that were read in a source are shown, with the place where they were read."""

DOUBT = """Published figures are often the best checkpoint on test images; here a tenth of the training
images is kept back to choose it. One distillation stands behind each line, so its spread says nothing about
other seeds. Where CIFAR-10 (JPEG) is named, the images had been re-encoded, which may change accuracies
slightly. Shorter runs and narrower networks are marked as such: they show that a method works, not that a
figure is right."""


def main() -> None:
    """The whole page."""
    st.title("Published figures, and ours", anchor=False)
    lines = table.lines(shell.store())
    st.markdown(
        "Can the published results be had again? Recipes make them step by step; stopped at any moment, a "
        "recipe goes on where it was."
    )
    st.subheader(reproduce_views.answer(lines), anchor=False)
    if (drawn := reproduce_views.figure(lines)) is not None:
        alt = "Published test accuracies beside ours, random real images and class means"
        charts.show(drawn, key="reproduce.figure", alt=alt)
    else:
        st.caption("The figure appears with the first row that has been measured.")
    left, right = st.columns(2, gap="large")
    with left, st.container(border=True, height="stretch"):
        st.markdown(f"**How to read it**\n\n{READ}")
    with right, st.container(border=True, height="stretch"):
        st.markdown(f"**How to doubt it**\n\n{DOUBT}")
    for known in recipes().values():
        own = [line for line in lines if line.recipe.name == known.name]
        reproduce_views.recipe(known, own)


with shell.page(
    "Reproduce", section="Look", icon=":material/history_edu:", about="Published figures, and ours"
):
    main()
