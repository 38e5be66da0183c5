"""Ways from pages about sets of images to the page Graphs, and condensed graphs on the page Runs."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from ddcore.base.errors import DDError
from ddcore.base.foreign_text import plain
from ddcore.graphs.contract import GraphRun
from ddcore.tasks import trash
from ddcore.tasks.store import Store, Task
from pages.components import graph_views, permissions, runs, shell

PAGE = "pages/2_Graphs.py"
PARAMETER = "graph"


def point(keys: Iterable[str]) -> list[str]:
    """Say which of the keys are condensed graphs, with a way to each; the other keys."""
    others = []
    for key in keys:
        if task := _graph(key):
            st.info(
                f"Run {key[:8]} is a condensed graph, not a set of images: it is on the page Graphs.",
                icon=":material/hub:",
            )
            _link(task)
        else:
            others.append(key)
    return others


def _graph(key: str) -> Task | None:
    try:
        task = shell.store().find(key)
    except DDError:
        return None
    return task if task.kind == GraphRun.KIND else None


def _link(task: Task) -> None:
    label = graph_views.label(task) if task.opens() else "Graphs"
    shell.link(PAGE, plain(label), icon=":material/hub:", **{PARAMETER: task.key})


def listed(store: Store, thrown: str) -> None:
    """The finished ones, folded; own ones can be deleted, `thrown` names what was in the session."""
    found = graph_views.runs()
    if not found:
        return
    with st.expander(f"Condensed graphs ({len(found)})", icon=":material/hub:", key="runs.graphs"):
        for task in found.values():
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                _link(task)
                st.caption(_facts(task), width="content")
                if not task.shipped:
                    _delete(store, task, thrown)


def _facts(task: Task) -> str:
    judged = task.result().get("validation")
    score = f"validation {100 * judged['mean']:.1f} % · " if judged else ""
    age = "shipped" if task.shipped else runs.ago((task.folder / "done.json").stat().st_mtime)
    return f"{score}{age} · `{task.key[:8]}`"


def _delete(store: Store, task: Task, thrown: str) -> None:
    """Move it to the trash with its evaluations, after asking."""
    with st.popover(
        "Delete", type="tertiary", icon=":material/delete:", key=f"runs.graph.ask.{task.key}"
    ):
        st.markdown(
            "Move it to the trash, with what was measured of it? It can be restored for "
            f"{trash.KEEP_DAYS} days."
        )
        if permissions.button("Delete it", key=f"runs.graph.delete.{task.key}", type="primary"):
            permissions.throw(store, [task])
            st.session_state[thrown] = (task.key,)
            st.rerun()
