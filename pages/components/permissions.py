"""Who may change something here. Every page starts, stops, resumes, deletes and opens files through this.

Whoever runs the dashboard for themselves may do everything. Shared, `DD_VISITORS=1` lets people look,
compare and move sliders, and nothing else. Where Streamlit's login is configured (`[auth]` in
`.streamlit/secrets.toml`), those named in `DD_MANAGERS` may do everything, all others may look.

Buttons are disabled for those who may not press them; that is a courtesy. The functions below refuse.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from ddcore.base import paths
from ddcore.base.errors import DDError
from ddcore.base.foreign_text import plain
from ddcore.base.specs import TaskSpec
from ddcore.tasks import jobs, notes, pausing, trash
from ddcore.tasks.files import write_json
from ddcore.tasks.records import read_json
from ddcore.tasks.store import Store, Task
from pages.components import teach

if TYPE_CHECKING:
    from ddcore.sets.imported_spec import ImportTask

VISITORS = "DD_VISITORS"
MANAGERS = "DD_MANAGERS"  # e-mail addresses, or @domain for everybody there
ROOTS = "DD_DATA_ROOTS"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
STARTED = ".started.json"  # beside a task's files, no part of its result
LOOK_ONLY = (
    "Visitors can look here; starting, stopping, deleting and opening files are switched off."
)


class NotAllowed(DDError):
    """A visitor asked for something that is left to others."""


# --- who ------------------------------------------------------------------------------------------


def refusal() -> str:
    """Why this visitor may not change anything, in a sentence; "" if they may."""
    return teach.refusal() or _refusal()


def _refusal() -> str:
    if not has_login():
        return LOOK_ONLY if visitors_only() else ""
    person = who()
    if not person:
        return "Log in to start, stop or delete something; looking needs no login."
    if manages(person):
        return ""
    return f"{person} is not among those who may start, stop or delete something here ({MANAGERS})."


def check() -> None:
    """`NotAllowed` with that sentence for those who may only look."""
    if reason := refusal():
        raise NotAllowed(reason)


def visitors_only() -> bool:
    """Whether the dashboard is for looking."""
    return os.environ.get(VISITORS, "").strip().lower() not in ("", "0", "false", "no")


def has_login() -> bool:
    """Whether Streamlit's login is configured: only then it says whether somebody is logged in."""
    return "is_logged_in" in st.user.to_dict()


def who() -> str:
    """The e-mail address of whoever is logged in; "" for everybody else, and if it is not verified."""
    known = st.user.to_dict()
    if not known.get("is_logged_in") or known.get("email_verified") is False:
        return ""
    return str(known.get("email") or "").strip().lower()


def manages(person: str) -> bool:
    """Whether an address, or its domain, is named in `DD_MANAGERS`."""
    named = os.environ.get(MANAGERS, "").replace(",", " ").lower().split()
    name, at, domain = person.rpartition("@")
    return bool(name and domain) and (person in named or at + domain in named)


# --- what -----------------------------------------------------------------------------------------


def submit(store: Store, specs: Iterable[TaskSpec]) -> list[Task]:
    """`jobs.submit`, for those who may; keeps who asked, where that is known."""
    check()
    specs = list(specs)
    for spec in specs:
        if store.task(spec).status()["state"] == "missing":
            for folder in _folders(spec.to_dict()):
                data_folder(folder)
    asked = [t for t in map(store.task, specs) if not (t.is_done() or jobs.is_alive(t))]
    tasks = jobs.submit(store, specs)
    if person := who():
        for task in asked:
            write_json(task.folder / STARTED, {"by": person})
    return tasks


def cancel(*tasks: Task) -> None:
    """`jobs.cancel`, for those who may."""
    check()
    jobs.cancel(*tasks)


def pause(task: Task) -> None:
    """`pausing.pause`, for those who may."""
    check()
    pausing.pause(task)


def one_step(task: Task) -> None:
    """`pausing.one_step`, for those who may."""
    check()
    pausing.one_step(task)


def go_on(task: Task) -> None:
    """`pausing.go_on`, for those who may."""
    check()
    pausing.go_on(task)


