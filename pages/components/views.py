"""What a link says of a page, and what it leaves open.

A page takes some values from the store where the link names none: the newest run, the largest preset. They
are noted here while it is drawn, so that a copied link can name them (`frame`). What a link names in vain is
said above the page in one sentence, once; a value that was known before something else was chosen is not.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import streamlit as st

from ddcore.base.errors import SpecError
from ddcore.base.foreign_text import plain

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

TAKEN, SAID, KNOWN, PLACE = (
    "views.taken",
    "views.said",
    "views.known",
    "views.place",
)  # of a session
PRESENT, TOUR, TEACH = "present", "tour", "teach"  # parameters that every page has
LISTED = 8  # values that a sentence names
DARKER = "#5c606b"  # of words on axes: contrast 6.2 on white
LARGE = 18  # points: letters of figures while presenting


def begin() -> None:
    """A page begins to be drawn."""
    st.session_state[TAKEN], st.session_state[SAID] = {}, {}
    st.session_state[PLACE] = st.empty()


def take(parameter: str, value: object) -> None:
    """Note what is shown where a link does not name `parameter`."""
    text = "" if value is None else str(value)
    if text:
        st.session_state.setdefault(TAKEN, {})[parameter] = text


def taken() -> dict[str, str]:
    """By parameter, what is shown where a link does not name it."""
    return dict(st.session_state.get(TAKEN, {}))


def check(parameter: str, named: str | None, known: bool, allowed: str) -> bool:
    """Whether a link's value can be used; says why not, unless it could be before. Nothing named is fine."""
    before = st.session_state.setdefault(KNOWN, {})
    if not named or known:
        before[parameter] = named or ""
        _say(parameter, "")
        return known
    if before.get(parameter) != named:
        _say(parameter, str(SpecError(parameter, named, allowed)))
    return False


def one_of(values: Collection[object]) -> str:
    """ "one of a, b, c", not more of them than fit a sentence."""
    shown = ", ".join(str(value) for value in list(values)[:LISTED])
    more = len(values) - LISTED
    return f"one of {shown}" + (f" and {more} more" if more > 0 else "")


def _say(parameter: str, text: str) -> None:
    said = st.session_state.setdefault(SAID, {})
    if said.get(parameter, "") == text:
        return
    said[parameter] = text
    place = st.session_state.get(PLACE)
    if place is None:  # nothing was begun: a part of a page by itself
        return
    with place.container():
        for each in filter(None, said.values()):
            st.warning(plain(each), icon=":material/link_off:")


# --- presenting -----------------------------------------------------------------------------------


def presenting() -> bool:
    """Whether the page is shown in large type, without a sidebar."""
    return st.query_params.get(PRESENT) == "1"


def legible(figure: Figure) -> None:
    """Words on axes that stand out in the light theme, too, and all of them large while presenting."""
    if st.context.theme.type == "light":  # Streamlit's own grey has a contrast of 3.7
        for axes in (figure.update_xaxes, figure.update_yaxes):
            axes(tickfont_color=DARKER, title_font_color=DARKER)
    if presenting():
        figure.update_layout(font_size=LARGE, legend_font_size=LARGE)
        for axes in (figure.update_xaxes, figure.update_yaxes):
            axes(tickfont_size=LARGE, title_font_size=LARGE)
