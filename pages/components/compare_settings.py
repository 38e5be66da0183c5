"""In which settings runs differ: by what they are about, those that one method alone knows folded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from ddcore.base.errors import DDError
from ddcore.base.foreign_text import plain
from pages.components import evaluation_views, run_views, settings_form

if TYPE_CHECKING:
    from pages.components.compare_views import Side

ABSENT = "–"
METHOD, OWN = "Method and run", "params"
GROUPS = {"data": "Data", "net": "Network", "protocol": "Protocol"}  # by the first part of a name


def differences(sides: list[Side]) -> None:
    """Tables of the settings in which the runs differ."""
    every = [settings(side) for side in sides]
    names = list(dict.fromkeys(name for one in every for name in one))
    rows = {n: [one.get(n, ABSENT) for one in every] for n in names}
    differ = {n: values for n, values in rows.items() if len(set(values)) > 1}
    own = {n for n, values in differ.items() if ABSENT in values}
    groups: dict[str, dict[str, list[str]]] = {}
    for name in (n for n in differ if n not in own):
        title = GROUPS.get(name.partition(".")[0], METHOD)
        groups.setdefault(title, {})[name] = differ[name]
    for title, found in groups.items():
        if len(groups) > 1:
            st.markdown(f"**{title}**")
        _table(sides, found)
    if own:
        label = f"{len(own)} settings that not all methods have"
        with st.expander(label, icon=":material/tune:", key="compare.own"):
            _table(sides, {n: values for n, values in differ.items() if n in own})
    st.caption(f"{len(rows) - len(differ)} other settings are the same.")


def _table(sides: list[Side], rows: dict[str, list[str]]) -> None:
    head = ["Setting", *(side.letter for side in sides)]
    body = [[f"{settings_form.label_of(n)} `{n}`", *map(plain, v)] for n, v in rows.items()]
    st.markdown(evaluation_views.markdown_table(head, body))


def settings(side: Side) -> dict[str, str]:
    """Every setting as text, under the names that `--set` takes."""
    try:
        values = side.spec.to_dict()
    except DDError:  # made by another version: as it was written
        values = side.task.document()["spec"]
    found = {}
    for name, value in run_views.flat(values):
        short = name.removeprefix("params.").removeprefix("knobs.")
        if name not in run_views.HIDDEN:
            found[short] = value
    return found
