"""Runs: all finished runs and opened sets in one table; find, name, compare, take along, delete."""

from __future__ import annotations

import streamlit as st

from pages.components import graph_links, library, library_actions, library_table, shell


def main() -> None:
    """The whole page."""
    st.title("Runs", anchor=False)
    store = shell.store()
    every = library.rows(store)
    if not every:
        st.info(
            "There is no finished run yet: distil something small first.", icon=":material/info:"
        )
        shell.link("pages/2_Distil.py", "Distil something", icon=":material/science:")
        graph_links.listed(store, library_actions.UNDO)
        library_actions.undo(store)
        library_actions.trash_can(store)
        return
    found, group = library_table.controls(every)
    if group:
        found = library_table.grouped(found, group)
    if found:
        selected = library_table.table(store, found, group)
        library_actions.bar(store, every, selected)
    else:
        library_table.nothing_matches()
    library_actions.undo(store)
    count = f"{len(found)} of {len(every)}" if len(found) < len(every) else f"{len(every)}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(f"{count} runs and opened sets.", width="content")
        if found:
            st.button(
                f"Select all {len(found)}",
                key="runs.select",
                type="tertiary",
                on_click=library_table.select,
                args=[[row.key for row in found]],
            )
    graph_links.listed(store, library_actions.UNDO)
    library_actions.trash_can(store)


with shell.page(
    "Runs",
    section="Look",
    icon=":material/table_rows:",
    about="All finished runs and opened sets",
    order=-1,
):
    main()
