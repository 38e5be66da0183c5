"""Two dashboards and the command line at once: many threads of several processes submit the same jobs.

Each job must be computed once. Computations are counted outside the program: a hook in every worker notes
each manifest that is put in place.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from pathlib import Path

from benchmarks.chaos import base
from benchmarks.chaos.base import Deadline, Outcome
from benchmarks.chaos.dashboard import Dashboard, Visitor

PROCESSES, THREADS, BOARDS = 3, 8, 2
STEPS, PAUSE_S = 5, 0.01
LIMIT_S = 600.0
RESUMED = 5  # jobs that are also resumed by a click in each dashboard and on the command line


def specs(count: int) -> list:
    """The jobs."""
    from ddcore.tasks.testing import SleepyTask

    return [SleepyTask(steps=STEPS, pause=PAUSE_S, seed=i) for i in range(count)]


def submit(root: str, count: int, seed: int, start_at: float) -> None:
    """One process of the crowd: each thread submits all jobs, from the same moment on."""
    from ddcore.tasks import jobs
    from ddcore.tasks.store import Store

    store, wanted, errors = Store(Path(root), gallery=None), specs(count), []

    def thread(part: int) -> None:
        order = random.Random(f"{seed} {part}").sample(wanted, len(wanted))
        time.sleep(max(0.0, start_at - time.time()))
        for spec in order:
            try:
                jobs.submit(store, [spec])
            except Exception:
                errors.append(traceback.format_exc(limit=-2))

    threads = [threading.Thread(target=thread, args=(i,)) for i in range(THREADS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    print(json.dumps(errors))


def run(seed: int, count: int, minutes: float) -> Outcome:
    """The crowd, then how often each job was computed and what each dashboard said."""
    outcome = Outcome("crowd", count)
    with base.scratch() as folder:
        root = folder / "store"
        root.mkdir()
        os.environ |= base.environment(root) | {
            "CHAOS_ROOT": str(root),
            "CHAOS_NOTE": str(folder / "computed"),
        }
        crowd(outcome, root, count, seed, Deadline(min(minutes, LIMIT_S / 60)))
        computed = Counter((folder / "computed").read_text().split())
        judge(outcome, root, count, computed)
    return outcome


def crowd(outcome: Outcome, root: Path, count: int, seed: int, deadline: Deadline) -> None:
    """Start everybody, wait until nothing is queued or running."""
    from ddcore.tasks import jobs
    from ddcore.tasks.store import Store

    store = Store(root, gallery=None)
    clicked = specs(count)[:RESUMED]
    for spec in clicked:  # stopped ones, so that there is something to resume
        store.create(spec).write_status(state="cancelled", message="", heartbeat=0.0)
    with Dashboard(root) as one, Dashboard(root) as other:
        visitors = [board.visit("9_Jobs.py") for board in (one, other)[:BOARDS]]
        start_at = time.time() + 5
        code = "from benchmarks.chaos.crowd import submit; submit({!r}, {}, {}, {})"
        crews = [
            _process("-c", code.format(str(root), count, seed + i, start_at))
            for i in range(PROCESSES)
        ]
        time.sleep(max(0.0, start_at - time.time()))
        lines = [_process("-m", "ddcore", "resume", spec.key) for spec in clicked[:2]]
        clicks = [threading.Thread(target=_click, args=(v, clicked, outcome)) for v in visitors]
        for each in clicks:
            each.start()
        for process in crews:
            out, err = process.communicate(timeout=LIMIT_S)
            if process.returncode:
                outcome.fault("a crew failed", err[-300:])
            for error in json.loads(out or "[]"):
                outcome.fault("a submit failed", " | ".join(error.strip().splitlines()[-2:]))
        tasks = [store.task(spec) for spec in specs(count)]
        while not deadline.over and any(jobs.state(t)["state"] in jobs.ACTIVE for t in tasks):
            time.sleep(0.5)
        for process in lines:
            _, err = process.communicate(timeout=LIMIT_S)
            if process.returncode:
                outcome.fault("the command line failed", err[-300:])
        for each in clicks:
            each.join()
        end_workers(tasks)
        outcome.counts["submits"] = PROCESSES * THREADS * count
        outcome.counts["clicks"] = sum(v.clicks for v in visitors)
        outcome.counts["command lines"] = len(lines)


def judge(outcome: Outcome, root: Path, count: int, computed: Counter[str]) -> None:
    """Each job done, computed once, in one go, and the queue empty."""
    from ddcore.tasks import jobs, queue
    from ddcore.tasks.store import Store

    store = Store(root, gallery=None)
    for spec in specs(count):
        task = store.task(spec)
        state, times = jobs.state(task), computed[str(task.folder / "done.json")]
        if state["state"] != "done":
            outcome.fault(f"state {state['state']}", f"{task.key}: {state.get('message')}")
            continue
        outcome.done += 1
        outcome.counts["computations"] += times
        if times != 1:
            outcome.fault("computed more than once", f"{task.key}: {times} times")
        if [e.get("step") for e in task.events()] != list(range(1, STEPS + 1)):
            outcome.fault("events of more than one computation", task.key)
    if left := queue.waiting(store.root, "compute"):
        outcome.fault("tickets are left", str(left[:3]))


def _process(*arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=base.PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _click(visitor: Visitor, wanted: list, outcome: Outcome) -> None:
    """Press Resume for every job that the page still shows as stopped, then look once more."""
    try:
        for spec in wanted:
            visitor.click(f"jobs.resume.{spec.key}")
        visitor.rerun()
    except Exception as error:
        outcome.fault("a dashboard does not answer", repr(error))
    for problem in visitor.exceptions:
        outcome.fault("a dashboard shows an exception", problem)


def end_workers(tasks: list) -> None:
    """Kill the workers of jobs that have not ended."""
    from ddcore.tasks import jobs

    for task in tasks:
        status = jobs.state(task)
        if status["state"] in jobs.ACTIVE and "pid" in status:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(status["pid"], signal.SIGKILL)
