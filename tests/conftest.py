"""Shared fixtures: a store of its own for each test, tasks computed in this process."""

import os

import hypothesis
import pytest

# One thread: tiny tensors gain little from more, and a busy machine loses much. Set before torch is
# imported anywhere; workers started by tests inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
os.environ.setdefault("DD_MEASURE", "0")  # workers need not measure each test's empty store

from ddcore.tasks import worker
from ddcore.tasks.store import Store

hypothesis.settings.register_profile("patient", deadline=None)  # a busy machine breaks no invariant
hypothesis.settings.load_profile("patient")


@pytest.fixture
def store(tmp_path, monkeypatch):
    """An empty store without the gallery; `DD_CACHE` points at it for subprocesses."""
    monkeypatch.setenv("DD_CACHE", str(tmp_path / "cache"))
    return Store(tmp_path / "cache", gallery=None)


@pytest.fixture
def compute(store):
    """Compute a task in this process and return its folder."""
    return _in_process(store)


@pytest.fixture(scope="module")
def pooled(tmp_path_factory):
    """A store for a file of tests that need the same data and networks again and again."""
    return Store(tmp_path_factory.mktemp("pooled") / "cache", gallery=None)


@pytest.fixture(scope="module")
def compute_pooled(pooled):
    """Compute a task anew, whatever another test has left; what it needs may be found."""
    compute = _in_process(pooled)

    def run(spec, anew=True):
        if anew:
            pooled.delete(pooled.task(spec))
        return compute(spec)

    return run


def _in_process(store):
    def run(spec, device="cpu"):
        task = store.create(spec)
        worker.run_task(store, task, spec, device)
        return task

    return run
