"""An analysis that was stopped goes on where it was, and finds what it would have found at once."""

from __future__ import annotations

import numpy as np
import pytest

from analysis import analysis
from analysis.shared import grid
from analysis.suite.barriers import compute as barriers
from ddcore.tasks import worker
from ddcore.tasks.store import Store
from ddcore.tasks.worker import Context
from tests.analysis.conftest import computed, smallest, two_sets

TRAINS = {  # where the function that trains stands
    "barriers": (barriers, "train"),
    "spectra": (grid.train, "train"),
    "sensitivity": (grid.train, "train"),
}


class Stopped(Exception):
    """What stops a task in the middle."""


@pytest.mark.parametrize("name", list(TRAINS))
def test_going_on_equals_never_having_stopped(name, finished, tmp_path, monkeypatch):
    whole = finished(name)
    store = Store(tmp_path, gallery=None)
    wanted = smallest(store, name, two_sets(store))
    save, saved, trained = Context.save_checkpoint, [], []

    def save_and_stop(self, *args):
        save(self, *args)
        saved.append(self.spec.KIND)
        if saved.count(name) == 3:  # pools keep some, too
            raise Stopped

    place, function = TRAINS[name]
    original = getattr(place, function)

    def counted(*args, **options):
        trained.append(1)
        return original(*args, **options)

    monkeypatch.setattr(place, function, counted)
    with monkeypatch.context() as stopping:
        stopping.setattr(worker, "CHECKPOINT_EVERY_S", 0.0)
        stopping.setattr(Context, "save_checkpoint", save_and_stop)
        task = store.create(wanted)
        with pytest.raises(Stopped):
            worker.run_task(store, task, wanted, "cpu")
    before = len(trained)
    task = computed(store, wanted)
    assert before and len(trained) > before, "some before and some after"
    arrays = task.arrays()
    for key, values in whole.arrays().items():
        np.testing.assert_array_equal(values, arrays[key])
    of = analysis(name)
    assert of.result(task).found == of.result(whole).found
