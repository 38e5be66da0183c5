"""The panel of any task: what it would cost, where it waits, how far it is, what went wrong, go on.

    done = task_panel.ensure(spec, key="nearest", label="Find the nearest", estimate=guess.sentence())
    if done:
        figure(done.arrays())

Everything is read from the task's folder; buttons submit, flag or resume and then rerun. While a task is
queued or running, only the panel itself reruns, once per second, and what is drawn below it less often;
when that ends the page does, once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from ddcore.base.errors import DDError
from ddcore.base.foreign_text import plain
from ddcore.base.specs import TaskSpec
from ddcore.base.texts import duration
from ddcore.sets.distilled import KINDS
from ddcore.tasks import elsewhere, jobs, pausing
from ddcore.tasks.store import Task
from pages.components import permissions, runs, shell

EVERY_S = 1.0
EXTRA_EVERY_S = 4.0  # two figures cost twenty times as much as the panel
ABOUT = ("run_key", "subject")  # fields of a spec that may name a run
ICONS = {
    "missing": ":material/pending:",
    "queued": ":material/schedule:",
    "running": ":material/autorenew:",
    "done": ":material/check_circle:",
    "failed": ":material/error:",
    "cancelled": ":material/stop_circle:",
    "lost": ":material/link_off:",
    "damaged": ":material/broken_image:",
}
COLOURS = {
    "missing": "gray",
    "queued": "orange",
    "running": "blue",
    "done": "green",
    "failed": "red",
    "cancelled": "gray",
    "lost": "orange",
    "damaged": "red",
}


def ensure(
    spec: TaskSpec,
    *,
    key: str,
    label: str = "Compute",
    why: str = "",
    estimate: str = "",
    submit: Sequence[TaskSpec] | None = None,
) -> Task | None:
    """The finished task for `spec`, else None after drawing the panel that leads there.

    `key` makes the widgets unique on the page. `why` says what the result is good for, `estimate` what it
    costs. `submit` are the specs to queue instead of `spec` alone (in order, `spec` among them).
    """
    task = shell.store().task(spec)
    if task.is_done():
        return task
    if jobs.state(task)["state"] == "missing":
        _missing(spec, submit or [spec], key, label, why, estimate)
    else:
        show(task, key=key)
    return None


def show(
    task: Task,
    *,
    key: str,
    above: Callable[[Task], None] | None = None,
    extra: Callable[[Task], None] | None = None,
    then: Sequence[Task] = (),
) -> dict[str, Any]:
    """The panel of a folder that exists; returns its state. A finished task draws nothing.

    `above` and `extra` draw above and below it while it is active. `then` are tasks that wait for this one:
    they are queued again behind it when it is resumed.
    """
    status = jobs.state(task)
    if status["state"] in jobs.ACTIVE:
        every = EVERY_S if pausing.is_asked(task) else EXTRA_EVERY_S
        if above:
            st.fragment(_extra, run_every=every)(task, above)
        st.fragment(_live, run_every=EVERY_S)(task, key)
        if extra:
            st.fragment(_extra, run_every=every)(task, extra)
    elif status["state"] != "done":
        _stopped(task, status, key, then)
    return status


def badge(state: str) -> None:
    """A state as a badge: colour, icon and word."""
    st.badge(state, icon=ICONS.get(state), color=COLOURS.get(state, "gray"))


def title(task: Task) -> str:
    """The task's own title, in the words of the run where it is about one; else kind and key."""
    try:
        return _run_title(task) if task.kind in KINDS else words(task.spec())
    except (DDError, OSError, KeyError, ImportError):
        return f"{task.kind} {task.key}"


def words(spec: TaskSpec) -> str:
    """A task's title with the run it is about by its title instead of its key."""
    text = spec.title()
    for key in (getattr(spec, name, "") for name in ABOUT):
        with contextlib.suppress(DDError, OSError, KeyError):
            run = _run_title(shell.find_run(key))
            text = text.replace(key, run).replace(key[:8], run)
    return text[:1].upper() + text[1:]


def _run_title(task: Task) -> str:
    run = runs.card(task)
    return f"{run.title}, {run.facts}"


def progress_text(status: dict[str, Any]) -> str:
    """ "Step 120 of 300 · 14 s so far · about 20 s left · cpu"."""
    step, total = status.get("step") or 0, status.get("total") or 0
    parts = [
        f"Step {step:,} of {total:,}" if total else "Starting" if not step else f"Step {step:,}"
    ]
    if status.get("seconds"):
        parts.append(f"{duration(status['seconds'])} so far")
    if status.get("eta_s"):
        parts.append(f"about {duration(status['eta_s'])} left")
    if status.get("device"):
        parts.append(status["device"])
    return " · ".join(parts)


# --- states ---------------------------------------------------------------------------------------


def _missing(
    spec: TaskSpec, submit: Sequence[TaskSpec], key: str, label: str, why: str, estimate: str
) -> None:
    with st.container(border=True):
        st.markdown(f"**{plain(words(spec))}**: not computed yet.")
        if why:
            st.markdown(why)
        if estimate:
            st.caption(f"It will take {estimate}.")
        if permissions.button(
            label, key=f"{key}.start", type="primary", icon=":material/play_arrow:"
        ):
            permissions.submit(shell.store(), submit)
            st.rerun()


