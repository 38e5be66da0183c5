"""What can be done with the selected runs: open, compare, analyse, export, write on them, delete, undo."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import streamlit as st

from analysis.contract import MOST
from ddcore.base.foreign_text import plain
from ddcore.sets.formats import FORMATS
from ddcore.tasks import notes, trash
from ddcore.tasks.store import Store
from pages.components import (
    compare_views,
    library,
    library_export,
    library_table,
    permissions,
    runs,
    shell,
    task_panel,
)

UNDO = "runs.undo"  # keys that were deleted last, in the session
LISTED = 30  # of the trash
OPEN = {
    "pages/4_Images.py": ("Images", ":material/grid_view:"),
    "pages/3_Run.py": ("Run", ":material/monitoring:"),
    "pages/5_Evaluate.py": ("Evaluate", ":material/balance:"),
}


def bar(store: Store, every: Sequence[library.Row], selected: Sequence[library.Row]) -> None:
    """One row of buttons, there whether something is selected or not."""
    count = len(selected)
    keys = ",".join(row.key for row in selected)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        _go(
            f"Compare {count}" if count > 1 else "Compare",
            "pages/6_Compare.py",
            keys,
            ":material/compare:",
            _how_many(count, 2, compare_views.MOST),
        )
        _go(
            f"Understand {count}" if count else "Understand",
            "pages/8_Understand.py",
            keys,
            ":material/psychology:",
            _how_many(count, 1, MOST),
        )
        _export(selected)
        _star(store, selected)
        if count == 1:
            _note(store, every, selected[0])
        else:
            _tags(store, every, selected)
        _delete(store, selected)
    _said(selected, len(every))


def _how_many(count: int, least: int, most: int) -> str:
    """Why so many cannot be taken; "" if they can."""
    if least <= count <= most:
        return ""
    return f"Select {least} to {most} runs." if least < most else f"Select {most} runs."


def _go(label: str, page: str, keys: str, icon: str, refused: str) -> None:
    name = page.rpartition("_")[2].removesuffix(".py").lower()
    kind = "secondary" if refused else "primary"
    if st.button(
        label,
        key=f"runs.go.{name}",
        icon=icon,
        disabled=bool(refused),
        help=refused or None,
        type=kind,
    ):
        shell.go(page, runs=keys)


def _said(selected: Sequence[library.Row], count: int) -> None:
    """What is selected, with ways to the pages of a single run; how to select if nothing is."""
    if not selected:
        st.caption("Select rows with the boxes at their left; hold Shift for several.")
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if len(selected) > 1:
            st.caption(f"{len(selected)} of {count} selected.", width="content")
        else:
            card = selected[0].card
            st.markdown(f"**{plain(card.title)}**", width="content")
            st.caption(f"{plain(card.facts)} · `{card.key[:8]}`", width="content")
            for page, (label, icon) in OPEN.items():
                shell.link(page, label, icon=icon, run=card.key)
        st.button(
            "Clear", key="runs.clear", type="tertiary", on_click=library_table.select, args=[()]
        )
    if len(selected) == 1 and (text := selected[0].note.text):
        st.text(text)


# --- taking along ---------------------------------------------------------------------------------


def _export(selected: Sequence[library.Row]) -> None:
    """A zip of the sets with a table of what they are."""
    reason = library_export.refused(selected) if selected else "Select at least one run."
    with st.popover(
        "Export",
        icon=":material/download:",
        disabled=bool(reason),
        help=reason or None,
        key="runs.export",
    ):
        names = list(FORMATS)
        format = st.selectbox("Format", names, format_func=lambda n: FORMATS[n].about)
        st.caption("With a table of names, settings and accuracies (runs.csv).")
        st.download_button(
            f"Download {len(selected)} as zip",
            data=lambda: library_export.archive(selected, format),
            file_name="runs.zip",
            mime="application/zip",
            key="runs.export.get",
            icon=":material/download:",
            on_click="ignore",
        )


# --- writing on them ------------------------------------------------------------------------------


def _star(store: Store, selected: Sequence[library.Row]) -> None:
    """Star those without a star; where all have one, take it away."""
    on = bool(selected) and all(row.note.starred for row in selected)
    pressed = permissions.button(
        "Unstar" if on else "Star",
        key="runs.do.star",
        icon=":material/star:",
        disabled=not selected,
    )
    if pressed:
        permissions.note(store, [row.key for row in selected], starred=not on)
        st.rerun()


def _note(store: Store, every: Sequence[library.Row], row: library.Row) -> None:
    """Name, note and tags of one run; what somebody else writes meanwhile makes a new form."""
    # Under the note's content: a form that was filled from an older one must not write it back.
    mark = f"{row.key}.{zlib.crc32(repr(row.note).encode('utf-8', 'replace')):08x}"
    with st.popover("Name and note", icon=":material/edit:", key="runs.write"):
        name = st.text_input(
            "Name", row.note.name, max_chars=notes.MOST_NAME, key=f"runs.name.{mark}"
        )
        text = st.text_area(
            "Note", row.note.text, max_chars=notes.MOST_TEXT, key=f"runs.text.{mark}"
        )
        tags = _tag_choice("Tags", every, row.note.tags, f"runs.tags.{mark}")
        if permissions.button("Save", key="runs.do.note", type="primary", icon=":material/save:"):
            old = set(row.note.tags)
            changes = {"name": name, "text": text} if (name, text) != _texts(row) else {}
            add, drop = set(tags) - old, old - set(tags)
            permissions.note(store, [row.key], **changes, add=add, drop=drop)
            st.rerun()


def _texts(row: library.Row) -> tuple[str, str]:
    return row.note.name, row.note.text


def _tags(store: Store, every: Sequence[library.Row], selected: Sequence[library.Row]) -> None:
    """Tags for all that are selected, and away from all."""
    with st.popover("Tag", icon=":material/sell:", disabled=not selected, key="runs.tag"):
        # A form of its own for each selection.
        mark = f"{zlib.crc32(','.join(row.key for row in selected).encode()):08x}"
        add = _tag_choice("Add", every, (), f"runs.add.{mark}")
        there = sorted({tag for row in selected for tag in row.note.tags})
        drop = st.multiselect("Take away", there, key=f"runs.drop.{mark}") if there else []
        if permissions.button("Apply", key="runs.do.tag", type="primary", icon=":material/sell:"):
            permissions.note(store, [row.key for row in selected], add=add, drop=drop)
            st.rerun()


def _tag_choice(
    label: str, every: Sequence[library.Row], chosen: Sequence[str], key: str
) -> list[str]:
    """Tags that are used already, or new ones."""
    known = sorted({tag for row in every for tag in row.note.tags})
    return st.multiselect(
        label,
        known,
        default=list(chosen),
        accept_new_options=True,
        key=key,
        placeholder="Choose or type",
    )


# --- deleting -------------------------------------------------------------------------------------


def _delete(store: Store, selected: Sequence[library.Row]) -> None:
    """Move the own ones to the trash, after saying which stay."""
    own = [row for row in selected if not row.card.shipped]
    shipped = len(selected) - len(own)
    with st.popover("Delete", icon=":material/delete:", disabled=not selected, key="runs.delete"):
        if shipped:
            what = "This run is" if len(selected) == 1 else f"{shipped} of these are"
            st.markdown(f"{what} shipped and cannot be deleted.")
        if not own:
            return
        what = "1 run" if len(own) == 1 else f"{len(own)} runs"
        st.markdown(
            f"Move {what} to the trash, with what was measured of "
            f"{'it' if len(own) == 1 else 'them'}? They can be restored for {trash.KEEP_DAYS} days."
        )
        if permissions.button(
            f"Delete {what}", key="runs.do.delete", type="primary", icon=":material/delete:"
        ):
            keys = {row.key for row in own}
            gone = permissions.throw(store, [row.task for row in own])
            st.session_state[UNDO] = tuple(t.key for t in gone if t.key in keys)
            library_table.select(())
            st.rerun()


def undo(store: Store) -> None:
    """What was deleted last, and a button that brings it back; nothing once it is."""
    inside = {each.task.key for each in trash.thrown(store)} if st.session_state.get(UNDO) else ()
    keys = [key for key in st.session_state.get(UNDO, ()) if key in inside]
    if not keys:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(f"{_runs(len(keys))} moved to the trash.", width="content")
        if permissions.button("Undo", key="runs.do.undo", icon=":material/undo:", type="tertiary"):
            permissions.restore(store, keys)
            st.session_state.pop(UNDO)
            st.rerun()


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def trash_can(store: Store) -> None:
    """What was deleted and can be restored; nothing if that is nothing."""
    inside = trash.thrown(store)
    keys = {each.task.key for each in inside}
    shown = [each for each in inside if trash.subject(each.task) not in keys]
    if not shown:
        return
    with st.expander(f"Trash ({len(shown)})", icon=":material/delete:", key="runs.trash"):
        for each in shown[:LISTED]:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                if permissions.button(
                    "Restore",
                    key=f"runs.do.restore.{each.task.kind}.{each.task.key}",
                    type="tertiary",
                    icon=":material/restore_from_trash:",
                ):
                    permissions.restore(store, [each.task.key])
                    st.rerun()
                st.markdown(plain(task_panel.title(each.task)), width="content")
                left = max(0, round(each.days_left))
                when = f"deleted {runs.ago(each.at)} · gone for good in {left} days"
                st.caption(when, width="content")
        if len(shown) > LISTED:
            st.caption(f"The last {LISTED} of {len(shown)} are listed.")
        with st.popover("Empty the trash", icon=":material/delete_forever:", key="runs.empty"):
            st.markdown("Remove all of it for good? Nothing of it can be restored afterwards.")
            if permissions.button("Remove for good", key="runs.do.empty", type="primary"):
                permissions.empty_trash(store)
                st.rerun()
