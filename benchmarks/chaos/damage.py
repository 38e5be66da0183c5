"""Files of task folders damaged in every way; each damage is detected or harmless, and hurts no other folder.

What is asked after each: no reader and no command fails with a traceback; a number is right or refused; a
changed file of a finished folder is found by `verify`; nothing unfinished is shown as done; the folder can be
deleted. Damaged checkpoints are also resumed from: the run ends with the bits of an undisturbed one.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import shutil
import traceback
from pathlib import Path
from unittest import mock

from benchmarks.chaos import base, fixtures, injuries, pages, readers
from benchmarks.chaos.base import Deadline, Outcome, say
from benchmarks.chaos.target import Subject, Target
from ddcore import cli
from ddcore.base.errors import DDError
from ddcore.cli import folders, listing
from ddcore.tasks import jobs
from ddcore.tasks.store import Store, Task

STATES = {"missing", "queued", "running", "done", "failed", "cancelled", "lost", "damaged"}
# Readers that tell about a folder; a difference there is what is expected of damage.
TELLING = ("state", "log", "size", "snapshots")
COMMANDS = (["jobs", "--all"], ["list", "runs"], ["verify"])
REAL_EVERY, PAGES_EVERY = 200, 60
RESUMED_SHARE = 30  # one of so many damages is one of a checkpoint that is resumed from


class Trial:
    """One damaged file and everything that is asked about it."""

    def __init__(self, target: Target, root: Path, subject: Subject, chance: random.Random) -> None:
        self.target, self.root, self.subject = target, root, subject
        target.copy(root, subject.folder)
        self.path = root / subject.folder / subject.name
        before = _content(self.path)
        self.how = injuries.injure(self.path, chance)
        self.changed = _content(self.path) != before
        self.store = Store(root, gallery=None)
        self.task = Task(root / subject.folder)
        self.faults: list[tuple[str, str]] = []
        self.detected = False

    def fault(self, kind: str, detail: object = "") -> None:
        """Note what is wrong."""
        where = f"{self.subject.folder}/{self.subject.name}"
        lines = [line.strip() for line in str(detail).splitlines() if line.strip("~^ |")]
        text = " | ".join(lines[-3:])[:300]
        self.faults.append((f"{kind} ({self.subject.kind})", f"{where}: {self.how}: {text}"))

    def run(self) -> None:
        """Ask everything, then delete the folder."""
        self.lists()
        self.numbers()
        self.found_by_verify()
        self.commands()
        self.resumed_or_refused()
        self.deleted()

    def lists(self) -> None:
        """The list of tasks names every other folder with its state, and this one with a known one."""
        try:
            states = readers.listing(self.store)
        except Exception:
            self.fault("the list fails", traceback.format_exc(limit=-2))
            return
        here = states.pop(self.subject.folder, "unlisted")
        others = {k: v for k, v in self.target.states.items() if k != self.subject.folder}
        if states != others:
            self.fault("another folder looks different", states.items() ^ others.items())
        if here == "unlisted":
            if self.subject.finished and self.subject.name != "spec.json":
                self.fault("not listed any more")
        elif here not in STATES:
            self.fault("unknown state", here)
        elif here == "done" and not self.subject.finished:
            self.fault("shown as done")
        self.detected |= here != self.target.states[self.subject.folder]

    def numbers(self) -> None:
        """Each reader's value is the right one, or refused."""
        right, state = self.target.values[self.subject.folder], ""
        with contextlib.suppress(Exception):
            state = jobs.state(self.task)["state"]
        for name, value in readers.values(self.task).items():
            if isinstance(value, readers.Traceback):
                self.fault(f"reader {name.split()[0]} fails", value)
            elif isinstance(value, readers.Refused):
                self.detected |= not isinstance(right.get(name), readers.Refused)
            elif value != right.get(name) and name not in TELLING:
                # Events and snapshots of a run that goes on are under no checksum yet.
                growing = name.startswith(("events", "snapshot")) and not self.subject.finished
                if not growing and state != "damaged":
                    self.fault(f"silently another {name.split()[0]}")

    def found_by_verify(self) -> None:
        """`verify` names a changed file of a finished folder."""
        try:
            problems = self.task.verify()
        except DDError:
            problems = ["refused"]
        except Exception:
            self.fault("verify fails", traceback.format_exc(limit=-2))
            return
        self.detected |= bool(problems) and self.subject.finished
        harmless = self.subject.name == "done.json" and self.same_manifest()
        if self.subject.sealed and self.changed and not problems and not harmless:
            self.fault("not found by verify")

    def same_manifest(self) -> bool:
        """Whether the damaged manifest still says the same of the same files."""
        try:
            given = json.loads((self.target.root / self.subject.folder / "done.json").read_bytes())
            return json.loads(self.path.read_bytes())["files"] == given["files"]
        except Exception:
            return False

    def commands(self) -> None:
        """The command line says what there is; `verify` gives 1 for a damaged result."""
        for line in COMMANDS:
            code, said = command(self.store, line)
            if said:
                self.fault(f"command {line[0]} fails", said)
            elif code not in (0, 1):
                self.fault(f"command {line[0]} refuses all", code)

    def resumed_or_refused(self) -> None:
        """Going on with an unfinished task is started, or refused in one sentence."""
        if self.subject.finished:
            return
        try:
            jobs.resume(self.store, self.store.find(self.task.key))
        except DDError:
            self.detected = True
        except Exception:
            self.fault("resume fails", traceback.format_exc(limit=-2))

    def deleted(self) -> None:
        """The folder can be removed, whatever is in it."""
        try:
            self.store.delete(self.task)
        except Exception:
            self.fault("cannot be deleted", traceback.format_exc(limit=-2))
            return
        if self.task.folder.exists():
            self.fault("still there after it was deleted")


