"""Compare: two to eight runs side by side: images linked, accuracy, settings that differ."""

from __future__ import annotations

import streamlit as st

from pages.components import compare_images, compare_settings, compare_views, shell


def main() -> None:
    """The whole page."""
    with shell.head():
        st.title("Which set is better, and what was done differently?", anchor=False)
        bar = shell.bar("compare.bar")
    sides = compare_views.choose(bar)
    if len(sides) < 2:
        st.info("Choose at least two finished runs.", icon=":material/info:")
        shell.link("pages/2_Distil.py", "Distil another", icon=":material/science:")
        return
    with bar:
        judged = compare_views.judge(sides)
    st.fragment(compare_images.show)(sides, judged.found)
    st.header("How accurate are they?", anchor=False)
    compare_views.accuracy(sides, judged)
    st.header("Settings that differ", anchor=False)
    compare_settings.differences(sides)


with shell.page("Compare", section="Look", icon=":material/compare:", about="Runs side by side"):
    main()
