"""Jobs: what the machine is doing; stop, resume, delete; disk."""

from __future__ import annotations

import shutil

import streamlit as st

from ddcore.base.foreign_text import plain
from ddcore.base.texts import size
from ddcore.sets.distilled import KINDS
from ddcore.tasks import jobs, locks, queue
from ddcore.tasks.store import Store, Task
from pages.components import permissions, runs, shell, task_panel

STOPPED = ("failed", "cancelled", "lost")
RECENT = 20
ABOUT = {  # where to look at what a task found out about a run
    "evaluate": "pages/5_Evaluate.py",
    "changes": "pages/5_Evaluate.py",
    "nearest": "pages/4_Images.py",
}
PARTS = ("accuracy", "baseline")  # made by evaluations, not asked for by people


def main() -> None:
    """The whole page."""
    st.title("Jobs", anchor=False)
    st.markdown(
        "Everything that takes longer than a moment runs here, one task per device at a time."
    )
    store = shell.store()
    found = [(t, jobs.state(t)) for t in store.tasks() if not t.shipped]
    active = [t for t, s in found if s["state"] in jobs.ACTIVE]
    stopped = [(t, s) for t, s in found if s["state"] in STOPPED]
    damaged = [(t, s) for t, s in found if s["state"] == "damaged"]
    done = [(t, s) for t, s in found if s["state"] == "done" and t.kind not in PARTS]
    machine(store, len(stopped))
    st.header("Now", anchor=False)
    if not active:
        st.caption("Nothing is running or waiting.")
        shell.link("pages/2_Distil.py", "Distil something", icon=":material/science:")
    for task in sorted(active, key=lambda t: t.status().get("queued", 0)):
        task_panel.show(task, key=f"jobs.{task.key}")
        jobs.escalate(task)
    if damaged:
        st.header("Damaged", anchor=False)
        st.caption("Files of these are not as they were written. Nothing is taken from them.")
        for task, status in newest(damaged):
            row(store, task, status)
    if stopped:
        st.header("Stopped", anchor=False)
        for task, status in newest(stopped):
            row(store, task, status)
    st.header("Finished", anchor=False)
    if not done:
        st.caption("Nothing has been computed here yet; shipped results are not listed.")
    for task, status in newest(done)[:RECENT]:
        row(store, task, status)
    if len(done) > RECENT:
        st.caption(f"The newest {RECENT} of {len(done)} are shown.")


def newest(found: list[tuple[Task, dict]]) -> list[tuple[Task, dict]]:
    """Last written first."""
    return sorted(found, key=lambda ts: -changed(ts[0]))


def changed(task: Task) -> float:
    """When it was finished, else when its state was last written."""
    names = ("done.json", "status.json", "spec.json")
    found = (task.folder / n for n in names if (task.folder / n).exists())
    return next((f.stat().st_mtime for f in found), 0.0)


def machine(store: Store, stopped: int) -> None:
    """Slots, disk and the prune button."""
    names = queue.slot_names("compute")
    columns = st.columns([*[1] * min(len(names), 4), 1, 1, 2])
    for column, name in zip(columns, names[:4]):
        busy = locks.is_held(store.root / "slots" / f"{name}.lock")
        column.metric(name.partition("-")[2], "busy" if busy else "free", help="A compute slot.")
    waiting = sum(len(queue.waiting(store.root, slot)) for slot in ("compute", "light"))
    columns[-3].metric("Waiting", f"{waiting}")
    used, free = disk(str(store.root))
    columns[-2].metric(
        "Results on disk", size(used), help=f"{size(free)} are free. In {store.root}"
    )
    with columns[-1].popover(
        "Clean up ...", icon=":material/cleaning_services:", disabled=not stopped
    ):
        st.markdown(
            f"Delete the folders of {stopped} stopped tasks, with their checkpoints? "
            "Finished results stay."
        )
        if permissions.button(
            "Delete them", key="jobs.prune", type="primary", icon=":material/delete:"
        ):
            removed = permissions.prune(store, STOPPED)
            st.toast(f"{len(removed)} folders deleted.")
            disk.clear()
            st.rerun()


@st.cache_data(ttl=30, show_spinner=False)
def disk(root: str) -> tuple[int, int]:
    """Bytes used by the store, bytes free beside it."""
    store = Store(root, None)
    used = sum(task.bytes_on_disk() for task in store.tasks())
    return used, shutil.disk_usage(store.root if store.root.exists() else ".").free


def row(store: Store, task: Task, status: dict) -> None:
    """One stopped or finished task with its actions."""
    stopped = status["state"] in (*STOPPED, "damaged")
    left, right = st.columns([7, 2], vertical_alignment="center")
    with left.container(gap="xxsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            task_panel.badge(status["state"])
            name(task)
            task_panel.started_by(task)
        message = status.get("message") if stopped else ""
        facts = [runs.ago(changed(task)), size(task.bytes_on_disk()), plain(message or "")]
        st.caption(" · ".join(filter(None, facts)))
    with right.container(horizontal=True, horizontal_alignment="right", gap="small"):
        if status["state"] == "damaged":
            recompute(store, task)
        elif stopped:
            resume(store, task)
        delete(store, task, again=task_panel.readable(task))


def name(task: Task) -> None:
    """The task's title; a link where there is a page about it."""
    if task.kind in KINDS:
        shell.link("pages/3_Run.py", plain(task_panel.title(task)), run=task.key)
    elif task.kind in ABOUT and (run := runs.subject_of(task)):
        shell.link(ABOUT[task.kind], plain(task_panel.title(task)), run=run)
    else:
        st.markdown(plain(task_panel.title(task)), width="content")


def resume(store: Store, task: Task) -> None:
    """Queue a stopped task again."""
    key = f"jobs.resume.{task.key}"
    if permissions.button("Resume", key=key, type="tertiary", icon=":material/restart_alt:"):
        permissions.resume(store, task)
        st.rerun()


def recompute(store: Store, task: Task) -> None:
    """Queue a damaged task again, where it is still known what it was."""
    if not task_panel.readable(task):
        return
    key = f"jobs.recompute.{task.key}"
    if permissions.button("Compute again", key=key, type="tertiary", icon=":material/restart_alt:"):
        permissions.recompute(store, task)
        st.rerun()


def delete(store: Store, task: Task, again: bool) -> None:
    """Delete a folder, after asking; `again` says whether it could be computed again."""
    ask = f"jobs.ask.{task.key}"
    with st.popover("Delete", type="tertiary", icon=":material/delete:", key=ask):
        note = "It can be computed again." if again else ""
        note = "Its files go with it." if task.kind == "import" else note
        st.markdown(f"Delete this folder for good? {note}")
        if permissions.button("Delete it", key=f"jobs.delete.{task.key}", type="primary"):
            permissions.delete(store, task)
            disk.clear()
            st.rerun()


with shell.page(
    "Jobs", section="Machine", icon=":material/memory:", about="What the machine is doing"
):
    main()
