"""`jobs`, `cancel`, `resume`, `prune`, `verify`, `recompute`, `download`; `doctor`; `work`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ddcore.base import environment
from ddcore.base.errors import NotReady
from ddcore.cli import console, follow
from ddcore.tasks import elsewhere, jobs
from ddcore.tasks.store import Store, Task


def add(commands: console.Commands) -> None:
    """The commands and their arguments."""
    sub = commands.add("jobs", list_jobs, "what is queued, running or stopped")
    sub.add_argument("--all", action="store_true")
    for name, function, summary in (
        ("cancel", cancel, "stop a task; its checkpoint stays"),
        ("resume", resume, "continue a stopped, failed or lost task"),
    ):
        commands.add(name, function, summary).add_argument("run")
    sub = commands.add(
        "prune", prune, "delete folders that are no results, or those named by their keys"
    )
    sub.add_argument("runs", nargs="*", metavar="KEY")
    sub.add_argument("--older-than", type=float, default=0.0, metavar="DAYS")
    sub.add_argument("--state", action="append", default=[], help="only these states")
    sub.add_argument("--yes", action="store_true", help="finished results too, where chosen")
    sub = commands.add(
        "verify", verify, "compare results with their checksums, find damaged folders"
    )
    sub.add_argument("runs", nargs="*")
    sub = commands.add("recompute", recompute, "compute damaged results again")
    sub.add_argument("runs", nargs="+", metavar="KEY")
    sub = commands.add("download", download, "fetch a dataset into the data root")
    sub.add_argument("dataset")


def add_doctor(commands: console.Commands) -> None:
    """What is looked at before a cluster is used."""
    sub = commands.add(
        "doctor", doctor, "check store, clock, locks, GPU, compiler, scheduler and a node"
    )
    sub.add_argument("--seen", metavar="FILE", help="tell what a node sees (used by the check)")


def doctor(options: argparse.Namespace) -> int:
    """`doctor`: what is as it has to be, and what to do about the rest; 1 if there is something to do."""
    from ddcore.tasks import doctor as checks

    if options.seen:
        print(json.dumps(checks.seen(Path(options.seen))))
        return 0
    root = Store().root
    found = [*checks.here(root), *checks.scheduler(root)]
    told = [
        line
        for each in found
        for line in (
            f"{'ok ' if each.good else 'BAD'}  {each.what}: {each.said}",
            *([f"     -> {each.cure}"] if each.cure else []),
        )
    ]
    console.output(options, [asdict(each) for each in found], lambda: print("\n".join(told)))
    return 0 if all(each.good for each in found) else 1


def add_work(commands: console.Commands) -> None:
    """What the launcher calls."""
    sub = commands.add("work", work, "run task folders (used by the launcher)")
    sub.add_argument("folders", nargs="+")


def list_jobs(options: argparse.Namespace) -> None:
    """`jobs`: everything queued, running or not finished well."""
    store = Store()
    places, rows = jobs.queue_places(store), []
    for task in store.tasks():
        status = jobs.state(task)
        if options.all or status["state"] not in ("done", "missing"):
            rows.append(_job_facts(task, status, places))
    console.output(
        options, rows, lambda: [print(console.line(r)) for r in rows] or print(f"{len(rows)} jobs")
    )


def _job_facts(task: Task, status: dict[str, Any], places: Mapping[str, int]) -> dict[str, Any]:
    return {
        "key": task.key,
        "kind": task.kind,
        "state": status["state"],
        "step": status.get("step"),
        "total": status.get("total"),
        "position": places.get(task.key) if status["state"] == "queued" else None,
        "where": elsewhere.place_text(status),
        "message": status.get("message", ""),
    }


def cancel(options: argparse.Namespace) -> None:
    """`cancel KEY`."""
    task = Store().find(options.run)
    jobs.cancel(task)
    status = jobs.wait(task, timeout_s=jobs.KILL_AFTER_S + 10)
    console.output(
        options, {"key": task.key, "state": status["state"]}, lambda: print(status["state"])
    )


def resume(options: argparse.Namespace) -> None:
    """`resume KEY`: continue from the checkpoint."""
    store = Store()
    task = follow.watch(store, jobs.resume(store, store.find(options.run)))
    answer = {"key": task.key, **task.status()}
    console.output(options, answer, lambda: print(f"{task.key} {answer['state']}"))


def prune(options: argparse.Namespace) -> None:
    """`prune [KEY...]`: delete folders that are no results, or those that are named."""
    removed = jobs.prune(
        Store(),
        older_than_days=options.older_than,
        states=options.state,
        keys=options.runs,
        results=options.yes,
    )
    console.output(options, removed, lambda: print("\n".join(removed) or "nothing to delete"))


def verify(options: argparse.Namespace) -> int:
    """`verify [RUN...]`: compare finished folders with their checksums and keys, find damaged ones."""
    store = Store()
    tasks = [store.find(key) for key in options.runs]
    if not options.runs:
        tasks = [t for t in store.folders() if t.is_done() or jobs.state(t)["state"] == "damaged"]
    found = {t: problems for t in tasks if (problems := t.verify())}
    problems = [p for each in found.values() for p in each]
    cures = [f"python -m ddcore recompute {t.key}, or prune {t.key} to delete it" for t in found]
    answer = {"checked": len(tasks), "problems": problems, "damaged": [t.key for t in found]}
    said = [*problems, *cures, f"{len(tasks)} folders checked"]
    console.output(options, answer, lambda: print("\n".join(said)))
    return 1 if problems else 0


def recompute(options: argparse.Namespace) -> None:
    """`recompute KEY...`: compute damaged results again."""
    store = Store()
    answers = []
    for task in [store.find(key) for key in options.runs]:
        if jobs.state(task)["state"] != "damaged" and not (task.is_done() and task.verify()):
            raise NotReady(
                f"{task.kind} {task.key} is not damaged: there is nothing to compute again."
            )
        again = follow.watch(store, jobs.recompute(store, task))
        answers.append({"key": again.key, "state": "done"})
    console.output(options, answers, lambda: [print(console.line(a)) for a in answers])


def download(options: argparse.Namespace) -> None:
    """`download DATASET`."""
    from ddcore.data import download_task

    task = follow.compute(Store(), download_task(options.dataset))
    console.output(options, {"key": task.key, "state": "done"}, lambda: print("done"))


def work(options: argparse.Namespace) -> int:
    """Worker entry point (used by the launcher)."""
    from ddcore.tasks import launched, process
    from ddcore.training.speed import measure_once

    run_folders = launched.work if environment.launched() else process.work
    return run_folders([Path(f).resolve() for f in options.folders], after=measure_once)
