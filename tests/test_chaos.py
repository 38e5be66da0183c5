"""The attacks of `benchmarks.chaos`, short; and that they see the faults they look for."""

import os
import random
import socket
import subprocess
import sys

import pytest

from benchmarks.chaos import damage, injuries, readers
from ddcore.base import paths
from ddcore.base.errors import DDError
from ddcore.tasks import jobs
from ddcore.tasks.files import read_arrays, write_json
from ddcore.tasks.store import Task
from ddcore.tasks.testing import SleepyTask


@pytest.fixture
def target(store, compute, monkeypatch):
    """A store with a finished, a failed and a lost task, without any numerics."""
    monkeypatch.setattr(jobs, "launch", lambda tasks: None)
    compute(SleepyTask(steps=2))
    with pytest.raises(DDError):
        compute(SleepyTask(steps=2, fail_at=1))
    abandoned = store.create(SleepyTask(steps=7))
    abandoned.write_status(state="running", heartbeat=0.0, host=socket.gethostname())
    return damage.Target.of(store.root)


def trials(target, tmp_path, count, wanted=lambda subject: True):
    """Faults of so many damages, by kind."""
    chance, found = random.Random(0), {}
    subjects = [s for s in target.subjects if wanted(s)]
    for i in range(count):
        subject = subjects[i % len(subjects)]
        trial = damage.Trial(target, tmp_path / f"trial-{i}", subject, chance)
        trial.run()
        for kind, example in trial.faults:
            found.setdefault(kind, example)
    return found


def test_damaged_files_are_detected_or_harmless(target, tmp_path):
    assert trials(target, tmp_path, 80) == {}


def test_a_missing_check_of_arrays_is_noticed(target, tmp_path, monkeypatch):
    def unchecked(task, name="arrays"):
        return read_arrays(task.folder / f"{name}.safetensors")

    monkeypatch.setattr(Task, "arrays", unchecked)
    monkeypatch.setattr(Task, "verify", lambda task: [])
    found = trials(target, tmp_path, 40, lambda s: s.kind == "arrays")
    assert any(kind.startswith("silently another arrays") for kind in found)
    assert any(kind.startswith("not found by verify") for kind in found)


def test_a_reader_that_raises_is_noticed(target, tmp_path, monkeypatch):
    monkeypatch.setattr(Task, "events", lambda task: 1 / 0)
    found = trials(target, tmp_path, 1)
    assert any(kind.startswith("reader events fails") for kind in found)


@pytest.mark.parametrize("how", sorted(injuries.WAYS))
def test_every_injury_changes_the_file(tmp_path, how):
    changed = 0
    for seed in range(20):
        path = tmp_path / f"{seed}.json"
        write_json(path, {"a": [1, 2, {"b": "text"}], "c": None})
        before = path.read_bytes()
        injuries.WAYS[how](path, random.Random(seed))
        changed += not path.is_file() or path.read_bytes() != before
    assert changed >= 18  # an odd value may happen to be the one that was there


def test_results_are_compared_without_their_seconds():
    one = {"mean": 0.5, "seconds": 1.0, "rows": [{"cpu_seconds": 2, "model_seconds": 1, "n": 3}]}
    two = {"mean": 0.5, "seconds": 7.0, "rows": [{"cpu_seconds": 9, "model_seconds": 4, "n": 3}]}
    assert readers.digest(one) == readers.digest(two)
    assert readers.digest(one) != readers.digest(two | {"mean": 0.25})


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("attack", "count"), [("kills", 8), ("damage", 60), ("uploads", 40), ("crowd", 8)]
)
def test_short_attack_finds_no_fault(attack, count):
    line = [sys.executable, "-m", "benchmarks.chaos", attack, "--count", str(count)]
    found = subprocess.run(
        line, cwd=paths.PROJECT, env=dict(os.environ), capture_output=True, text=True
    )
    assert found.returncode == 0, found.stdout + found.stderr[-2000:]
