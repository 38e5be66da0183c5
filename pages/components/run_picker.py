"""Choose a finished run; the choice is the query parameter `run`, which every page shares."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ddcore.base.errors import DDError
from ddcore.base.foreign_text import plain
from ddcore.tasks import jobs
from ddcore.tasks.store import Store, Task
from pages.components import graph_links, links, runs, shell


def pick(label: str = "Run", *, unfinished: bool = False, **details: Any) -> Task | None:
    """The chosen finished run, or None after saying what to do when there is none to choose.

    Without a `run` in the link the last one looked at is chosen, else the one of the Start page. A run
    that is not finished is announced with a link to its progress, above the finished ones; with
    `unfinished` it can be chosen too, once there are images of it.
    """
    store = shell.store()
    options = _begun(store) if unfinished else {}
    options |= {c.key: c.line for c in runs.finished(store)}
    _explain(st.query_params.get(shell.RUN, ""), set(options))
    if not options:
        st.info(
            "There is no finished run yet: distil something small first.", icon=":material/info:"
        )
        st.page_link("pages/2_Distil.py", label="Distil something", icon=":material/science:")
        return None
    current = shell.run_key()
    if current not in options and (featured := runs.featured(store)):
        current = featured.key
    key = links.choice(label, options, shell.RUN, default=current, explained=True, **details)
    shell.remember(key)
    return store.find(key)


def _begun(store: Store) -> dict[str, str]:
    """Lines of the recent runs that are not finished but have images."""
    found = [(t, s["state"]) for t, s in runs.recent(store) if s["state"] != "done"]
    return {t.key: f"{runs.card(t).line} · {s}" for t, s in found if t.snapshot_steps()}


def _explain(named: str, finished: set[str]) -> None:
    """Why the run that a link names is not the one shown."""
    if not named or named in finished or not graph_links.point([named]):
        return
    try:
        task = shell.find_run(named)
    except DDError as error:
        st.warning(f"{plain(error)} Showing another run instead.", icon=":material/link_off:")
        return
    state = jobs.state(task)["state"]
    st.warning(f"Run {named[:8]} is {state}, so there is nothing to show of it yet.")
    shell.link("pages/3_Run.py", "See its progress", icon=":material/play_circle:", run=named)