def _content(path: Path) -> bytes | str | None:
    if path.is_symlink() or path.is_dir():
        return "no file"
    return path.read_bytes() if path.exists() else None


def command(store: Store, line: list[str]) -> tuple[int, str]:
    """Exit code and traceback of a command of the command line, in this process."""
    with contextlib.ExitStack() as inside:
        for redirected in (contextlib.redirect_stdout, contextlib.redirect_stderr):
            inside.enter_context(redirected(io.StringIO()))
        for group in (folders, listing):
            inside.enter_context(mock.patch.object(group, "Store", lambda *_, **__: store))
        try:
            return cli.main([*line, "--json"]), ""
        except Exception:
            return -1, traceback.format_exc(limit=-2)


def run(seed: int, count: int, minutes: float) -> Outcome:
    """Checkpoints that are resumed from, then every kind of file with every reader, pages now and then."""
    outcome, deadline, chance = Outcome("damage", count), Deadline(minutes), random.Random(seed)
    with base.scratch() as folder:
        made = fixtures.make(folder, seed)
        for _ in range(count // RESUMED_SHARE):
            if not deadline.over:
                made.resume_damaged(outcome, chance)
        jobs.launch = lambda tasks: None  # nothing is computed from here on
        target = Target.of(made.root)
        trials = 0
        while outcome.done < count and not deadline.over:
            trials += 1
            root = folder / f"trial-{trials}"
            trial = Trial(target, root, target.chosen(chance), chance)
            if trials % PAGES_EVERY == 1:
                pages.look(trial, real=trials % REAL_EVERY == 1)
            trial.run()
            record(outcome, trial)
            shutil.rmtree(root, ignore_errors=True)
            if trials % 250 == 0:
                say(f"{outcome.done} of {count} files damaged")
    return outcome


def record(outcome: Outcome, trial: Trial) -> None:
    """Count a trial and its faults, each kind once."""
    outcome.done += 1
    outcome.counts[f"{'finished' if trial.subject.finished else 'open'}: {trial.subject.kind}"] += 1
    for kind, example in dict(trial.faults).items():
        outcome.fault(kind, example)
    known = "with a fault" if trial.faults else "detected" if trial.detected else "harmless"
    outcome.counts[f"= {known}"] += 1
