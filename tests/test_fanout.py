"""Work shared out over devices: the same bits as in one task; what is begun nowhere else is done here."""

import numpy as np
import pytest

from ddcore.base import environment
from ddcore.base.errors import Cancelled, DDError, SpecError
from ddcore.data import resolve
from ddcore.distil.settings import make_spec
from ddcore.measure.spec import WHOLE, AccuracyPart, AccuracyTask, BaselineTask
from ddcore.nets.architectures import NetSpec
from ddcore.pools.trajectory_spec import TrajectoryTask
from ddcore.tasks import fanout, gpus, jobs, locks, queue, worker
from ddcore.tasks.launchers.contract import SchedulerSilent
from ddcore.tasks.store import Store
from ddcore.tasks.testing import SleepyTask
from ddcore.training.protocols import PROTOCOLS
from tests.sweeps.tiny import SETTINGS

DATA = resolve("digits")
NET = NetSpec(arch="convnet", width=4, depth=1)
PROTOCOL = PROTOCOLS["quick"].replace(epochs=2, batch=50)  # 4 networks at once on a CPU
RANDOM = BaselineTask(name="random", data=DATA, ipc=10, draws=10)
TIMES = ("seconds", "cpu_seconds", "device")


def by(store, spec, split, monkeypatch):
    """A task's result, computed in so many parts."""
    monkeypatch.setenv("DD_SPLIT", str(split))
    task = store.create(spec)
    worker.run_task(store, task, spec, "cpu")
    assert task.verify() == []
    return task


def test_groups_are_never_cut():
    assert fanout.ranges(range(10), 4, 2) == [range(0, 4), range(4, 10)]
    assert fanout.ranges(range(10), 4, 9) == [range(0, 4), range(4, 8), range(8, 10)]
    assert fanout.ranges(range(4, 10), 2, 2) == [range(4, 6), range(6, 10)]
    assert fanout.ranges(range(10), 20, 5) == [range(0, 10)]
    for count in range(1, 30):
        for parts in range(1, 8):
            found = fanout.ranges(range(count), 3, parts)
            assert [i for part in found for i in part] == [*range(count)] and all(found)
            assert all(part.start % 3 == 0 for part in found)


@pytest.mark.parametrize(
    "subject", ["baseline", "looked at", pytest.param("everything", marks=pytest.mark.slow)]
)
def test_networks_of_an_accuracy_are_the_same_to_the_bit(subject, store, tmp_path, monkeypatch):
    spec = AccuracyTask(subject=RANDOM.key, data=DATA, net=NET, protocol=PROTOCOL, nets=10)
    if subject == "looked at":
        spec = spec.replace(best_every=2)
    if subject == "everything":
        spec = spec.replace(subject=WHOLE, protocol=PROTOCOLS["quick"])
    found = []
    for split in (1, 3):
        where = Store(tmp_path / str(split), gallery=None)
        where.create(RANDOM)
        found.append(by(where, spec, split, monkeypatch).result())
    assert {k: v for k, v in found[0].items() if k not in TIMES} == {
        k: v for k, v in found[1].items() if k not in TIMES
    }
    assert found[0]["n"] == (3 if subject == "everything" else 10)


def test_parts_are_tasks_of_other_workers(store, monkeypatch):
    asked = []
    submit = jobs.submit

    def seen(where, specs, at_once=None):
        asked.append([*specs])
        return submit(where, asked[-1], at_once)

    monkeypatch.setattr(jobs, "submit", seen)
    store.create(RANDOM)
    spec = AccuracyTask(subject=RANDOM.key, data=DATA, net=NET, protocol=PROTOCOL, nets=10)
    by(store, spec, 3, monkeypatch)
    assert asked == [
        [AccuracyPart(whole=spec, first=8, nets=2)],
        [AccuracyPart(whole=spec, first=4, nets=4)],
    ]


def test_parts_are_removed_those_that_are_held_by_the_next_time(store, monkeypatch):
    store.create(RANDOM)
    monkeypatch.setattr(jobs, "submit", lambda *_: [])
    held = []
    need = worker.Context.need

    def hold(context, spec):
        task = need(context, spec)
        if isinstance(spec, AccuracyPart) and not held:
            held.append(locks.acquire(task.folder / ".worker.lock"))
        return task

    monkeypatch.setattr(worker.Context, "need", hold)
    spec = AccuracyTask(subject=RANDOM.key, data=DATA, net=NET, protocol=PROTOCOL, nets=8)
    by(store, spec, 2, monkeypatch)
    (left,) = store.tasks("accuracy_part")
    assert left.spec() == AccuracyPart(whole=spec, first=0, nets=4)
    held[0].release()
    by(store, spec.replace(seed=1), 2, monkeypatch)
    assert [*store.tasks("accuracy_part")] == []


