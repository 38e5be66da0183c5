"""Progress for TensorBoard: what is written, once each, and what is said without it."""

import sys
import types

import pytest

from ddcore.base.errors import DDError
from ddcore.cli import follow, main, trackers
from ddcore.tasks.testing import SleepyTask


@pytest.fixture
def written(monkeypatch):
    """What its library would have been told."""
    found = []

    class SummaryWriter:
        def __init__(self, folder, purge_step):
            found.append((folder, purge_step))

        def add_scalar(self, name, value, step):
            found.append((name, value, step))

        def flush(self):
            pass

        close = flush

    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    return found


def test_every_event_is_written_once(store, written):
    spec = SleepyTask(steps=3)
    tracker = trackers.Tracker(store, store.task(spec))
    follow.jobs.submit(store, [spec])
    follow.watch(store, store.task(spec), tracker.update)
    tracker.update({"state": "done"})
    tracker.close()
    assert written[0] == (str(store.root / "tensorboard" / spec.key), 0)
    assert [row for row in written[1:] if row[0] == "value"] == [
        ("value", 0.0, 1),
        ("value", 1.0, 2),
        ("value", 3.0, 3),
    ]
    assert {row[0] for row in written[1:]} == {"value", "seconds"}


def test_without_it_nothing_starts(store, monkeypatch, capsys):
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    with pytest.raises(DDError, match=r"^There is no TensorBoard here: pip install"):
        trackers.check()
    assert main(["distill", "dm", "--log", "tensorboard"]) == 2
    assert "There is no TensorBoard" in capsys.readouterr().err
    assert not [*store.root.glob("*/*")]
