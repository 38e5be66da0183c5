"""Glossary: the terms that pages use, each in a sentence."""

from __future__ import annotations

import streamlit as st

from pages.components import glossary, shell

COLUMNS = 2


def main() -> None:
    """The whole page."""
    with shell.head():
        st.title("What do the words mean?", anchor=False)
        text = st.text_input(
            "Find",
            key="find",
            bind="query-params",
            max_chars=60,
            placeholder="Find a term",
            label_visibility="collapsed",
            icon=":material/search:",
            width=320,
        )
    wanted = (text or "").casefold()
    found = [t for t in glossary.TERMS.values() if wanted in _read(t)]
    with shell.main():
        if not found:
            st.markdown("There is no such term.")
        for first in range(0, len(found), COLUMNS):
            for column, term in zip(st.columns(COLUMNS, gap="medium"), found[first:]):
                with column.container(border=True, height="stretch", gap="xsmall"):
                    _term(term)


def _read(term: glossary.Term) -> str:
    return " ".join((term.name, *term.also, term.short, term.more)).casefold()


def _term(term: glossary.Term) -> None:
    st.markdown(f"**{term.name}**")
    st.markdown(f"{term.short} {term.more}")


with shell.page(
    "Glossary",
    section="Teach",
    icon=":material/dictionary:",
    about="The terms that pages use",
    order=-1,  # before the jobs
):
    main()
