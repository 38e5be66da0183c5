"""Deleting with a way back."""

from __future__ import annotations

import time

import pytest

from ddcore.base.errors import NotReady
from ddcore.tasks import jobs, locks, notes, stamps, trash
from ddcore.tasks.store import Store
from ddcore.tasks.testing import SleepyTask
from tests.pages import fakes


@pytest.fixture
def run(store):
    return fakes.done(store, fakes.spec())


def files(folder) -> dict:
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_run_goes_and_comes_back_as_it_was_with_its_evaluation(store, run):
    evaluation = fakes.evaluated(store, run.spec())
    other = fakes.done(store, fakes.spec(seed=1))
    before = files(run.folder)
    moved = trash.throw(store, [run])
    assert {t.key for t in moved} == {run.key, evaluation.key}
    assert [t.key for t in store.tasks()] == [other.key]
    assert {t.task.key for t in trash.thrown(store)} == {run.key, evaluation.key}
    with pytest.raises(NotReady, match="No task"):
        store.find(run.key)
    back = trash.restore(store, [run.key])
    assert {t.key for t in back} == {run.key, evaluation.key}
    assert trash.thrown(store) == []
    after = {p: c for p, c in files(run.folder).items() if "lock" not in p.name}
    assert after == before
    assert store.find(run.key).verify() == [] and store.find(evaluation.key).is_done()


def test_shipped_and_active_runs_stay(store, run, tmp_path):
    over = Store(tmp_path / "own", gallery=store.root)
    shipped = over.find(run.key)
    own = fakes.done(over, fakes.spec(seed=1))
    with pytest.raises(NotReady, match="part of the shipped gallery and cannot be deleted"):
        trash.throw(over, [own, shipped])
    assert shipped.is_done() and own.is_done(), "all or none"
    busy = fakes.put(store, SleepyTask(steps=1), "running")
    lock = locks.acquire(busy.folder / ".lock")
    with pytest.raises(NotReady, match="is running: stop it"):
        trash.throw(store, [busy])
    lock.release()
    assert run.is_done()


def test_what_somebody_holds_stays(store, run):
    lock = locks.acquire(run.folder / ".lock")
    assert trash.throw(store, [run]) == []
    lock.release()
    assert run.is_done() and trash.throw(store, [run])


def test_a_run_made_again_is_not_replaced(store, run):
    trash.throw(store, [run])
    fakes.done(store, fakes.spec())
    with pytest.raises(NotReady, match="has been asked for again since it was deleted"):
        trash.restore(store, [run.key])
    trash.throw(store, [run])  # the newer one takes the place of the older
    assert [t.task.key for t in trash.thrown(store)] == [run.key]
    trash.restore(store, [run.key])
    assert run.is_done()


def test_a_folder_of_nothing_but_locks_is_in_nobodys_way(store, run):
    trash.throw(store, [run])
    locks.acquire(run.folder / ".lock").release()
    trash.restore(store, [run.key])
    assert run.is_done()


def test_what_is_not_there_cannot_come_back(store):
    with pytest.raises(NotReady, match="in the trash"):
        trash.restore(store, ["0" * 16])


def test_notes_live_until_the_run_is_gone_for_good(store, run, monkeypatch):
    notes.change(store, run.key, name="Mine")
    trash.throw(store, [run])
    assert trash.purge(store) == []
    assert notes.read(store.root, run.key).name == "Mine"
    later = time.time() + (trash.KEEP_DAYS + 1) * 86400
    monkeypatch.setattr("time.time", lambda: later)
    assert trash.purge(store) == [f"distill/{run.key}"]
    assert trash.thrown(store) == [] and notes.every(store.root) == {}


def test_deleting_removes_what_is_past_its_time(store, run):
    other = fakes.done(store, fakes.spec(seed=1))
    trash.throw(store, [run])
    place = store.root / trash.FOLDER / "distill" / run.key / trash.THROWN
    place.write_text('{"at": 0}')
    trash.throw(store, [other])
    assert [t.task.key for t in trash.thrown(store)] == [other.key]


def test_the_queue_may_ask_for_a_deleted_run_again(store, run, monkeypatch):
    monkeypatch.setattr(jobs, "launch", lambda tasks: None)
    trash.throw(store, [run])
    again = jobs.submit(store, [fakes.spec()])[0]
    assert again.status()["state"] == "queued"
    with pytest.raises(NotReady, match="asked for again"):
        trash.restore(store, [run.key])


def test_stamps_tell_when_a_folder_changes(store, run):
    first = stamps.finished(run)
    assert first and stamps.finished(run) == first
    run.mark("It is broken.")
    assert stamps.finished(run) == ()
    run.mark("")
    assert stamps.finished(run)
    (run.folder / "result.json").unlink()
    assert stamps.finished(run) == stamps.stamp(run) == ()
