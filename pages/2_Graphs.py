"""Graphs: a small graph on which a network learns a large one, and whether it is better than class means."""

from __future__ import annotations

import streamlit as st

from analysis.uses.texts import GRAPHS
from ddcore.base.errors import DDError
from ddcore.graphs.contract import GraphRun
from ddcore.graphs.rows import rows_over_seeds, sisters
from pages.components import graph_views, links, shell


def main() -> None:
    """The whole page."""
    st.title("How small can a graph be?", anchor=False)
    found = graph_views.runs()
    if not found:
        with shell.main():
            st.markdown(
                "No graph has been condensed yet. A few nodes with features and links of their own can "
                "teach a network most of what a graph of thousands does: make one."
            )
            graph_views.pending()
            graph_views.form()
        return
    key = links.choice(
        "Condensed graph",
        {k: graph_views.label(t) for k, t in found.items()},
        "graph",
        label_visibility="collapsed",
    )
    task = found[key]
    run = task.spec_as(GraphRun)
    edges, labels, names = graph_views.pictures(task)
    evaluations = sisters(shell.store(), run)
    judged = graph_views.chosen_protocol(evaluations)
    rows = rows_over_seeds(evaluations, run, judged[1], judged[0]) if judged else []
    if rows:
        graph_views.headline(rows)
        graph_views.table(rows)
    else:
        st.caption(f"It has not been judged: `ddx evaluate {task.key}` does.")
    st.header("Where the links are", anchor=False)
    graph_views.edges_by_class(edges, labels, names, run.data)
    st.header("What weak links are good for", anchor=False)
    graph_views.thresholds(task, evaluations, rows)
    graph_views.pending()
    notes()


def notes() -> None:
    """How to read it, how to doubt it, make another."""
    for title, text, icon in (
        ("How to read it", GRAPHS.read, ":material/menu_book:"),
        ("How to doubt it", GRAPHS.doubt, ":material/psychology_alt:"),
    ):
        with st.expander(title, icon=icon, key=f"graphs.{icon[10:14]}"):
            st.markdown(text)
    with st.expander("Make another", icon=":material/science:", key="graphs.make"):
        try:
            graph_views.form()
        except DDError as error:
            st.warning(str(error))


with shell.page(
    "Graphs",
    section="Make",
    icon=":material/hub:",
    about="A few nodes that teach a network a whole graph",
):
    main()
