"""A small store with folders in every state, and what its unfinished runs should end as."""

from __future__ import annotations

import os
import random
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.chaos import base, injuries, lives, readers, tasks
from benchmarks.chaos.base import Deadline, Outcome
from benchmarks.chaos.kills import Siege
from ddcore.base.specs import TaskSpec
from ddcore.data.preprocess import Preprocess
from ddcore.sets.distilled import DistilledSet
from ddcore.tasks import jobs
from ddcore.tasks.store import Store
from ddcore.tasks.testing import SleepyTask

STOPPED_RUNS = 3  # killed half way, with a checkpoint


@dataclass
class Fixture:
    """The store at `root`, and the siege that made it."""

    root: Path
    siege: Siege
    stopped: list[TaskSpec]
    trials: int = 0

    def resume_damaged(self, outcome: Outcome, chance: random.Random) -> None:
        """Damage a file of a checkpoint, resume, compare with the undisturbed run."""
        self.trials += 1
        spec = chance.choice(self.stopped)
        root = self.root.with_name(f"resumed-{self.trials}")
        shutil.copytree(self.root, root)
        store = self.siege.store(root.name)
        folder = store.task(spec).folder / "checkpoint"
        path = chance.choice(sorted(p for p in folder.iterdir() if p.is_file()))
        how = f"checkpoint/{path.name}: {injuries.injure(path, chance)}"
        before = sum(map(len, self.siege.outcome.faults.values()))
        self.siege.last_life(store, spec, how)
        hurt = sum(map(len, self.siege.outcome.faults.values())) > before
        outcome.done += 1
        outcome.counts["resumed from a damaged checkpoint"] += 1
        outcome.counts["= with a fault" if hurt else "= resumed to the same bits"] += 1
        outcome.faults.update(self.siege.outcome.faults)
        shutil.rmtree(root, ignore_errors=True)


def make(folder: Path, seed: int) -> Fixture:
    """Compute it: finished ones of several kinds, an opened set, runs killed half way, failed and queued."""
    os.environ.update(base.environment(folder))
    lives.warm_up()
    siege = Siege(folder, seed, Outcome("fixtures", 0), Deadline(60))
    everything = tasks.runs()
    siege.random.shuffle(everything)
    sets = tasks.prepared()[1:]
    question = tasks.questions(sets)[0]
    stopped = everything[:STOPPED_RUNS]
    siege.prepare([*stopped, question])
    store = siege.copy("damaged")
    siege.undisturbed(store, [question])
    siege.undisturbed(store, sets[0].follow_ups())
    siege.expected |= readers.results(store.root)
    siege.undisturbed(store, [opened(store, sets[0])])
    for spec in stopped:
        half_way(store, spec)
    long_ago = {"heartbeat": 0.0, "queued": 0.0, "host": socket.gethostname()}
    store.create(SleepyTask(seed=2)).write_status(state="queued", **long_ago)
    task = jobs.submit(store, [SleepyTask(seed=1, steps=2, fail_at=1)])[0]
    lives.ended(next(iter(lives.alive)), lives.LIMIT_S)
    assert task.status()["state"] == "failed", task.status()
    siege.resting = (*siege.resting, "failed")
    return Fixture(store.root, siege, stopped)


def half_way(store: Store, spec: TaskSpec) -> None:
    """Kill a run when it has left a checkpoint."""
    folder = store.task(spec).folder / "checkpoint"
    lives.kill_after = str(folder)
    jobs.submit(store, [spec])
    lives.kill_after = ""
    lives.ended(next(iter(lives.alive)), lives.LIMIT_S)
    if not folder.is_dir() or not any(p.suffix != ".tmp" for p in folder.iterdir()):
        raise RuntimeError(f"{spec.title()} leaves no checkpoint when it is killed.")


def opened(store: Store, spec: TaskSpec) -> TaskSpec:
    """A set that was exported and is opened again, its files in place."""
    from ddcore.sets import exports, imported
    from ddcore.sets.imported_spec import propose
    from ddcore.sets.importers import examine, open_file

    content, name, _ = exports.export_bytes(DistilledSet.from_task(store.task(spec)), "npz")
    wanted = propose(examine([open_file(content, name)]), spec.data)
    imported.bring(store, wanted, [content], [name])
    return wanted


def small_set() -> DistilledSet:
    """A set of ten images that was made by nobody."""
    images = np.random.default_rng(0).normal(0.5, 0.5, (10, *tasks.SHAPE)).astype(np.float32)
    spec = tasks.run("dm")
    return DistilledSet(
        images=images,
        labels=np.arange(10),
        class_names=tuple("0123456789"),
        preprocess=Preprocess(np.array([0.3], np.float32), np.array([0.4], np.float32)),
        net=spec.net,
        protocol=spec.protocol,
        method=spec.method,
        run_key=spec.key,
        data=spec.data.to_dict(),
    )