def resume(store: Store, task: Task) -> None:
    """`jobs.resume`, for those who may."""
    check()
    if task.shipped:
        jobs.resume(store, task)  # says why not
    spec = task.spec()
    submit(store, [spec, *spec.follow_ups()])


def recompute(store: Store, task: Task) -> None:
    """`jobs.recompute`, for those who may."""
    check()
    jobs.recompute(store, task)


def delete(store: Store, task: Task) -> None:
    """`Store.delete`, for those who may."""
    check()
    store.delete(task)


def prune(store: Store, states: Iterable[str]) -> list[str]:
    """`jobs.prune`, for those who may."""
    check()
    return jobs.prune(store, states=states)


def throw(store: Store, tasks: Iterable[Task]) -> list[Task]:
    """`trash.throw`, for those who may."""
    check()
    return trash.throw(store, tasks)


def restore(store: Store, keys: Iterable[str]) -> list[Task]:
    """`trash.restore`, for those who may."""
    check()
    return trash.restore(store, keys)


def empty_trash(store: Store) -> list[str]:
    """Remove for good what was deleted, for those who may."""
    check()
    return trash.purge(store, older_than_days=0.0)


def note(store: Store, keys: Iterable[str], **changes: Any) -> None:
    """`notes.change` of several runs, for those who may."""
    check()
    for key in keys:
        notes.change(store, key, **changes)


def bring(store: Store, spec: ImportTask, files: Sequence[bytes], names: Sequence[str]) -> None:
    """`imported.bring` and its task, for those who may."""
    check()
    from ddcore.sets import imported

    imported.bring(store, spec, files, names)
    submit(store, [spec])


def started_by(task: Task) -> str:
    """Who asked for a task last; "" where that is not known."""
    try:
        return str(read_json(task.folder / STARTED)["by"])
    except (DDError, OSError, KeyError, TypeError):
        return ""


# --- folders --------------------------------------------------------------------------------------


def data_folder(text: str) -> str:
    """A path of the visitor's, if it may be read: `NotAllowed` names the folders that may.

    Shared, only what lies in one of `DD_DATA_ROOTS` is read, by default in the home folder or the data
    root, after all links have been followed. Whether anything else exists is not told.
    """
    check()
    roots = data_roots()
    if roots is None:
        return text
    try:
        folder = Path(text).expanduser().resolve()
    except (OSError, RuntimeError, ValueError):
        folder = None
    if folder is None or not any(folder.is_relative_to(root) for root in roots):
        names = ", ".join(map(str, roots))
        raise NotAllowed(f"Folder {text!r} cannot be read here: expected one in {names} ({ROOTS}).")
    return str(folder)


def data_roots() -> list[Path] | None:
    """Folders that own data may lie in; None for any."""
    named = [part for part in os.environ.get(ROOTS, "").split(os.pathsep) if part.strip()]
    if not named and not shared():
        return None
    roots = [Path(part) for part in named] or [Path.home(), paths.data_root()]
    return [root.expanduser().resolve() for root in roots]


def shared() -> bool:
    """Whether others than the person at this machine can reach the dashboard."""
    return visitors_only() or has_login() or st.get_option("server.address") not in LOOPBACK


def _folders(values: Any) -> list[str]:
    """Every folder of own data that a spec names, at any depth."""
    if not isinstance(values, dict):
        return []
    own = values.get("path")
    inner = [folder for value in values.values() for folder in _folders(value)]
    return [own, *inner] if isinstance(own, str) and own else inner


# --- buttons --------------------------------------------------------------------------------------


def button(label: str, **details: Any) -> bool:
    """A button for something that only some may do: for the others it is disabled and says why."""
    if teach.hidden("start"):
        return False
    reason = refusal()
    if reason:
        details |= {"disabled": True, "help": plain(reason)}
    return st.button(label, **details) and not reason


def account() -> None:
    """Log in and out, where Streamlit's login is configured; nothing elsewhere."""
    if not has_login():
        return
    if person := who():
        st.caption(person)
        st.button("Log out", key="shell.logout", type="tertiary", on_click=st.logout)
    else:
        st.button("Log in", key="shell.login", type="tertiary", on_click=st.login)