def _extra(task: Task, extra: Callable[[Task], None]) -> None:
    with shell.boundary():
        extra(task)


def _live(task: Task, key: str) -> None:
    """One tick of the live panel; asks for one rerun of the page when the task has stopped."""
    with shell.boundary():
        status = jobs.state(task)
        if status["state"] not in jobs.ACTIVE:
            st.rerun()
        jobs.escalate(task)
        with st.container(border=True):
            _head(task, status)
            if status["state"] == "queued":
                if text := queue_text(task, status):
                    st.caption(text)
            else:
                bar(status)
            if status.get("message"):
                st.caption(plain(status["message"]))
            with st.container(horizontal=True, gap="small"):
                if pauses(task, status):
                    _pause_buttons(task, key)
                stop_button(task, key)


def pauses(task: Task, status: dict[str, Any]) -> bool:
    """Whether it can be asked to wait: a run that has begun its iterations."""
    return task.kind == "distill" and status["state"] == "running" and bool(status.get("step"))


def _pause_buttons(task: Task, key: str) -> None:
    """Wait where it is, take one step, go on."""
    if not pausing.is_asked(task):
        about = "It waits after the iteration that it is at; the result is the same as without."
        icon = ":material/pause:"
        _flag(permissions.pause, task, "Pause", f"{key}.pause", icon, about)
        return
    _flag(permissions.go_on, task, "Go on", f"{key}.on", ":material/play_arrow:", None)
    _flag(permissions.one_step, task, "One step", f"{key}.step", ":material/step_over:", None)


def _flag(
    do: Callable[[Task], None], task: Task, label: str, key: str, icon: str, about: str | None
) -> None:
    if permissions.button(label, key=key, icon=icon, help=about):
        with shell.boundary():
            do(task)
        st.rerun()  # the whole page: what is drawn below follows a run that waits more closely


def bar(status: dict[str, Any]) -> None:
    """How far it is."""
    step, total = status.get("step") or 0, status.get("total") or 0
    share = min(1.0, step / total) if total else 0.0
    st.progress(share, text=progress_text(status))


def stop_button(task: Task, key: str) -> None:
    """Ask a task to stop."""
    stopping = (task.folder / "cancel").exists()
    permissions.button(
        "Stopping ..." if stopping else "Stop",
        key=f"{key}.stop",
        icon=":material/stop:",
        disabled=stopping,
        on_click=_stop,
        args=[task],
        help="It writes a checkpoint first, so that it can be resumed.",
    )


def _stop(task: Task) -> None:
    with shell.boundary():
        permissions.cancel(task)


def queue_text(task: Task, status: dict[str, Any], places: Mapping[str, int] | None = None) -> str:
    """Its place in the queue of this machine; a scheduler says itself why a task waits.

    `places` are those of all, where many are told at once.
    """
    if elsewhere.is_elsewhere(status):
        return ""
    ahead = (jobs.queue_places(shell.store()) if places is None else places).get(task.key)
    if ahead is None:
        return "Waiting for the task before it."
    if ahead == 0:
        return "Next in line: it starts as soon as the device is free."
    return f"In the queue: {ahead} {'task' if ahead == 1 else 'tasks'} ahead of it."


def _stopped(task: Task, status: dict[str, Any], key: str, then: Sequence[Task]) -> None:
    state = status["state"]
    with st.container(border=True):
        _head(task, status)
        silent = (
            "It has not been queued." if state == "missing" else "It stopped without a message."
        )
        message = plain(status.get("message") or silent)
        if state in ("failed", "damaged"):
            st.error(message, icon=ICONS[state])
        else:
            st.markdown(message)
        if not readable(task):
            st.caption("What it was to compute cannot be read any more: it can only be deleted.")
            if permissions.button("Delete it", key=f"{key}.delete", icon=":material/delete:"):
                permissions.delete(shell.store(), task)
                st.rerun()
        elif permissions.button(
            _again(task, status), key=f"{key}.resume", type="primary", icon=":material/restart_alt:"
        ):
            permissions.submit(shell.store(), [task.spec(), *(t.spec() for t in then)])
            st.rerun()
        log(task, key)


def readable(task: Task) -> bool:
    """Whether it is known what a folder was to compute, so that it can be computed again."""
    try:
        return task.spec().key == task.key
    except DDError:
        return False


def _again(task: Task, status: dict[str, Any]) -> str:
    if status["state"] == "damaged" and task.was_sealed():
        return "Compute it again"
    step = status.get("step") or 0
    if not task.has_checkpoint():
        return "Start again"
    return f"Resume from about step {step:,}" if step else "Resume"


def _head(task: Task, status: dict[str, Any]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        name = title(task)
        st.markdown(f"**{plain(name[:1].upper() + name[1:])}**", width="content")
        badge(status["state"])
        started_by(task)


def started_by(task: Task) -> None:
    """Who asked for it, where people log in."""
    if person := permissions.started_by(task):
        st.caption(f"by {plain(person)}", width="content")


def log(task: Task, key: str) -> None:
    """The end of the worker's log behind an expander; nothing if there is no log."""
    if text := task.log().strip():
        with st.expander("End of the log", icon=":material/article:", key=f"{key}.log"):
            st.code(text, language=None, wrap_lines=True)
