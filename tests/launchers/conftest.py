"""A Slurm of scripts, first on the PATH."""

import contextlib
import fcntl
import json
import os
import signal
import stat
import sys
import time
from pathlib import Path

import pytest

from ddcore.tasks import launchers
from ddcore.tasks.launchers import slurm, watch

NAMES = ("sbatch", "squeue", "scancel", "scontrol", "sinfo", "sacct")


class Cluster:
    """What tests see and change of it."""

    def __init__(self, home):
        self.home = home

    def calls(self, name):
        lines = (self.home / "calls.txt").read_text().splitlines()
        return [words[1:] for words in map(json.loads, lines) if words[0] == name]

    @contextlib.contextmanager
    def held(self):
        """Its jobs, which no command reads or changes meanwhile; what becomes of them is kept."""
        with open(self.home / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            jobs = json.loads((self.home / "jobs.json").read_text())
            yield jobs
            (self.home / "jobs.json").write_text(json.dumps(jobs))

    def jobs(self):
        with self.held() as jobs:
            return jobs

    def change(self, job, **values):
        with self.held() as jobs:
            jobs[job] |= values
        self.look()

    def forget(self, job):
        with self.held() as jobs:
            del jobs[job]
        self.look()

    def set(self, name, text=""):
        (self.home / name).write_text(text)

    def unset(self, name):
        (self.home / name).unlink()

    def look(self):
        """Ask anew, and have the answer."""
        watched = watch.of("slurm")
        watched.hurry()
        watched.listing()
        watched._asking.join()


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    home, places = tmp_path / "slurm", tmp_path / "bin"
    home.mkdir()
    places.mkdir()
    code = (Path(__file__).parent / "fake_slurm.py").read_text()
    for name in NAMES:
        file = places / name
        file.write_text(f"#!{sys.executable} -SE\n{code}")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{places}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SLURM", str(home))
    monkeypatch.setenv("DD_LAUNCHER", "slurm")
    monkeypatch.delenv("DD_SLURM", raising=False)
    monkeypatch.setattr(watch, "ASK_EVERY_S", 0.2)
    for cache in (watch.of, slurm.limits, launchers.named):
        cache.cache_clear()
    found = Cluster(home)
    yield found
    if (home / "jobs.json").exists():
        for job in found.jobs().values():
            if "pid" in job:
                _kill(job["pid"])


def _kill(pid):
    try:
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


@pytest.fixture
def wait_for():
    def wait(condition, timeout=60):
        end = time.time() + timeout
        while not condition():
            assert time.time() < end, "timed out"
            time.sleep(0.05)

    return wait
