"""Jobs: what the machine is doing; stop, resume, delete; disk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from ddcore.base.foreign_text import plain
from ddcore.base.texts import size
from ddcore.tasks import jobs, launchers, locks, queue, stamps
from ddcore.tasks.launchers import watch
from ddcore.tasks.store import Store, Task
from pages.components import job_rows, permissions, shell

STOPPED = ("failed", "cancelled", "lost")
PARTS = (  # made by evaluations and other tasks, not asked for by people
    "accuracy",
    "accuracy_part",
    "baseline",
    "trajectories_part",
)


def main() -> None:
    """The whole page."""
    st.title("Jobs", anchor=False)
    store = shell.store()
    found = [(t, state(t)) for t in store.tasks() if not t.shipped]
    active = [(t, s) for t, s in found if s["state"] in jobs.ACTIVE]
    stopped = [(t, s) for t, s in found if s["state"] in STOPPED]
    machine(store, active, len(stopped))
    now(active)
    if damaged := [(t, s) for t, s in found if s["state"] == "damaged"]:
        st.header(f"Damaged ({len(damaged)})", anchor=False)
        st.caption("Files of these are not as they were written. Nothing is taken from them.")
        past(store, damaged, "jobs.page.damaged")
    if stopped:
        st.header(f"Stopped ({len(stopped)})", anchor=False)
        past(store, stopped, "jobs.page.stopped")
    done = [(t, s) for t, s in found if s["state"] == "done" and t.kind not in PARTS]
    st.header(f"Finished ({len(done)})" if done else "Finished", anchor=False)
    if not done:
        st.caption("Nothing has been computed here yet; shipped results are not listed.")
    past(store, done, "jobs.page.done")


def state(task: Task) -> dict[str, Any]:
    """The task's state; a finished folder that has not changed is not read again."""
    return {"state": "done"} if stamps.finished(task) else jobs.state(task)


def now(active: list[job_rows.FolderState]) -> None:
    """What is running or waits, the running ones first, in the order of the queue."""
    with shell.main():
        _now(active)


def _now(active: list[job_rows.Found]) -> None:
    st.header(f"Now ({len(active)})" if active else "Now", anchor=False)
    if not active:
        st.caption(
            "Nothing is running or waiting. Everything that takes longer than a moment will be here."
        )
        shell.link("pages/2_Distil.py", "Distil something", icon=":material/science:")
        return
    if len(active) > 1:
        stop_all([t for t, _ in active])
    order = sorted(active, key=lambda ts: (ts[1]["state"] == "queued", ts[1].get("queued") or 0))
    job_rows.paged(order, "jobs.page.now", job_rows.active)


def stop_all(active: list[Task]) -> None:
    """Ask all of them to stop."""
    with st.popover(f"Stop all {len(active)}", icon=":material/stop:", key="jobs.ask.all"):
        st.markdown("Stop everything? Each writes a checkpoint first, so that it can be resumed.")
        if permissions.button("Stop all", key="jobs.all.stop", type="primary"):
            permissions.cancel(*active)
            st.rerun()


def past(store: Store, found: list[job_rows.FolderState], key: str) -> None:
    """Tasks that neither run nor wait, in pages."""

    def draw(shown: Sequence[job_rows.FolderState]) -> None:
        for task, status in shown:
            job_rows.past(store, task, status)

    job_rows.paged(job_rows.newest(found), key, draw)


def machine(store: Store, active: list[job_rows.FolderState], stopped: int) -> None:
    """Slots or the scheduler, disk and the prune button."""
    scheduler = launchers.chosen()
    names = [] if scheduler else queue.slot_names("compute")[:4]
    columns = st.columns([*[1] * max(len(names), 1), 1, 1, 2], vertical_alignment="center")
    for column, name in zip(columns, names):
        busy = locks.is_held(store.root / "slots" / f"{name}.lock")
        column.metric(name.partition("-")[2], "busy" if busy else "free", help="A compute slot.")
    if scheduler:
        running = sum("job" in s and s["state"] == "running" for _, s in active)
        silence = watch.of(scheduler.name).listing().silence
        about = "Runs are computed where it says; what takes seconds is computed here."
        value = "no answer" if silence else f"{running} running"
        columns[0].metric(scheduler.title, value, help=plain(silence) or about)
    waiting = sum(status["state"] == "queued" for _, status in active)
    columns[-3].metric("Waiting", f"{waiting}", help="Tasks that are queued and not running yet.")
    used, free = job_rows.disk(str(store.root))
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
            job_rows.disk.clear()
            st.rerun()


with shell.page(
    "Jobs", section="Machine", icon=":material/memory:", about="What the machine is doing"
):
    main()
