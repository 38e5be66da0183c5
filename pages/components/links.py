"""Choices that live in the address bar under a stable id, so that a view can be sent as a link.

Streamlit's own `bind="query-params"` writes the *label* of an option; use it for texts and switches,
`number` for whole numbers and `choice` for anything whose id differs from what people read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ddcore.base.errors import SpecError, short
from ddcore.base.fields import Declared
from ddcore.base.foreign_text import plain
from pages.components import teach, views


def choice(
    label: str,
    options: Mapping[str, str],
    parameter: str,
    *,
    default: str | None = None,
    widget: Callable[..., Any] = st.selectbox,
    remember: bool = False,
    explained: bool = False,
    group: str = "",
    **details: Any,
) -> str:
    """Choose one of `options` (id to label); the id is kept in the query parameter `parameter`.

    `widget` is `st.selectbox`, `st.segmented_control`, `st.pills` or `st.radio`. An id in the link that
    is no option is said, unless the page has `explained` it; without one, `remember` takes the last choice of
    this session. `group` is of `teach.GROUPS`, where it does not follow from the parameter. Returns the id.
    """
    first = default if default in options else next(iter(options))
    key, memory = f"choice.{parameter}", f"last.{parameter}"
    named, last = st.query_params.get(parameter), st.session_state.get(memory)
    if remember and last in options:
        first = last
    if not explained:
        views.check(parameter, named, named in options, views.one_of(options))
    st.session_state[key] = named if named in options else first
    views.take(parameter, first)
    group = group or teach.OF.get(parameter, "view")

    def write() -> None:
        chosen = st.session_state.get(key)
        if chosen is not None:  # clicking a chosen pill again deselects it: keep what was there
            st.query_params[parameter] = chosen

    if widget in (st.segmented_control, st.pills):
        details.setdefault("required", True)
    with teach.part(group, key):
        chosen = widget(
            label,
            list(options),
            format_func=options.get,
            key=key,
            on_change=write,
            disabled=teach.off(group),
            **details,
        )
    chosen = chosen if chosen in options else first
    if remember:
        st.session_state[memory] = chosen
    return chosen


def number(
    label: str,
    parameter: str,
    *,
    low: int,
    high: int,
    value: int | None,
    below: DeltaGenerator | None = None,
    **details: Any,
) -> int | None:
    """Choose a whole number; the link keeps it. What a link or a person names that is none is said, here or
    in `below`, and `value` taken.

    Not bound to the link by Streamlit, which fails on numbers such as 1e999; not limited by the widget, which
    cuts off fractions and goes on with another number than is shown.
    """
    named = st.query_params.get(parameter, "")
    known = _is_whole(named, low, high)
    if named and not known:
        text = (
            f"{label}: {short(named)} is not used, it is no whole number from {low:,} to {high:,}."
        )
        (below or st).warning(plain(text), icon=":material/link_off:")
    number = int(named) if known else value
    st.session_state[parameter] = None if number is None else float(number)

    def write() -> None:
        chosen = st.session_state[parameter]
        if chosen is None or chosen == value:
            st.query_params.pop(parameter, None)
        else:
            st.query_params[parameter] = f"{chosen:.15g}"

    views.take(parameter, value)
    group = teach.OF.get(parameter, "view")
    with teach.part(group, f"number.{parameter}"):
        st.number_input(
            label,
            value=None,
            step=1.0,
            format="%.12g",
            key=parameter,
            on_change=write,
            disabled=teach.off(group),
            **details,
        )
    return number


def field(
    label: str, parameter: str, said: Declared, *, value: int | None, **details: Any
) -> int | None:
    """Choose a whole number as a field of a spec declares it; the link keeps it."""
    low, high = int(said.low or 0), int(said.high or 0)
    return number(
        label, parameter, low=low, high=high, value=value, help=said.sentences(), **details
    )


def _is_whole(text: str, low: int, high: int) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) < 20 and low <= int(text) <= high


def several(
    label: str,
    options: Mapping[str, str],
    parameter: str,
    default: tuple[str, ...],
    most: int | None = None,
    named: Callable[[str], str] | None = None,
    explained: bool = False,
    **details: Any,
) -> tuple[str, ...]:
    """Choose some of `options` (id to label), `most` at most; the link keeps ids, separated by commas.

    The default is not written. If the default is not empty, choosing nothing means the default. With
    `named` other ids can be typed: it gives the label of one, and raises `SpecError`, which is said, if it
    is none. Other ids of the link are said, unless the page has `explained` them.
    """
    key = f"several.{parameter}"
    given = st.query_params.get(parameter, "").split(",")
    unknown = [i for i in given if i and i not in options]
    if not (named or explained):
        views.check(parameter, ",".join(unknown), not unknown, views.one_of(options))
    views.take(parameter, ",".join(default))
    group = teach.OF.get(parameter, "view")
    if named:
        options = {**options, **_known(unknown, named)}
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

    with teach.part(group, key):
        chosen = st.multiselect(
            label,
            list(options),
            format_func=lambda i: options.get(i, i),
            key=key,
            on_change=write,
            max_selections=most,
            disabled=teach.off(group),
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
