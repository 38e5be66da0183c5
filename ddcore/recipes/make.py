"""Working through a recipe: what is done is left alone, what was interrupted goes on from its checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ddcore.base.texts import duration, size
from ddcore.recipes.base import Step
from ddcore.tasks import jobs
from ddcore.tasks.store import Store, Task
from ddcore.training.estimate import Estimate

# Follow a task until it has ended or so many seconds have passed; its last status.
Watch = Callable[[Task, float], dict]


@dataclass(frozen=True)
class Outcome:
    """How far a sitting came: steps done now or before, failed ones with their message, what is left."""

    done: int
    failed: dict[str, str]
    left: int

    def sentence(self) -> str:
        """For people."""
        text = f"{self.done} steps done"
        if self.failed:
            text += f", {len(self.failed)} failed"
        if self.left:
            text += f", {self.left} left: the same command goes on where this one stopped"
        return f"{text}."


def work_through(
    store: Store,
    steps: Iterable[Step],
    watch: Watch,
    *,
    minutes: float = float("inf"),
    say: Callable[[str], None] = lambda text: None,
) -> Outcome:
    """Compute the steps in order. A failed one is reported and does not keep the others from running.

    After `minutes` the running step is asked to stop, which leaves its checkpoint.
    """
    steps = list(steps)
    end = time.time() + 60 * minutes
    done = 0
    failed: dict[str, str] = {}
    broken: set[str] = set()  # rows
    for number, step in enumerate(steps, 1):
        where = f"[{number}/{len(steps)}] {step.row or 'analysis'}: {step.spec.title()}"
        if step.is_done(store):
            done += 1
            continue
        if time.time() >= end:
            break
        if step.row in broken or (broken and not step.row):
            failed[step.spec.key] = "What it needs has failed."
            continue
        say(where)
        task = jobs.submit(store, [step.spec])[0]
        status = watch(task, end - time.time())
        if status["state"] in jobs.ACTIVE:  # time is up
            jobs.cancel(task)
            watch(task, float("inf"))
            break
        if status["state"] == "cancelled":
            break
        if status["state"] == "done":
            done += 1
        else:
            failed[task.key] = status.get("message") or status["state"]
            broken.add(step.row)
            say(f"{where} failed: {failed[task.key]}")
    return Outcome(done, failed, len(steps) - done - len(failed))


def plan(store: Store, steps: Iterable[Step]) -> list[tuple[Step, Estimate | None]]:
    """Every step with what it will take; None if it is done."""
    return [(s, None if s.is_done(store) else s.estimate(store)) for s in steps]


def total(planned: Iterable[tuple[Step, Estimate | None]], device: str = "cpu") -> str:
    """What is left in one line; on a graphics card with its hours, which are what is asked for and paid."""
    left = [guess for _, guess in planned if guess]
    if not left:
        return "Everything is there."
    seconds, disk = sum(g.seconds for g in left), sum(g.disk for g in left)
    memory = max(g.memory for g in left)
    hours = "" if device == "cpu" else f" ({seconds / 3600:,.1f} GPU hours)"
    return (
        f"{len(left)} steps to do: about {duration(seconds)}{hours}, up to {size(memory)} of memory, "
        f"{size(disk)} on disk."
    )
