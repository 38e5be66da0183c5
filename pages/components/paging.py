"""The number of the page of a long list, which `st.pagination` keeps in the session."""

from __future__ import annotations

import streamlit as st


def current(key: str, pages: int) -> int:
    """From 1: the page that the widget of this key is on; the first where there are no longer so many.

    As the widget itself decides, so that nothing has to be written into its state.
    """
    page = st.session_state.get(key, 1)
    return page if 1 <= page <= pages else 1
