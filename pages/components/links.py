"""Choices that live in the address bar under a stable id, so that a view can be sent as a link.

Streamlit's own `bind="query-params"` writes the *label* of an option; use it for numbers and switches,
and `choice` for anything whose id differs from what people read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st


def choice(
    label: str,
    options: Mapping[str, str],
    parameter: str,
    *,
    default: str | None = None,
    widget: Callable[..., Any] = st.selectbox,
    remember: bool = False,
    **details: Any,
) -> str:
    """Choose one of `options` (id to label); the id is kept in the query parameter `parameter`.

    `widget` is `st.selectbox`, `st.segmented_control`, `st.pills` or `st.radio`. An id in the link that
    is no option is ignored; without one, `remember` takes the last choice of this session. Returns the id.
    """
    first = default if default in options else next(iter(options))
    key, memory = f"choice.{parameter}", f"last.{parameter}"
    wanted = st.query_params.get(parameter) or (st.session_state.get(memory) if remember else None)
    st.session_state[key] = wanted if wanted in options else first

    def write() -> None:
        chosen = st.session_state.get(key)
        if chosen is not None:  # clicking a chosen pill again deselects it: keep what was there
            st.query_params[parameter] = chosen

    if widget in (st.segmented_control, st.pills):
        details.setdefault("required", True)
    chosen = widget(
        label, list(options), format_func=options.get, key=key, on_change=write, **details
    )
    chosen = chosen if chosen in options else first
    if remember:
        st.session_state[memory] = chosen
    return chosen