def test_experts_are_the_same_to_the_bit(tmp_path, monkeypatch):
    spec = TrajectoryTask(data=DATA, net=NET, nets=5, epochs=2, batch=100)  # 2 at once
    one, three = (
        by(Store(tmp_path / str(split), gallery=None), spec, split, monkeypatch) for split in (1, 3)
    )
    assert one.key == three.key
    for expert in range(5):
        name = f"expert-{expert:04d}"
        first, second = one.arrays(name), three.arrays(name)
        assert [*first] == [*second] and all(np.array_equal(first[k], second[k]) for k in first)
    results = [task.result() for task in (one, three)]
    assert [{k: v for k, v in r.items() if k not in TIMES} for r in results[:1]] == [
        {k: v for k, v in r.items() if k not in TIMES} for r in results[1:]
    ]


def test_an_evaluation_shares_its_subjects(tmp_path, monkeypatch):
    run = make_spec("dm", DATA, (1, 8, 8), settings=[*SETTINGS.items()])
    rows = []
    for split in (1, 2):
        where = Store(tmp_path / str(split), gallery=None)
        by(where, run, split, monkeypatch)
        task = by(where, run.follow_ups()[0], split, monkeypatch)
        rows.append([{k: v for k, v in r.items() if k != "seconds"} for r in task.result()["rows"]])
    assert rows[0] == rows[1] and len(rows[0]) == 3


# --- without numerics -------------------------------------------------------------------------------


class Asking:
    """A context that needs tasks, which nobody else computes."""

    def __init__(self, store, stop=False):
        self.store, self.stop, self.notes = store, stop, []

    def need(self, spec):
        if self.stop:
            raise Cancelled("Stopped.")
        task = self.store.create(spec)
        worker.run_task(self.store, task, spec, "cpu", parent=None)
        return task

    def note(self, step, text):
        self.notes.append(text)


def test_what_cannot_be_handed_in_is_computed_here(store, monkeypatch):
    def refuse(*_):
        raise SchedulerSilent("nobody answers.")

    monkeypatch.setattr(jobs, "submit", refuse)
    asking = Asking(store)
    tasks = fanout.shared(asking, [SleepyTask(steps=1, seed=i) for i in range(3)], 2)
    assert all(task.is_done() for task in tasks)
    assert asking.notes == ["Computed in one place: nobody answers."]


def test_others_begin_at_the_end_and_stop_with_the_one_who_asked(store, monkeypatch):
    lots, stopped = [], []
    monkeypatch.setattr(
        jobs, "submit", lambda s, specs, n: lots.append([x.seed for x in specs]) or [*specs]
    )
    monkeypatch.setattr(jobs, "cancel", lambda *tasks: stopped.extend(tasks))
    specs = [SleepyTask(seed=i) for i in range(6)]
    with pytest.raises(Cancelled):
        fanout.shared(Asking(store, stop=True), specs, 3)
    assert lots == [[5, 3, 1], [4, 2]] and {t.seed for t in stopped} == {1, 2, 3, 4, 5}


def test_gpus_that_are_free_decide_unless_the_setting_does(store, monkeypatch):
    monkeypatch.setenv("DD_SPLIT", "auto")
    monkeypatch.setattr(queue, "devices", lambda: ["cuda:0", "cuda:1", "cuda:2"])
    own = locks.acquire(store.root / "slots" / "compute-cuda:0.lock")
    assert fanout.wanted(Asking(store)) == 3
    other = locks.acquire(store.root / "slots" / "compute-cuda:2.lock")
    assert fanout.wanted(Asking(store)) == 2
    other.release()
    ticket = queue.Ticket(store.root, "compute", "0" * 16)
    assert fanout.wanted(Asking(store)) == 1  # somebody waits, and comes first
    ticket.close()
    monkeypatch.setenv("DD_LAUNCHED", "slurm")
    assert fanout.wanted(Asking(store)) == 1
    monkeypatch.setenv("DD_SPLIT", "4")
    assert fanout.wanted(Asking(store)) == 4
    own.release()
    monkeypatch.setenv("DD_SPLIT", "0")
    with pytest.raises(SpecError, match="auto, or a whole number"):
        environment.check()
    assert gpus.devices() and issubclass(SpecError, DDError)
