"""What every page has at its upper edge: copy its link, prepare one for a class, present, the tour, terms.

The browser composes links from the address and from what the page took where the address names nothing
(`views.taken`), so a copied link shows the same in another store. It also keeps the list of views that are
presented. The server changes pages, hides the rest while presenting, and draws QR codes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from ddcore.base.errors import SpecError
from pages.components import glossary, grid, permissions, qr, teach, tour, views

HERE = Path(__file__)
KEY = "frame"
GO = "frame.go"  # in the session: the address of the view that is asked for
CODE = "frame.code"  # and the link whose QR code is
PARTS = ("frame.js", "frame_links.js", "frame_show.js", "frame_terms.js")
HTML = """<div class="frame">
<nav aria-label="This view"></nav>
<p class="said" role="status"></p>
<section class="panel" role="dialog" aria-label="Teach with this view" hidden></section>
<section class="show" aria-label="Presented views" hidden></section>
<section class="stop" role="dialog" aria-label="Tour" hidden></section>
<div class="ring" hidden></div>
<div class="card" role="tooltip" hidden></div>
</div>"""
# Of no height in the page: the bar lies over its header.
CSS = """<style>
.st-key-shell-frame { position: fixed; top: 0; right: 0; width: 0; height: 0; z-index: 999991; }
[data-testid="stLayoutWrapper"]:has(> .st-key-shell-frame) { position: absolute; }
a[href^="#term-"] { color: inherit; text-decoration: underline dotted; text-underline-offset: .15em; }
</style>"""
PRESENT_CSS = """<style>
html { font-size: 22px !important; }
[data-testid="stSidebar"], [data-testid="stHeader"] { display: none; }
[data-testid="stMainBlockContainer"] { padding-top: 1rem; padding-bottom: 5rem; }
</style>"""


def component() -> Any:
    """The browser's part, whose script is one module of several files."""
    script = "\n".join(grid.source(HERE.with_name(name)) for name in PARTS)
    return st.components.v2.component(
        "frame", html=HTML, css=grid.source(HERE.with_suffix(".css")), js=script
    )


COMPONENT = component()


def begin(follow: Callable[[str], None]) -> None:
    """At the beginning of a page: another view, if one is asked for, else what is left out and hidden."""
    views.begin()
    if address := st.session_state.pop(GO, ""):
        follow(address)
    st.html(CSS)
    teach.begin()
    named = st.query_params.get(views.PRESENT)
    views.check(views.PRESENT, named, named == "1", "1")
    if views.presenting():
        st.html(PRESENT_CSS)


def end(title: str) -> None:
    """At the end of a page, when all it shows is known."""
    with st.container(key="shell.frame"):
        COMPONENT(
            data=[
                describe(title)
            ],  # a list: in dictionaries Streamlit looks for tables, with pandas
            key=KEY,
            on_go_change=_go,
            on_leave_change=_leave,
            on_present_change=_present,
            on_code_change=_code,
        )


def describe(title: str) -> dict[str, Any]:
    """What the browser is told."""
    return {
        "title": title,
        "taken": views.taken(),
        "taught": bool(teach.link()),
        "groups": [[name, of.title, of.lockable] for name, of in teach.GROUPS.items()],
        "presenting": views.presenting(),
        "tour": tour.stop(st.query_params.get(views.TOUR, "")),
        "begin": tour.address(1),
        "terms": glossary.cards(),
        "shared": permissions.shared(),
        "code": _drawn(st.session_state.get(CODE, "")),
    }


def _drawn(link: str) -> dict[str, Any] | None:
    """The QR code of a link, as rows of 0 and 1, or why there is none."""
    if not link or not permissions.shared():
        return None
    try:
        rows = ["".join("01"[field] for field in row) for row in qr.matrix(link)]
    except SpecError as error:
        return {"link": link, "rows": [], "refused": str(error)}
    return {"link": link, "rows": rows, "refused": ""}


def _told(name: str) -> Any:
    return st.session_state[KEY].get(name)


def _go() -> None:
    if told := _told("go"):
        st.session_state[GO] = str(told)


def _leave() -> None:
    for parameter in (views.PRESENT, views.TOUR, "views"):
        st.query_params.pop(parameter, None)


def _present() -> None:
    st.query_params[views.PRESENT] = "1"


def _code() -> None:
    if told := _told("code"):
        st.session_state[CODE] = str(told)
