"""Links for a class: `?teach=hide-settings,lock-run` leaves controls out, or shows them as they are.

A page asks here, by the name of a group of controls, whether something is to be left out (`part`) or may not
be changed (`off`). What a link leaves out of a page can be had back by whoever changes the link: it keeps a
lesson simple and is no protection. That is `permissions`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import streamlit as st

from pages.components import views

HIDE, LOCK = "hide", "lock"
HIDDEN = "taught.hidden"  # begins the key of what is left out


@dataclass(frozen=True)
class ControlGroup:
    """Controls that are left out or locked together."""

    title: str
    lockable: bool = True


GROUPS = {
    "run": ControlGroup("Which runs are shown"),
    "view": ControlGroup("What is shown of them, and how"),
    "preset": ControlGroup("Presets"),
    "settings": ControlGroup("Settings"),
    "setup": ControlGroup("Data, method, size, seed"),
    "start": ControlGroup("Starting, stopping, deleting"),
    "downloads": ControlGroup("Downloads", lockable=False),
    "texts": ControlGroup("How to read and doubt", lockable=False),
    "pages": ControlGroup("The list of pages", lockable=False),
}
OF = {  # the group of a query parameter; all others are of "view"
    "run": "run",
    "runs": "run",
    "preset": "preset",
    **dict.fromkeys(("protocol", "archs", "baselines", "nets"), "settings"),
    **dict.fromkeys(("data", "method", "ipc", "seed", "px"), "setup"),
}
ALLOWED = f"{HIDE}- or {LOCK}- before one of {', '.join(GROUPS)}"
LEFT_OUT = "This link is for looking: starting, stopping and deleting are left out of it."
CSS = f"""<style>
[class*="st-key-{HIDDEN.replace(".", "-")}"],
[data-testid="stLayoutWrapper"]:has(> [class*="st-key-{HIDDEN.replace(".", "-")}"]) {{ display: none; }}
{{more}}
</style>"""
NO_PAGES = """
[data-testid="stSidebar"], [data-testid="stExpandSidebarButton"] { display: none; }"""


def words() -> list[str]:
    """Everything that `teach` may name."""
    return [
        f"{how}-{name}"
        for name, group in GROUPS.items()
        for how in ((HIDE, LOCK) if group.lockable else (HIDE,))
    ]


def link() -> str:
    """What the link says."""
    return st.query_params.get(views.TEACH, "")


def begin() -> None:
    """Say what the link names that there is not, and leave out what is left out everywhere."""
    if not link():
        return
    known = words()
    unknown = [word for word in link().split(",") if word not in known]
    views.check(views.TEACH, ",".join(unknown), not unknown, ALLOWED)
    if hidden("pages"):
        st.html(CSS.replace("{more}", NO_PAGES))
    else:
        st.html(CSS.replace("{more}", ""))


def hidden(name: str) -> bool:
    """Whether a group of `GROUPS` is left out."""
    return f"{HIDE}-{name}" in link().split(",")


def off(name: str) -> bool:
    """Whether nothing of a group may be changed: it is locked, or left out."""
    return hidden(name) or f"{LOCK}-{name}" in link().split(",")


@contextlib.contextmanager
def part(name: str, key: str) -> Iterator[None]:
    """Draws what is of a group; its values stay as the link says while it is left out.

    `key` names the part: no two of a page have the same.
    """
    if not hidden(name):
        yield
        return
    with st.container(key=f"{HIDDEN}.{key}"):
        yield


def refusal() -> str:
    """Why nothing may be started or deleted with this link; "" if it may."""
    return LEFT_OUT if off("start") else ""
