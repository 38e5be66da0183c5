"""Toy: dataset distillation in the plane, computed by the browser while one watches."""

from __future__ import annotations

import streamlit as st

from pages.components import glossary, links, shell, teach, toy

IDEA = (
    "Each large point moves down the exact gradient of the loss on the small, real points, through all 30 "
    "steps of training a network on the large points alone."
)
READ = """
Small marks are 240 real points, large ones the distilled. The ground shows what networks say of each place
that have been trained on the distilled points alone, five of them averaged.

An iteration takes three networks with new random weights, trains each by 30 steps of gradient descent
(step size 1) on the distilled points, takes the cross-entropy of the trained networks on all real points, and
follows its derivative with respect to the *positions* of the distilled points back through those 30 steps.
Adam (step size 0.05) moves the points. That is backpropagation through time, the same that *bptt* does to
images on the Distil page. The network has two inputs, 16 hidden units (tanh) and one output for each class.
"""
DOUBT = """
Points need not lie among the real ones: they are where they teach most, not where data are likely. They are
made for these 30 steps and this network; trained longer or otherwise, they may teach something else. Some
choices get stuck: start again, or give it another point. That a few points can beat all real ones is no
magic: 30 steps are short, and these points are made to be learned in them. Random real points are the
comparison that counts: anybody has them for free.
"""


def main() -> None:
    """The whole page."""
    with shell.head():
        st.title("A whole data set in a few points", anchor=False)
        with shell.bar("toy.bar"):
            name = links.choice(
                "Data",
                toy.SETS,
                "toy",
                widget=st.segmented_control,
                label_visibility="collapsed",
            )
            words = {k: f"{k} per class" for k in toy.SIZES}
            k = links.choice(
                "Points", words, "points", default="3", width=150, label_visibility="collapsed"
            )
            with (
                teach.part("texts", "toy.texts"),
                st.popover("Read and doubt", icon=":material/menu_book:"),
            ):
                st.markdown(f"**How to read it**\n{glossary.marked(READ)}")
                st.markdown(f"**How to doubt it**\n{glossary.marked(DOUBT)}")
        st.markdown(IDEA)
    toy.show(name, int(k))


with shell.page(
    "Toy",
    section="Teach",
    icon=":material/scatter_plot:",
    about="Dataset distillation in the plane, live in your browser",
    order=-2,  # before the jobs
):
    main()
