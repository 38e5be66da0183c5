"""Two finished sets, and every analysis of them at its smallest, computed once for all tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis import analyses
from analysis.contract import AnalysisTask
from ddcore.tasks import worker
from ddcore.tasks.store import Store, Task
from tests.pages.fakes import done, images, spec


def two_sets(store: Store) -> list[str]:
    """Keys of two sets for the digits, with two images per class."""
    two = {"images": images(count=20), "labels": np.arange(10).repeat(2)}
    return [done(store, spec(seed=s, ipc=2), **two).key for s in range(2)]


def smallest(store: Store, name: str, keys: list[str]) -> AnalysisTask:
    """The spec of a run of seconds."""
    of = analyses()[name]
    return of.spec(run_keys=tuple(keys), **of.smallest)


def computed(store: Store, wanted: AnalysisTask) -> Task:
    """The task, computed in this process."""
    task = store.create(wanted)
    worker.run_task(store, task, wanted, "cpu")
    assert task.is_done(), task.status()
    return task


@pytest.fixture(scope="session")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with two sets; `finished` fills it."""
    root: Path = tmp_path_factory.mktemp("analysed")
    store = Store(root, gallery=None)
    two_sets(store)
    return store


@pytest.fixture(scope="session")
def finished(analysed: Store):
    """The finished task of an analysis by name."""
    known: dict[str, Task] = {}
    keys = [t.key for t in analysed.tasks("distill")]

    def get(name: str) -> Task:
        if name not in known:
            known[name] = computed(analysed, smallest(analysed, name, keys))
        return known[name]

    return get
