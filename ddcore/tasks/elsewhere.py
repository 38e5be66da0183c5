"""Tasks that a scheduler computes: handing them in, what is known of them, ending them."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ddcore.base.errors import DDError
from ddcore.base.specs import KEY_LENGTH, TaskSpec, canonical_json
from ddcore.base.texts import duration
from ddcore.tasks import clocks, launchers
from ddcore.tasks.files import is_there, remove
from ddcore.tasks.launchers import needs, watch
from ddcore.tasks.launchers.contract import (
    GONE,
    PENDING,
    JobState,
    Launcher,
    Request,
    one_by_one,
)
from ddcore.tasks.records import ACTIVE
from ddcore.tasks.store import Store, Task

LIVES = ".lives"  # how many lives of a job have brought nothing
HAND_IN_S = 120.0  # until a scheduler has taken what was queued for it
SETTLE_S = 2.0  # a listing this much older than a status says nothing about it
SEALED_S = 60.0  # until a result that was written on a node is seen everywhere
KEY = re.compile(rf'"([0-9a-f]{{{KEY_LENGTH}}})"')
GRACE_S = 60.0  # between telling a job to stop and ending it


def is_elsewhere(status: dict[str, Any]) -> bool:
    """Whether a task with this status was handed to a scheduler."""
    return "job" in status and "launcher" in status


def place_text(status: dict[str, Any]) -> str:
    """Where an active task is, such as "slurm 1234 on node7"; "" where nothing is computed but here."""
    host = status.get("host", "")
    if status["state"] not in ACTIVE:
        return ""
    if not is_elsewhere(status):
        here = "this machine" if launchers.chosen() else ""
        return here if host == socket.gethostname() else host
    node = status.get("node") or (host if status["state"] != "queued" else "")
    return f"{status['launcher']} {status['job']}" + (f" on {node}" if node else "")


def submit(
    launcher: Launcher,
    store: Store,
    new: Sequence[tuple[Task, TaskSpec]],
    asked: Sequence[TaskSpec],
    at_once: int | None = None,
) -> None:
    """Hand in tasks, each after those of `asked` that it is about; what is refused has failed for that.

    With `at_once` those that do not wait for each other go together, and so many of them run at a time.
    """
    for task, _ in new:
        remove(
            task.folder / LIVES
        )  # a person asks for it: what earlier lives brought does not count
        _write(task, launcher, "")
    left = {task.key: task for task, _ in new}
    about = _about(asked)
    try:
        for together in _levels(new, about) if at_once else [[each] for each in new]:
            requests = [
                Request(task, needs.of(spec, store), _before(store, about[spec.key]))
                for task, spec in together
            ]
            for request, job in _handed(launcher, requests, at_once):
                task = left.pop(request.task.key)
                queued = task.status()
                if queued["state"] == "queued" and "pid" not in queued:  # else it has begun already
                    _write(task, launcher, job)
    except DDError as error:
        for task in left.values():
            task.write_status(state="failed", message=str(error), expected=True)
        raise
    finally:
        watch.of(launcher.name).hurry()


def _handed(
    launcher: Launcher, requests: Sequence[Request], at_once: int | None
) -> Iterator[tuple[Request, str]]:
    if at_once and len(requests) > 1:
        return launcher.submit_array(requests, at_once)
    return one_by_one(launcher, requests)


def _write(task: Task, launcher: Launcher, job: str) -> None:
    task.write_status(state="queued", queued=time.time(), launcher=launcher.name, job=job)


def with_prerequisites(store: Store, specs: Sequence[TaskSpec]) -> list[TaskSpec]:
    """The specs, each behind those it needs that are tasks of their own: several jobs then share them."""
    found: dict[str, TaskSpec] = {}
    for spec in specs:
        for each in (*spec.prerequisites(), spec):
            if each is spec or not store.task(each).is_done():
                found.setdefault(each.key, each)
    return list(found.values())


def _about(asked: Sequence[TaskSpec]) -> dict[str, list[TaskSpec]]:
    """Which of the specs each one needs or is about: its fields name their keys."""
    known = {spec.key: spec for spec in asked}
    found = {}
    for key, spec in known.items():
        named = {each.key for each in spec.prerequisites()}
        named |= {*KEY.findall(canonical_json(spec.to_dict()))}
        found[key] = [other for name, other in known.items() if name in named and name != key]
    return found


def _levels(
    new: Sequence[tuple[Task, TaskSpec]], about: dict[str, list[TaskSpec]]
) -> list[list[tuple[Task, TaskSpec]]]:
    """Tasks, each in a later list than those it is about."""
    levels: dict[str, int] = {}
    for _, spec in new:
        before = [levels[other.key] for other in about[spec.key] if other.key in levels]
        levels[spec.key] = max(before, default=-1) + 1
    found: list[list[tuple[Task, TaskSpec]]] = [[] for _ in {*levels.values()}]
    for task, spec in new:
        found[levels[spec.key]].append((task, spec))
    return found


def _before(store: Store, about: Sequence[TaskSpec]) -> tuple[str, ...]:
    """Jobs of those that are not finished."""
    statuses = [store.task(other).status() for other in about]
    return tuple(s["job"] for s in statuses if s["state"] in ACTIVE and is_elsewhere(s))


def state(task: Task, status: dict[str, Any], root: Path) -> dict[str, Any]:
    """An active status with what the scheduler says; it is gone only if a newer answer says so."""
    if not status["job"]:
        late = clocks.age(task.folder / "status.json", root) > HAND_IN_S
        return status | ({"state": "lost", "message": "It was not handed in."} if late else {})
    looked = watch.of(status["launcher"])
    listing = looked.listing()
    job = listing.jobs.get(status["job"])
    flagged = is_there(task.folder / "cancel")
    if job is None:
        written = clocks.age(task.folder / "status.json", root)
        if listing.silence or time.time() - listing.at > written - SETTLE_S:
            return _unheard(status, listing, looked.launcher.title, flagged)
        job = looked.ended(status["job"])
    if job is None:
        return _unheard(status, listing, looked.launcher.title, flagged)
    if job.state == GONE:
        return _gone(task, status, job, looked.launcher.title, root)
    if flagged:
        return status | {"message": "Stopping ...", "node": job.node}
    said = _pending(job) if job.state == PENDING else _running(status, job)
    if listing.silence and (said["message"] or status["state"] == "queued"):
        said["message"] = f"{said['message']} {_silence(listing, looked.launcher.title)}".strip()
    return status | said


def _running(status: dict[str, Any], job: JobState) -> dict[str, Any]:
    starting = "It is starting." if status["state"] == "queued" else ""
    return {"node": job.node, "message": job.reason or starting or status.get("message", "")}


def _silence(listing: watch.Listing, title: str) -> str:
    if not listing.at:
        return f"{title} does not answer."
    return f"{title} does not answer; it did {duration(time.time() - listing.at)} ago."


def _pending(job: JobState) -> dict[str, Any]:
    start = f" It starts about {time.strftime('%d %b %H:%M', time.localtime(job.start))}."
    return {
        "state": "queued",
        "message": job.reason + (start if job.start else ""),
        "start": job.start,
    }


def _unheard(
    status: dict[str, Any], listing: watch.Listing, title: str, flagged: bool
) -> dict[str, Any]:
    """What is known without an answer: what the worker has written last."""
    if not listing.silence:
        return status | ({"message": "Stopping ..."} if flagged else {})
    said = status.get("message") if status["state"] == "running" else ""
    return status | {"message": said or _silence(listing, title)}


def _gone(
    task: Task, status: dict[str, Any], job: JobState, title: str, root: Path
) -> dict[str, Any]:
    now = task.status()  # it may have ended since
    if now["state"] not in ACTIVE:
        return now
    by_itself = not (job.cancelled or job.failure)
    if by_itself and clocks.age(task.folder / "status.json", root) < SEALED_S:
        return status
    if job.cancelled or is_there(task.folder / "cancel"):
        return status | {"state": "cancelled", "message": "Stopped."}
    if problem := task.damage():
        return status | {"state": "damaged", "message": problem}
    why = job.failure or f"Its job in {title} has ended without a result"
    again = "resuming continues from the checkpoint" if task.has_checkpoint() else "start it again"
    return status | {"state": "failed", "message": f"{why}; {again}.", "expected": True}


def cancel(statuses: Iterable[dict[str, Any]], at_once: bool = False) -> None:
    """End jobs whose cancel flags have been written; those that wait end at once. One call for all."""
    found: dict[tuple[str, bool], list[str]] = {}
    for status in statuses:
        job = watch.of(status["launcher"]).listing().jobs.get(status["job"])
        if not status["job"] or (job and job.state == GONE):
            continue
        waits = job is not None and job.state == PENDING
        found.setdefault((status["launcher"], at_once or waits), []).append(status["job"])
    for (name, now), together in found.items():
        with contextlib.suppress(DDError):  # the flag is there: the worker sees it
            watch.of(name).launcher.cancel(together, now)
        watch.of(name).hurry()
