"""What the pages of uses share: a figure over its caption, a folded table, the texts behind a button."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from analysis.contract import Drawn
from analysis.shared.drawing import typeset
from analysis.uses.texts import UseTexts
from pages.components import charts, evaluation_views


def draw(drawn: Drawn, key: str) -> None:
    """Title, figure and caption."""
    st.markdown(f"**{drawn.title}**")
    charts.show(drawn.figure, key=key, alt=drawn.caption)
    st.caption(typeset(drawn.caption))


def table(rows: Sequence[Mapping[str, str]], key: str, caption: str = "") -> None:
    """Rows with the same columns, folded away."""
    with st.expander("Table", icon=":material/table:", key=key):
        names = list(rows[0])
        cells = [[row[name] for name in names] for row in rows]
        st.markdown(evaluation_views.markdown_table(names, cells))
        if caption:
            st.caption(caption)


def texts(of: UseTexts) -> None:
    """How to read it, how to doubt it, where it comes from, behind a button."""
    with st.popover("Read and doubt", icon=":material/menu_book:"):
        for title, text in (
            ("How to read it", of.read),
            ("How to doubt it", of.doubt),
            ("Where it comes from", of.literature),
        ):
            st.markdown(f"**{title}**\n\n{text}")
