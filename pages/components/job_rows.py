"""One row per job: its state, what it is about with a way there, how far it is, what can be done."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from analysis import analyses
from ddcore.base.errors import DDError
from ddcore.base.foreign_text import plain
from ddcore.base.texts import size
from ddcore.sets.distilled import KINDS
from ddcore.tasks import elsewhere, jobs, trash
from ddcore.tasks.store import Store, Task
from pages.components import graph_links, paging, permissions, runs, shell, task_panel

FolderState = tuple[Task, dict[str, Any]]  # a folder with its state
PER_PAGE = 25
NAMED = 2  # sets of an analysis that its row names
ABOUT = {  # where to look at what a task found out about a run
    "evaluate": "pages/5_Evaluate.py",
    "changes": "pages/5_Evaluate.py",
    "nearest": "pages/4_Images.py",
}


def paged(
    found: Sequence[FolderState], key: str, draw: Callable[[Sequence[FolderState]], None]
) -> None:
    """All of them in pages, each drawn by `draw`; `key` keeps the number of the page."""
    pages = -(-len(found) // PER_PAGE)
    page = paging.current(key, pages)
    first = (page - 1) * PER_PAGE
    draw(found[first : first + PER_PAGE])
    if pages > 1:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.pagination(pages, key=key)
            last = min(first + PER_PAGE, len(found))
            st.caption(f"{first + 1} to {last} of {len(found)}", width="content")


@st.cache_data(ttl=30, show_spinner=False)
def disk(root: str) -> tuple[int, int]:
    """Bytes used by the store, its trash included, and bytes free beside it."""
    store = Store(Path(root), None)
    tasks = [*store.tasks(), *(each.task for each in trash.thrown(store))]
    used = sum(task.bytes_on_disk() for task in tasks)
    return used, shutil.disk_usage(store.root if store.root.exists() else ".").free


# --- what it is about -----------------------------------------------------------------------------


def title(task: Task) -> str:
    """What a task is about, in words: an analysis names its sets."""
    keys = _sets_of(task)
    of = analyses().get(task.kind)
    if not (of and keys):
        return task_panel.title(task)
    names = [_set_title(key) for key in keys[:NAMED]]
    more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
    return f"{of.title}: {'; '.join(names)}{more}"


def _sets_of(task: Task) -> list[str]:
    keys = runs.spec_of(task).get("run_keys")
    return [k for k in keys if isinstance(k, str)] if isinstance(keys, (list, tuple)) else []


def _set_title(key: str) -> str:
    try:
        card = runs.card(shell.find_run(key))
    except (DDError, OSError, KeyError, TypeError):
        return f"{key[:8]} (deleted)"
    return f"{card.title}, {card.ipc} per class"


def name(task: Task, words: str) -> None:
    """The title; a link where there is a page about it."""
    if task.kind in KINDS:
        shell.link("pages/3_Run.py", plain(words), run=task.key)
    elif task.kind in ABOUT and (run := runs.subject_of(task)):
        shell.link(ABOUT[task.kind], plain(words), run=run)
    elif graph := task.key if task.kind == trash.GRAPH else _graph_of(task):
        shell.link(graph_links.PAGE, plain(words), **{graph_links.PARAMETER: graph})
    elif task.kind == "dataset":
        shell.link("pages/1_Data.py", plain(words), data=task.key)
    elif task.kind in analyses() and (keys := _sets_of(task)):
        from pages.components import analysis_page

        page = analysis_page.path(analyses()[task.kind])
        shell.link(page, plain(words), runs=",".join(keys))
    else:
        st.markdown(plain(words), width="content")


def _graph_of(task: Task) -> str:
    """The condensed graph that something was measured of; "" where it is about none."""
    return runs.subject_of(task) if trash.OF_GRAPH in runs.spec_of(task) else ""


# --- active ones ----------------------------------------------------------------------------------


def active(found: Sequence[FolderState]) -> None:
    """Queued and running tasks, looked at once per second; the page is drawn anew when one changes state."""
    shown = [(task, status["state"], title(task)) for task, status in found]
    st.fragment(_live, run_every=task_panel.EVERY_S)(shown)


def _live(shown: Sequence[tuple[Task, str, str]]) -> None:
    with shell.boundary():
        places = jobs.queue_places(shell.store())  # once: each looks at all who wait
        for task, state, words in shown:
            status = jobs.state(task)
            if status["state"] != state:
                st.rerun()
            jobs.escalate(task)
            _active_row(task, status, words, places)


def _active_row(task: Task, status: dict[str, Any], words: str, places: Mapping[str, int]) -> None:
    left, middle, right = st.columns([5, 4, 1.4], vertical_alignment="center")
    with left.container(horizontal=True, vertical_alignment="center", gap="small"):
        task_panel.badge(status["state"])
        name(task, words)
        task_panel.started_by(task)
    with middle:
        if status["state"] != "queued":
            task_panel.bar(status)
        elif text := task_panel.queue_text(task, status, places):
            st.caption(text)
        said = [text for text in (elsewhere.place_text(status), status.get("message")) if text]
        if said:
            st.caption(plain(" · ".join(said)))
    with right.container(horizontal=True, horizontal_alignment="right"):
        task_panel.stop_button(task, f"jobs.{task.key}")


# --- others ---------------------------------------------------------------------------------------


def newest(found: Sequence[FolderState]) -> list[FolderState]:
    """Last written first."""
    return sorted(found, key=lambda ts: -changed(ts[0]))


def changed(task: Task) -> float:
    """When it was finished, else when its state was last written."""
    for each in ("done.json", "status.json", "spec.json"):
        try:
            return (task.folder / each).stat().st_mtime
        except OSError:
            continue
    return 0.0


def past(store: Store, task: Task, status: dict[str, Any]) -> None:
    """One stopped, damaged or finished task with its actions."""
    stopped = status["state"] != "done"
    left, right = st.columns([7, 2.4], vertical_alignment="center")
    message = status.get("message") if stopped else ""
    facts = [runs.ago(changed(task)), size(task.bytes_on_disk())]
    with left.container(gap="xxsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            task_panel.badge(status["state"])
            name(task, title(task))
            task_panel.started_by(task)
            st.caption(" · ".join(facts), width="content")
        if message:
            st.caption(plain(message))
    with right.container(horizontal=True, horizontal_alignment="right", gap="small"):
        if status["state"] == "damaged":
            _recompute(store, task)
        elif stopped:
            _resume(store, task)
        _delete(store, task, finished=not stopped)


def _resume(store: Store, task: Task) -> None:
    """Queue a stopped task again."""
    key = f"jobs.resume.{task.key}"
    if permissions.button("Resume", key=key, type="tertiary", icon=":material/restart_alt:"):
        permissions.resume(store, task)
        st.rerun()


def _recompute(store: Store, task: Task) -> None:
    """Queue a damaged task again, where it is still known what it was."""
    if not task_panel.readable(task):
        return
    key = f"jobs.recompute.{task.key}"
    if permissions.button("Compute again", key=key, type="tertiary", icon=":material/restart_alt:"):
        permissions.recompute(store, task)
        st.rerun()


def _delete(store: Store, task: Task, finished: bool) -> None:
    """Delete a folder, after asking; a finished one can be restored for a while."""
    ask = f"jobs.ask.{task.key}"
    with st.popover("Delete", type="tertiary", icon=":material/delete:", key=ask):
        if finished:
            st.markdown(
                f"Move it to the trash? On the page Runs it can be restored for {trash.KEEP_DAYS} days."
            )
        else:
            again = task_panel.readable(task) and task.kind != "import"
            note = "It can be computed again." if again else "Its files go with it."
            st.markdown(f"Delete this folder for good? {note}")
        if permissions.button("Delete it", key=f"jobs.delete.{task.key}", type="primary"):
            if finished:
                permissions.throw(store, [task])
            else:
                permissions.delete(store, task)
            disk.clear()
            st.rerun()
