"""Compare: two to four runs side by side: settings that differ, accuracy, images linked."""

from __future__ import annotations

import streamlit as st

from pages.components import compare_images, compare_views, shell


def main() -> None:
    """The whole page."""
    st.title("Compare", anchor=False)
    st.markdown(
        "Which set is better, and what was done differently? The same classes and the same share of the "
        "run beside each other, each pixel at the same size."
    )
    sides = compare_views.choose()
    if len(sides) < 2:
        st.info("Choose at least two finished runs.", icon=":material/info:")
        shell.link("pages/2_Distil.py", "Distil another", icon=":material/science:")
        return
    compare_views.heads(sides)
    st.header("How accurate are they?", anchor=False)
    compare_views.accuracy(sides)
    st.header("Images", anchor=False)
    st.fragment(compare_images.show)(sides)
    st.header("Settings that differ", anchor=False)
    compare_views.differences(sides)


with shell.page("Compare", section="Look", icon=":material/compare:", about="Runs side by side"):
    main()
