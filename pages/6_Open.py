"""Open: a set that was made elsewhere, checked, shown, and kept like a run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import streamlit as st

from ddcore.base.errors import DDError
from ddcore.base.foreign_text import plain
from ddcore.sets.imported_spec import ImportTask, size_text
from ddcore.sets.importers import Report
from ddcore.sets.importers.base import MAX_UPLOAD
from ddcore.tasks import jobs
from pages.components import (
    open_pictures,
    open_preview,
    open_views,
    opened_views,
    permissions,
    shell,
    task_panel,
)

INTRO = """A distilled set made with another program becomes a set like those made here: look at every image,
measure it beside random real images and class means, take it away as a file. Files are only read on this
machine; nothing in them is run, and nothing is kept before you open it."""

WHITENING = """The whitening is computed from the training images here, without the tenth that is kept for
validation: it differs a little from the authors'. The first time this takes some minutes."""


def main() -> None:
    """The whole page."""
    st.title("Open a set", anchor=False)
    reason = permissions.refusal()
    uploads = st.file_uploader(
        "Files of one set",
        disabled=bool(reason),
        accept_multiple_files=True,
        max_upload_size=MAX_UPLOAD >> 20,
        key="open.files",
        help="Where images and labels are in two files, give both. A contact sheet (.png) needs no labels.",
    )
    if reason:
        st.info(plain(reason), icon=":material/visibility:")
    if uploads and not reason:
        given(uploads)
        with st.expander("What can be opened", icon=":material/help:", key="open.layouts"):
            st.markdown(open_views.layouts())
    else:
        st.markdown(open_views.layouts())
    st.caption(INTRO)
    opened_views.before()


def given(uploads: Sequence[Any]) -> None:
    """Uploaded files: what they are, how they are understood, the button that opens them."""
    key = "open." + hashlib.sha256("".join(f.file_id for f in uploads).encode()).hexdigest()[:8]
    try:
        made = None
        if open_pictures.are_given(uploads):
            made = open_pictures.ask(uploads, key)
            if made is None:
                return
            uploads = [made]
        report = open_views.read(uploads, st.session_state.get(f"{key}.experiment", 0))
    except DDError as error:
        st.error(plain(error), icon=":material/error:")
        return
    st.header("What was found", anchor=False)
    open_views.found(report)
    known = open_views.candidates(report)
    if made:
        known = {i: chosen for i, chosen in known.items() if i == made.data}
    if not known:
        nothing_fits(report)
        return
    left, right = st.columns([3, 2], gap="large")
    with right:
        experiment(report, f"{key}.experiment")
        try:
            spec, chosen = open_views.ask(report, known, key, settled=made is not None)
        except DDError as error:
            st.error(plain(error), icon=":material/error:")
            return
        opener(spec, uploads)
    with left:
        open_preview.show(report, spec, chosen)


def experiment(report: Report, key: str) -> None:
    """Which of several sets in the files; they are read anew with the choice."""
    if (count := report.found.experiments) > 1:
        st.selectbox(
            "Experiment",
            range(count),
            format_func=lambda i: f"{i + 1} of {count}",
            key=key,
            help="The file holds several sets, made with different seeds.",
        )


def nothing_fits(report: Report) -> None:
    """What to do if no dataset here has such images."""
    facts = report.facts
    st.warning(
        f"None of the datasets here has {facts.classes} classes and can have images of "
        f"{size_text(facts.shape)}: a set can only be judged on the data it stands for.",
        icon=":material/photo_library:",
    )
    shell.link("pages/1_Data.py", "Get or open the dataset", icon=":material/photo_library:")


def opener(spec: ImportTask, uploads: Sequence[Any]) -> None:
    """The button, then the progress, then the links."""
    store = shell.store()
    task = store.task(spec)
    state = jobs.state(task)["state"]
    if state == "done":
        shell.remember(task.key)
        with st.container(border=True, key="open.done"):
            st.markdown(f"**It is open.** {opened_views.sentence(task)}")
            opened_views.ways_on(task)
    elif state == "missing":
        st.caption(f"Network {spec.net.label()}, protocol {plain(spec.protocol.name)}.")
        if spec.data.preprocess == "zca":
            st.caption(WHITENING)
        if permissions.button(
            "Open it", key="open.go", type="primary", icon=":material/file_open:"
        ):
            files, names = [f.getvalue() for f in uploads], [f.name for f in uploads]
            permissions.bring(store, spec, files, names)
            st.rerun()
    else:
        task_panel.show(task, key="open.task")


with shell.page(
    "Open a set",
    section="Look",
    icon=":material/file_open:",
    about="Look at a set made elsewhere",
):
    main()
