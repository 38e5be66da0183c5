"""The table of runs: filters in one row, a page of rows with thumbnails, groups by a setting."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import streamlit as st

from ddcore.base import spread
from ddcore.base.foreign_text import plain
from ddcore.tasks import stamps
from ddcore.tasks.store import Store
from pages.components import (
    library,
    links,
    paging,
    permissions,
    settings_form,
    teach,
    thumbnails,
)

PER_PAGE = 50
ROW_HEIGHT, HEAD_HEIGHT = 38, 40  # screen pixels
TALL = 10  # rows of a page that are seen without scrolling in the table
CHOSEN, TIMES = "runs.chosen", "runs.times"  # in the session; the second makes the table forget
PAGE = "runs.page"
UNGROUPED = "none"
WORDS = {"method": "Method", "data.name": "Data", "ipc": "Images per class", "seed": "Seed"}
FILTERS: dict[str, tuple[str, str, Callable[[library.Row], tuple[str, ...]]]] = {
    "methods": ("Method", "method", lambda row: (library.method(row),)),
    "data": ("Data", "dataset", lambda row: (row.card.dataset,)),
    "ipc": ("Images per class", "ipc", lambda row: (str(row.card.ipc),)),
    "tags": ("Tags", "tag", lambda row: row.note.tags),
}


# --- what is shown --------------------------------------------------------------------------------


def controls(every: Sequence[library.Row]) -> tuple[list[library.Row], str]:
    """The row of filters; the rows that match, sorted, and the setting to group by ("" for none)."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        text = st.text_input(
            "Search",
            key="q",
            bind="query-params",
            max_chars=200,
            placeholder="Search name, setting, note, tag",
            label_visibility="collapsed",
            icon=":material/search:",
            type="search",
        )
        wanted = _filters(every, text or "")
        found = [row for row in every if wanted.matches(row)]
        orders = {name: f"Sort: {words}" for name, (words, _, _) in library.ORDERS.items()}
        by = links.choice("Sort by", orders, "sort", label_visibility="collapsed", width=190)
        names = {UNGROUPED: "Group: none"}
        names |= {n: f"Group: {_words(n)}" for n in library.groupable(found)}
        group = links.choice("Group by", names, "group", label_visibility="collapsed", width=190)
    return library.ordered(found, by), "" if group == UNGROUPED else group


def _filters(every: Sequence[library.Row], text: str) -> library.Wanted:
    """The filters behind one button that says how many are set; the link keeps them."""
    chosen = {n: tuple(_given(parameter)) for n, (_, parameter, _) in FILTERS.items()}
    set_ = sum(map(bool, chosen.values())) + (st.query_params.get("starred") == "true")
    label = f"Filter ({set_})" if set_ else "Filter"
    with st.popover(label, icon=":material/filter_list:", key="runs.filters"):
        picked = {}
        for name, (words, parameter, of) in FILTERS.items():
            counts = library.values(every, of)
            ids = {_id(value): value for value in counts}
            options = {i: f"{value} ({counts[value]})" for i, value in ids.items()}
            if options:
                chosen_ids = links.several(words, options, parameter, ())
                picked[name] = tuple(ids[i] for i in chosen_ids)
        starred = st.toggle(
            "Starred only",
            key="starred",
            bind="query-params",
            value=False,
            disabled=teach.off("view"),
        )
    return library.Wanted(text=text, starred=starred, **picked)


def _id(value: str) -> str:
    """A value in a link, which separates values by commas."""
    return value.replace(",", ";")


def _given(parameter: str) -> list[str]:
    return [each for each in st.query_params.get(parameter, "").split(",") if each]


def grouped(found: Sequence[library.Row], name: str) -> list[library.Row]:
    """A table of the groups; the rows of the one that is selected, else all."""
    parts = library.groups(found, name)
    label = _words(name)
    state = st.dataframe(
        {
            label: [part.value for part in parts],
            "Runs": [len(part.rows) for part in parts],
            "Test accuracy, %": [_accuracy(part.over_runs) for part in parts],
            "Best, %": [f"{100 * max(p.accuracies):5.1f}" if p.accuracies else "" for p in parts],
        },
        key=f"runs.groups.{_digest([name, *(part.value for part in parts)])}",
        hide_index=True,
        height=HEAD_HEIGHT + 35 * min(len(parts), 4),
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            "Test accuracy, %": st.column_config.TextColumn(
                help="Mean ± standard deviation over runs (how many were measured)."
            )
        },
        alt=f"Groups by {label}",
    )
    rows = state["selection"]["rows"]
    return list(parts[rows[0]].rows) if rows and rows[0] < len(parts) else list(found)


def _words(name: str) -> str:
    """A setting in words; its dotted name tells apart those of data, network, protocol and method."""
    return WORDS.get(name) or f"{settings_form.label_of(name)} ({name})"


# --- the table ------------------------------------------------------------------------------------


