"""Tasks that a command waits for, with a progress bar."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ddcore.base.errors import DDError
from ddcore.base.specs import TaskSpec
from ddcore.tasks import elsewhere, jobs
from ddcore.tasks.store import Store, Task

OnStatus = Callable[[dict[str, Any]], object]


def compute(store: Store, spec: TaskSpec) -> Task:
    """Submit a task and follow it to its end."""
    return watch(store, jobs.submit(store, [spec])[0])


def watch(store: Store, task: Task, also: OnStatus = lambda status: None) -> Task:
    """Follow a task to its end with a progress bar; Ctrl-C stops it with a checkpoint.

    `also` is told every status that is looked at.
    """
    status = follow(task, also=also)
    if status["state"] != "done":
        message = status.get("message") or "no message"
        raise DDError(f"{task.kind} {task.key} {status['state']}: {message}")
    return store.find(task.key)


def follow(
    task: Task, timeout_s: float = float("inf"), also: OnStatus = lambda status: None
) -> dict[str, Any]:
    """Show a task's progress until it has ended or time is up; its last status."""
    from tqdm import tqdm  # here, since it takes a tenth of the start of a command

    bar = tqdm(desc=task.spec().title(), disable=not sys.stderr.isatty(), leave=False)

    def show(status: dict[str, Any]) -> None:
        also(status)
        bar.total = status.get("total") or None
        bar.n = status.get("step") or 0
        note = f"queued, {status.get('position', 0)} ahead" if status["state"] == "queued" else ""
        if elsewhere.is_elsewhere(status):
            note = status.get("message") or note
        bar.set_postfix_str(note or status.get("message") or "")

    try:
        return jobs.wait(task, show, timeout_s=timeout_s)
    except KeyboardInterrupt:
        jobs.cancel(task)
        jobs.wait(task, show)
        raise DDError(f"Stopped; go on with: python -m ddcore resume {task.key}") from None
    finally:
        bar.close()


def say(text: str) -> None:
    """A line for people beside the answer."""
    print(text, file=sys.stderr, flush=True)
