"""Figures for papers: any panel of a page as a file of a column's width, and its numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from analysis.export import csv_text
from analysis.printed import archive, panel, table
from analysis.printed.panel import Panel
from ddcore.base.foreign_text import plain

EVERY = "all"
WIDTHS = {"single": "One column, 3.25 in", "double": "Two columns, 6.75 in"}
ZIP = "application/zip"


def popover(
    titles: Sequence[str], draw: Callable[[], Sequence[Panel]], *, key: str, stem: str, line: str
) -> None:
    """A button that opens choices of panel, format and width; nothing is drawn before it is downloaded.

    `draw` gives the panels with these titles, `line` says where they come from, `stem` begins file names.
    """
    with st.popover("Figures for papers", icon=":material/imagesmode:", key=f"{key}.paper"):
        st.fragment(_choices)(titles, draw, key, stem, line)


def _choices(
    titles: Sequence[str], draw: Callable[[], Sequence[Panel]], key: str, stem: str, line: str
) -> None:
    options = {EVERY: "All panels (zip)"} if len(titles) > 1 else {}
    options |= {str(place): title for place, title in enumerate(titles)}
    chosen = st.selectbox("Panel", list(options), format_func=options.get, key=f"{key}.panel")
    format, width, named = look(key)
    written = line if named else ""
    st.caption(plain(written) if written else "No line below the figure.")

    def figure() -> bytes:
        if chosen == EVERY:
            return archive.of_panels(draw(), format, width, written)
        return panel.content(draw()[int(chosen)], format, width, written)

    def numbers() -> str:
        return csv_text(table.rows(draw()[int(chosen)].figure))

    name = stem if chosen == EVERY else f"{stem}-{int(chosen) + 1}"
    suffix, mime = ("zip", ZIP) if chosen == EVERY else (format, panel.FORMATS[format])
    with st.container(horizontal=True, gap="small"):
        download("Download", figure, f"{name}.{suffix}", mime, f"{key}.get")
        if chosen != EVERY:
            download("Its numbers (CSV)", numbers, f"{name}.csv", "text/csv", f"{key}.panel.csv")


def look(key: str) -> tuple[str, str, bool]:
    """Format, width, and whether the line about runs is written."""
    required = {"required": True, "default": "pdf"}
    format = st.segmented_control(
        "Format", list(panel.FORMATS), format_func=str.upper, key=f"{key}.format", **required
    )
    width = st.segmented_control(
        "Width",
        list(WIDTHS),
        format_func=WIDTHS.get,
        key=f"{key}.width",
        default="single",
        required=True,
    )
    named = st.toggle("Say below it where it comes from", value=True, key=f"{key}.named")
    return format or "pdf", width or "single", named


def download(label: str, data: Callable[[], bytes | str], name: str, mime: str, key: str) -> None:
    """A button for a file that is made when it is asked for."""
    st.download_button(
        label,
        data,
        file_name=name,
        mime=mime,
        key=key,
        icon=":material/download:",
        on_click="ignore",
    )