def table(store: Store, found: Sequence[library.Row], group: str) -> list[library.Row]:
    """A page of the rows; those that are selected, also on other pages."""
    pages = -(-len(found) // PER_PAGE)
    page = paging.current(PAGE, pages)
    shown = found[(page - 1) * PER_PAGE : page * PER_PAGE]
    chosen = set(st.session_state.get(CHOSEN, ()))
    state = st.dataframe(
        _columns(store, shown, group),
        key=f"runs.table.{st.session_state.get(TIMES, 0)}.{_digest([r.key for r in shown])}",
        height=HEAD_HEIGHT + ROW_HEIGHT * min(len(shown), TALL),
        row_height=ROW_HEIGHT,
        hide_index=True,
        column_config=_config(group),
        on_select="rerun",
        selection_mode="multi-row",
        selection_default={
            "selection": {"rows": [i for i, row in enumerate(shown) if row.key in chosen]}
        },
        placeholder="",
        alt="Finished runs and opened sets",
    )
    here = {shown[i].key for i in state["selection"]["rows"] if i < len(shown)}
    elsewhere = chosen - {row.key for row in shown}
    selected = [row for row in found if row.key in here or row.key in elsewhere]
    st.session_state[CHOSEN] = tuple(row.key for row in selected)
    if pages > 1:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.pagination(pages, key=PAGE)
            first = (page - 1) * PER_PAGE + 1
            st.caption(f"{first} to {first + len(shown) - 1} of {len(found)}", width="content")
    return selected


def select(keys: Sequence[str]) -> None:
    """Make these the selected rows."""
    st.session_state[CHOSEN] = tuple(keys)
    st.session_state[TIMES] = st.session_state.get(TIMES, 0) + 1


def _columns(store: Store, shown: Sequence[library.Row], group: str) -> dict[str, list[Any]]:
    """Cells by column; columns in which nothing is written are left out."""
    keep = permissions.refusal() == ""
    cells: dict[str, list[Any]] = {
        "Images": [
            thumbnails.address(store.root, row.task, stamps.stamp(row.task), keep) for row in shown
        ],
        "★": ["★" if row.note.starred else "" for row in shown],
        "Name": [row.note.name for row in shown],
        "Method": [row.card.made for row in shown],
        "Data": [row.card.dataset for row in shown],
        "Per class": [row.card.ipc for row in shown],
        "group": [library.setting(row, group) if group else "" for row in shown],
        "Test accuracy, %": [_accuracy(row.figure("distilled")) for row in shown],
        "Random, %": [_accuracy(row.figure("random")) for row in shown],
        "Class mean, %": [_accuracy(row.figure("class_mean")) for row in shown],
        "Tags": [list(row.note.tags) for row in shown],
        "Cost, s": [row.facts.seconds for row in shown],
        "Finished": [datetime.fromtimestamp(row.facts.finished) for row in shown],
        "Note": [" ".join(row.note.text.split()) for row in shown],
        "Seed": [None if row.card.imported else row.card.seed for row in shown],
        "Protocol": [row.measured.protocol["name"] if row.measured else "" for row in shown],
        "From": ["shipped" if row.card.shipped else row.card.imported for row in shown],
        "Key": [row.key for row in shown],
    }
    if not group or group in ("method", "data.name", "ipc", "seed"):  # has a column already
        del cells["group"]
    return {
        name: column
        for name, column in cells.items()
        if any(each not in ("", None, []) for each in column)
    }


def _config(group: str) -> dict[str, Any]:
    """How columns look."""
    of, n = st.column_config, "Mean ± standard deviation over (n) networks"
    return {
        "Images": of.ImageColumn("Images", width=thumbnails.WIDTH + 8, help="One of each class"),
        "★": of.TextColumn("★", width=30, help="Starred"),
        "Name": of.TextColumn("Name", width=110),
        "Method": of.TextColumn("Method", width=196),
        "Data": of.TextColumn("Data", width=78),
        "Per class": of.NumberColumn("Per class", width=58, help="Images per class"),
        "group": of.TextColumn(_words(group) if group else "", width=110),
        "Test accuracy, %": of.TextColumn(
            "Test, %", width=106, help=f"{n} trained on nothing but the set."
        ),
        "Random, %": of.TextColumn(width=106, help=f"{n} trained on as many random real images."),
        "Class mean, %": of.TextColumn(width=106, help=f"{n} trained on the means of the classes."),
        "Tags": of.ListColumn("Tags", width=130),
        "Cost, s": of.NumberColumn(format="localized", step=1, width=80, help="Of distilling."),
        "Finished": of.DatetimeColumn("Finished", format="D MMM YYYY, HH:mm", width=150),
        "Note": of.TextColumn("Note", width=200),
        "Key": of.TextColumn("Key", help="What links and the command line call it."),
    }


def _accuracy(figure: library.Figure | None) -> str:
    """ "81.2 ± 2.0 (5)"; padded, so that a click on the column's head sorts by size."""
    if figure is None:
        return ""
    std = spread.of(figure)
    mean = f"{100 * figure['mean']:5.1f}"
    return f"{spread.plus_minus(mean, None if std is None else 100 * std)} ({figure['n']})"


def _digest(texts: Sequence[str]) -> str:
    """A short name for a list of rows: another list is another table, in which nothing is selected."""
    return f"{zlib.crc32(chr(0).join(texts).encode()):08x}"


def nothing_matches() -> None:
    """What to do where the filters leave nothing."""
    text = st.query_params.get("q", "")
    st.info(f"No run matches{f' {plain(text[:80])}' if text else ''}.", icon=":material/info:")
    st.button("Show all", key="runs.all", icon=":material/filter_list_off:", on_click=_show_all)


def _show_all() -> None:
    for _, parameter, _ in FILTERS.values():
        st.query_params.pop(parameter, None)
    st.session_state["q"], st.session_state["starred"] = "", False  # bound: the link follows
