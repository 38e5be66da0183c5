"""Two finished sets, and every analysis of them at its smallest, computed once for all tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis import analyses
from analysis.contract import AnalysisTask
from ddcore.data.preprocess import Preprocess
from ddcore.data.registry import get
from ddcore.data.spec import DataSpec
from ddcore.distil.settings import make_spec
from ddcore.tasks import worker
from ddcore.tasks.store import Store, Task
from tests.pages.fakes import done, images

SCALE = (0.3, 0.4)  # mean and deviation of pixels, about


def two_sets(store: Store, data: str = "digits") -> list[str]:
    """Keys of two sets for a bundled dataset, with two images per class."""
    shape, (mean, std) = get(data).shape, SCALE
    two = {"images": images(count=20, shape=shape), "labels": np.arange(10).repeat(2)}
    scale = Preprocess(*(np.full(shape[0], value, np.float32) for value in (mean, std)))
    runs = [make_spec("dm", DataSpec(name=data), shape, seed=s, ipc=2) for s in range(2)]
    return [done(store, run, preprocess=scale, **two).key for run in runs]


def sets_for(store: Store, name: str) -> list[str]:
    """Keys of two sets that an analysis has an answer for."""
    return two_sets(store, analyses()[name].smallest_data)


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
    """A store with two sets for the digits; `finished` fills it."""
    root: Path = tmp_path_factory.mktemp("analysed")
    store = Store(root, gallery=None)
    two_sets(store)
    return store


@pytest.fixture(scope="session")
def finished(analysed: Store):
    """The finished task of an analysis by name."""
    known: dict[str, Task] = {}

    def of(name: str) -> Task:
        if name not in known:
            known[name] = computed(analysed, smallest(analysed, name, sets_for(analysed, name)))
        return known[name]

    return of
