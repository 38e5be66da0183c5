"""Choose a finished run; the choice is the query parameter `run`, which every page shares."""

from __future__ import annotations

import streamlit as st

from ddcore import jobs
from ddcore.errors import DDError
from ddcore.store import Task
from pages.components import links, runs, shell


def pick(label: str = "Run") -> Task | None:
    """The chosen finished run, or None after saying what to do when there is none to choose.

    Without a `run` in the link the last one looked at is chosen, else the one of the Start page. A run
    that is not finished is announced with a link to its progress, above the finished ones.
    """
    store = shell.store()
    cards = {c.key: c for c in runs.finished(store)}
    _explain(st.query_params.get(shell.RUN, ""), set(cards))
    if not cards:
        st.info(
            "There is no finished run yet: distil something small first.", icon=":material/info:"
        )
        st.page_link("pages/2_Distil.py", label="Distil something", icon=":material/science:")
        return None
    current = shell.run_key()
    if current not in cards:
        current = runs.featured(store).key
    options = {key: c.line for key, c in cards.items()}
    key = links.choice(label, options, shell.RUN, default=current)
    shell.remember(key)
    return store.find(key)


def _explain(named: str, finished: set[str]) -> None:
    """Why the run that a link names is not the one shown."""
    if not named or named in finished:
        return
    try:
        task = shell.find_run(named)
    except DDError as error:
        st.warning(f"{error} Showing another run instead.", icon=":material/link_off:")
        return
    state = jobs.state(task)["state"]
    st.warning(f"Run {named[:8]} is {state}, so there is nothing to show of it yet.")
    shell.link("pages/3_Run.py", "See its progress", icon=":material/play_circle:", run=named)
