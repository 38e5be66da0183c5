"""Processes killed at random moments; afterwards the store is read, and the task goes on to the same bits.

Some kills of workers come after a time drawn uniformly from the task's whole run, some just before a file
operation drawn uniformly from all that it makes (checkpoint, status, events, result, manifest, locks): most
of a run is computing, so times alone would seldom meet a write. A SIGKILL loses nothing that the operating
system was given: a power cut is not what this shows.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.chaos import base, lives, readers, tasks
from benchmarks.chaos.base import Deadline, Outcome, say
from ddcore import jobs
from ddcore.specs import TaskSpec
from ddcore.store import Store

MOST_PER_TASK = 4  # kills before a task may go on to its end
# After a kill. Queued or missing (a needed task's spec is written, nothing else): not begun, resumable.
RESTING = ("lost", "cancelled", "queued", "missing", "done")
HOW = ("time", "operation", "time", "operation", "terminate")


@dataclass
class Reference:
    """A task computed without being disturbed."""

    seconds: float
    operations: int


class Siege:
    """A folder with prepared and reference stores, and the attack on copies of the former."""

    def __init__(self, folder: Path, seed: int, outcome: Outcome, deadline: Deadline) -> None:
        self.folder, self.outcome, self.deadline = folder, outcome, deadline
        self.random = random.Random(seed)
        self.references: dict[str, Reference] = {}
        self.expected: dict[str, dict[str, str]] = {}
        self.trials = 0
        self.resting = RESTING
        jobs.launch = lives.launch

    # --- the truth ------------------------------------------------------------------------------

    def prepare(self, specs: Sequence[TaskSpec]) -> None:
        """The dataset and two sets in one store; in another the results to compare with."""
        ready = self.store("ready")
        for spec in tasks.prepared():
            self.undisturbed(ready, [spec])
        reference = self.copy("reference")
        for spec in specs:
            self.undisturbed(reference, [spec])
            say(f"reference: {spec.title()}, {self.references[spec.key].seconds:.1f} s")
        self.expected = readers.results(reference.root)

    def undisturbed(self, store: Store, specs: Sequence[TaskSpec]) -> None:
        """Compute the specs in one worker, and note what it took."""
        start = time.monotonic()
        task = jobs.submit(store, specs)[0]
        pid = next(iter(lives.alive), None)
        if pid and lives.ended(pid, lives.LIMIT_S) is None:
            raise TimeoutError(f"{specs[0].title()} takes more than {lives.LIMIT_S} s.")
        if not task.is_done():
            raise RuntimeError(f"{specs[0].title()} {task.status()}\n{task.log()}")
        operations = int((store.root / "operations").read_text())
        self.references[specs[0].key] = Reference(time.monotonic() - start, operations)

    def store(self, name: str) -> Store:
        """A store without a gallery in the scratch folder."""
        root = self.folder / name
        root.mkdir(parents=True, exist_ok=True)
        os.environ.update(base.environment(root))
        return Store(root, gallery=None)

    def copy(self, name: str) -> Store:
        """A copy of the prepared store."""
        shutil.copytree(self.folder / "ready", self.folder / name)
        return self.store(name)

    # --- one task, killed several times ---------------------------------------------------------

    def attack(self, spec: TaskSpec) -> None:
        """Kill the worker of a task a few times, then let it end; the numbers must be the same."""
        self.trials += 1
        store = self.copy(f"trial-{self.trials}")
        story = []
        for _ in range(self.random.randint(1, MOST_PER_TASK)):
            how = self.random.choice(HOW)
            where = self.random.random()
            story.append(f"{how} {where:.3f}")
            if not self.strike(store, spec, how, where, ", ".join(story)):
                self.outcome.counts["ended before its kill"] += 1
                break
            if self.outcome.done >= self.outcome.wanted:
                break
        self.last_life(store, spec, ", ".join(story))
        shutil.rmtree(store.root, ignore_errors=True)

    def strike(self, store: Store, spec: TaskSpec, how: str, where: float, story: str) -> bool:
        """One life of a worker; whether it was killed (else it had ended, or could not be born)."""
        known = self.references[spec.key]
        lives.kill_at = 1 + int(where * known.operations) if how == "operation" else 0
        pid = self.start(store, spec, story)
        lives.kill_at = 0
        if pid is None:
            return False
        if how == "operation":
            code = lives.ended(pid, lives.LIMIT_S)
        else:
            time.sleep(where * known.seconds)
            code = lives.ended(pid, 0)
            if code is None:
                lives.signalled(pid, signal.SIGTERM if how == "terminate" else signal.SIGKILL)
                code = lives.ended(pid, lives.LIMIT_S)
        if code is None:
            self.fault("stuck after a signal", spec, story)
            lives.end_all()
        killed = code in (-signal.SIGKILL, -signal.SIGTERM, 130)
        if code not in (0, -signal.SIGKILL, -signal.SIGTERM, 130):
            log = store.task(spec).log(300).strip().replace("\n", " | ")
            self.fault(f"exit code {code}", spec, f"{story}: {log}")
        if killed:
            self.outcome.done += 1
            self.outcome.counts[f"{_group(spec)}: by {how}"] += 1
        self.inspect(store, spec, story)
        return killed

    def start(self, store: Store, spec: TaskSpec, story: str) -> int | None:
        """Submit the task as anybody would; the process id of its worker."""
        try:
            jobs.submit(store, [spec])
        except Exception as error:
            self.fault("cannot be submitted again", spec, f"{story}: {error!r}")
            return None
        if not lives.alive:
            if not store.task(spec).is_done():
                self.fault("nothing was started", spec, story)
            return None
        return next(iter(lives.alive))

    def inspect(self, store: Store, spec: TaskSpec, story: str) -> None:
        """Everything can be read, nothing is shown as finished that is not, no number differs."""
        try:
            states = readers.listing(store)
        except Exception as error:
            self.fault("the list of tasks fails", spec, f"{story}: {error!r}")
            return
        for task in store.tasks():
            for name, value in readers.values(task).items():
                if isinstance(value, readers.Traceback):
                    self.fault(f"reader {name} fails", spec, f"{story}: {value}")
            state = states[f"{task.kind}/{task.key}"]
            if state not in self.resting:
                self.fault(f"state {state} after a kill", spec, f"{story}: {task.kind}/{task.key}")
            if state == "done" and (problems := task.verify()):
                self.fault("finished but not sound", spec, f"{story}: {problems[0]}")
        self.compare(store, spec, story)

    def compare(self, store: Store, spec: TaskSpec, story: str) -> None:
        """Finished folders hold what those of the reference hold."""
        for name, found in readers.results(store.root).items():
            wanted = self.expected.get(name, found)
            for file in sorted(found.keys() | wanted.keys()):
                if found.get(file) != wanted.get(file):
                    self.fault("other numbers", spec, f"{story}: {name}/{file}")

    def last_life(self, store: Store, spec: TaskSpec, story: str) -> None:
        """Resume without a kill: it ends, with the same bits."""
        if store.task(spec).is_done():
            return
        pid = self.start(store, spec, story)
        if pid is None:
            return
        if lives.ended(pid, lives.LIMIT_S) is None:
            self.fault("stuck when resumed", spec, story)
            lives.end_all()
        task = store.task(spec)
        if not task.is_done():
            status = task.status()
            why = f"{status.get('state')}: {status.get('message')}"
            self.fault("lost: it does not end when resumed", spec, f"{story}: {why}")
        self.inspect(store, spec, story)

    def fault(self, kind: str, spec: TaskSpec, example: str) -> None:
        """Note a fault with what repeats it."""
        name = getattr(spec, "method", spec.KIND)
        self.outcome.fault(kind, f"{name} {spec.key}, kills at {example}")


def _group(spec: TaskSpec) -> str:
    return "runs" if spec.KIND == "distill" else "analyses"


def run(seed: int, count: int, minutes: float) -> Outcome:
    """The whole siege: forked workers, real workers, the command line, the dashboard."""
    from benchmarks.chaos import outsiders

    outcome, deadline = Outcome("kills", count), Deadline(minutes)
    with base.scratch() as folder:
        os.environ.update(base.environment(folder))
        siege = Siege(folder, seed, outcome, deadline)
        lives.warm_up()
        try:
            specs = chosen(siege.random, count)
            siege.prepare(specs)
            outcome.counts["methods"] = sum(s.KIND == "distill" for s in specs)
            outcome.counts["analyses"] = sum(s.KIND != "distill" for s in specs)
            parts: list[Callable[[Siege], Any]] = outsiders.planned(count)
            while outcome.done < count and not deadline.over:
                if outcome.done + len(parts) < count or not parts:
                    siege.attack(specs[siege.trials % len(specs)])
                else:
                    parts.pop()(siege)
                say(f"trial {siege.trials}: {outcome.done} kills of {count}")
        finally:
            lives.end_all()
    return outcome


def chosen(chance: random.Random, count: int) -> list[TaskSpec]:
    """All methods and analyses in random order; of a short siege no more than it can kill."""
    everything = [*tasks.runs(), *tasks.questions(tasks.prepared()[1:])]
    chance.shuffle(everything)
    return everything[: max(2, count)]
