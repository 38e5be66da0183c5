"""Jobs of this machine and of a scheduler, side by side."""

import time

from ddcore.tasks import files, locks, queue, records
from ddcore.tasks.launchers import watch
from ddcore.tasks.launchers.contract import PENDING, RUNNING, JobState
from ddcore.tasks.testing import SleepyTask
from tests.pages.fakes import put, text


class Said:
    """A scheduler that has said this."""

    def __init__(self, jobs, silence=""):
        self.said = watch.Listing(jobs, time.time(), silence)
        self.launcher = type("Launcher", (), {"title": "Slurm"})

    def listing(self):
        return self.said


def test_where_each_runs_and_why_it_waits(visit, store, alive, monkeypatch):
    monkeypatch.setenv("DD_LAUNCHER", "slurm")
    put(store, SleepyTask(seed=1), "queued", launcher="slurm", job="11")
    put(store, SleepyTask(seed=2), "running", launcher="slurm", job="12", step=1, total=3)
    alive(put(store, SleepyTask(seed=3), "running", step=1, total=3))
    said = {
        "11": JobState(PENDING, "It waits <b>its</b> turn.", start=1.9e9),
        "12": JobState(RUNNING, node="node7"),
    }
    monkeypatch.setattr(watch, "of", lambda name: Said(said))
    shown = text(visit("9_Jobs.py"))
    assert "slurm 12 on node7" in shown and "slurm 11" in shown and "this machine" in shown
    assert "Slurm 1 running" in shown and "Waiting 1" in shown
    assert "turn. It starts about 17 Mar" in shown and "In the queue" not in shown
    assert "<b>" not in shown  # what a scheduler says is text
    monkeypatch.setattr(watch, "of", lambda name: Said({}, "Slurm has not answered."))
    shown = text(visit("9_Jobs.py"))
    assert (
        "Slurm no answer" in shown and "Slurm does not answer" in shown and "Stopped" not in shown
    )


def test_without_a_scheduler_nothing_is_said_of_places(visit, store, alive):
    alive(put(store, SleepyTask(), "running", step=1, total=3))
    shown = text(visit("9_Jobs.py"))
    assert "this machine" not in shown and "cpu free" in shown


def test_200_that_wait_cost_a_few_looks_each(visit, store, alive, monkeypatch):
    """Counted, not timed: each row used to look at the whole queue."""
    tickets = []
    for i in range(200):
        task = put(store, SleepyTask(seed=i), "queued", queued=float(i))
        alive(task)
        tickets.append(queue.Ticket(store.root, "compute", task.key))
    monkeypatch.setattr(queue, "TICKET_GRACE_S", 0.0)  # each is asked whether it lives
    visit("9_Jobs.py")  # imports and what is read once
    calls = {"locks": 0, "statuses": 0, "texts": 0}

    def counted(name, function):
        def call(*values):
            calls[name] += 1
            return function(*values)

        return call

    monkeypatch.setattr(locks, "is_held", counted("locks", locks.is_held))
    monkeypatch.setattr(records, "status", counted("statuses", records.status))
    monkeypatch.setattr(files, "text", counted("texts", files.text))
    shown = text(visit("9_Jobs.py"))
    assert "Waiting 200" in shown and "In the queue: 24 tasks ahead" in shown
    assert calls["locks"] <= 4 * 200 and calls["statuses"] <= 4 * 200 and calls["texts"] <= 200
    for ticket in tickets:
        ticket.close()
