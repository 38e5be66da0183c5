"""Choices that live in the address bar under a stable id, so that a view can be sent as a link.

Streamlit's own `bind="query-params"` writes the *label* of an option; use it for texts and switches,
`number` for whole numbers and `choice` for anything whose id differs from what people read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import streamlit as st

from ddcore.base.errors import SpecError
from ddcore.base.foreign_text import plain


def choice(
    label: str,
    options: Mapping[str, str],
    parameter: str,
    *,
    default: str | None = None,
    widget: Callable[..., Any] = st.selectbox,
    remember: bool = False,
    **details: Any,
) -> str:
    """Choose one of `options` (id to label); the id is kept in the query parameter `parameter`.

    `widget` is `st.selectbox`, `st.segmented_control`, `st.pills` or `st.radio`. An id in the link that
    is no option is ignored; without one, `remember` takes the last choice of this session. Returns the id.
    """
    first = default if default in options else next(iter(options))
    key, memory = f"choice.{parameter}", f"last.{parameter}"
    wanted = st.query_params.get(parameter) or (st.session_state.get(memory) if remember else None)
    st.session_state[key] = wanted if wanted in options else first

    def write() -> None:
        chosen = st.session_state.get(key)
        if chosen is not None:  # clicking a chosen pill again deselects it: keep what was there
            st.query_params[parameter] = chosen

    if widget in (st.segmented_control, st.pills):
        details.setdefault("required", True)
    chosen = widget(
        label, list(options), format_func=options.get, key=key, on_change=write, **details
    )
    chosen = chosen if chosen in options else first
    if remember:
        st.session_state[memory] = chosen
    return chosen


def number(
    label: str, parameter: str, *, low: int, high: int, value: int | None, **details: Any
) -> int | None:
    """Choose a whole number; the link keeps it. What a link names that is none is said and left out.

    Not bound to the link by Streamlit, which fails on numbers such as 1e999.
    """
    named = st.query_params.get(parameter, "")
    known = _is_whole(named, low, high)
    if named and not known:
        allowed = f"a whole number from {low} to {high}"
        st.warning(str(SpecError(parameter, named, allowed)), icon=":material/link_off:")
    st.session_state[parameter] = int(named) if known else value

    def write() -> None:
        chosen = st.session_state[parameter]
        if chosen is None or chosen == value:
            st.query_params.pop(parameter, None)
        else:
            st.query_params[parameter] = str(int(chosen))

    chosen = st.number_input(
        label,
        min_value=low,
        max_value=high,
        value=None,
        key=parameter,
        on_change=write,
        **details,
    )
    return value if chosen is None else int(chosen)


def _is_whole(text: str, low: int, high: int) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) < 20 and low <= int(text) <= high


def grouped(
    groups: Mapping[str, Mapping[str, str]],
    parameter: str,
    *,
    default: str,
    captions: Callable[[str], str],
) -> str:
    """Choose one id among titled groups of options (id to label), each group a radio of its own.

    The id is kept in the query parameter `parameter`; `captions` gives the small print of an id.
    """
    known = [i for group in groups.values() for i in group]
    wanted = st.query_params.get(parameter)
    chosen = wanted if wanted in known else default

    def write(key: str) -> None:
        if st.session_state[key] is not None:
            st.query_params[parameter] = st.session_state[key]

    for number, (title, group) in enumerate(groups.items()):
        key = f"choice.{parameter}.{number}"
        st.session_state[key] = chosen if chosen in group else None
        st.radio(
            f"**{title}**",
            list(group),
            index=None,
            format_func=group.get,
            captions=[captions(i) for i in group],
            key=key,
            on_change=write,
            args=[key],
        )
    return chosen


def several(
    label: str,
    options: Mapping[str, str],
    parameter: str,
    default: tuple[str, ...],
    most: int | None = None,
    named: Callable[[str], str] | None = None,
    **details: Any,
) -> tuple[str, ...]:
    """Choose some of `options` (id to label), `most` at most; the link keeps ids, separated by commas.

    The default is not written. If the default is not empty, choosing nothing means the default. With
    `named` other ids can be typed: it gives the label of one, and raises `SpecError`, which is said, if it
    is none.
    """
    key = f"several.{parameter}"
    given = st.query_params.get(parameter, "").split(",")
    if named:
        options = {**options, **_known([i for i in given if i and i not in options], named)}
        details["accept_new_options"] = True
    wanted = [i for i in options if i in given][:most]
    st.session_state[key] = wanted or [i for i in default if i in options]

    def write() -> None:
        chosen = [i for i in options if i in st.session_state[key]]
        chosen += [i for i in st.session_state[key] if i not in options]
        if not chosen or tuple(chosen) == default:
            st.query_params.pop(parameter, None)
        else:
            st.query_params[parameter] = ",".join(chosen)

    chosen = st.multiselect(
        label,
        list(options),
        format_func=lambda i: options.get(i, i),
        key=key,
        on_change=write,
        max_selections=most,
        **details,
    )
    return tuple(i for i in chosen if i in options) or default


def _known(ids: Iterable[str], named: Callable[[str], str]) -> dict[str, str]:
    """Labels of the ids that are known by name; the others are said."""
    labels = {}
    for each in ids:
        try:
            labels[each] = named(each)
        except SpecError as error:
            st.warning(plain(str(error)), icon=":material/link_off:")
    return labels
