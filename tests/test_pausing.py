"""A run that waits, takes single steps and goes on: its result is that of one that never waited."""

from __future__ import annotations

import contextlib
import threading
import time

import numpy as np
import pytest

from ddcore.base.errors import Cancelled
from ddcore.sets.distilled import DistilledSet
from ddcore.tasks import jobs, pausing, worker
from tests.test_runner import tiny

LIMIT_S = 120.0


def until(condition, what: str) -> None:
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def in_background(compute, spec) -> threading.Thread:
    """Compute it in a thread of this process; a stop is no failure of the test."""

    def run() -> None:
        with contextlib.suppress(Cancelled):
            compute(spec)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.parametrize("name", ["dm", "bptt"])
def test_single_steps_change_no_bit(compute, store, name):
    spec = tiny(name)
    whole = DistilledSet.from_task(compute(spec))
    losses = [(e["step"], e["loss"]) for e in store.task(spec).events() if "loss" in e]
    files = sorted(p.name for p in store.task(spec).folder.rglob("*") if p.is_file())
    store.delete(store.task(spec))

    task = store.create(spec)
    pausing.pause(task)
    thread = in_background(compute, spec)
    for step in (1, 2, 3):
        until(lambda step=step: (pausing.seen(task) or (0, 0))[0] == step, f"waits at {step}")
        status = jobs.state(task)
        assert (status["state"], status["step"]) == ("running", step)
        assert status["message"] == worker.PAUSED
        assert task.has_checkpoint(), "nothing is lost meanwhile"
        pausing.one_step(task)
    until(lambda: (pausing.seen(task) or (0, 0))[0] == 4, "one step at a time")
    time.sleep(3 * pausing.POLL_S)
    assert pausing.seen(task)[0] == 4, "and no more"
    pausing.go_on(task)
    thread.join(LIMIT_S)
    assert task.is_done()
    assert np.array_equal(DistilledSet.from_task(task).images, whole.images)
    assert [(e["step"], e["loss"]) for e in task.events() if "loss" in e] == losses
    assert sorted(p.name for p in task.folder.rglob("*") if p.is_file()) == files
    assert task.verify() == []


def test_what_is_seen_is_the_set_where_it_waits(compute, store):
    """At an iteration of which there is a snapshot as well, both show the same images."""
    spec = tiny("dm")
    task = store.create(spec)
    pausing.pause(task)
    thread = in_background(compute, spec)
    until(lambda: pausing.seen(task) is not None, "it waits")
    step, pixels = pausing.seen(task)
    assert step == 1 and 1 in task.snapshot_steps()
    np.testing.assert_array_equal(pixels.astype(np.float16), task.snapshot(1)["pixels"])
    pausing.go_on(task)
    thread.join(LIMIT_S)
    assert pausing.seen(task) is None


def test_the_time_it_waits_counts_as_no_time(compute, store):
    spec = tiny("dm")
    task = store.create(spec)
    pausing.pause(task)
    began = time.monotonic()
    thread = in_background(compute, spec)
    until(lambda: pausing.seen(task) is not None, "it waits")
    waited = 3.0
    time.sleep(waited)
    pausing.go_on(task)
    thread.join(LIMIT_S)
    assert task.result()["seconds"] < time.monotonic() - began - waited + 0.5


def test_it_can_be_stopped_while_it_waits_and_resumed(compute, store):
    spec = tiny("dm")
    whole = DistilledSet.from_task(compute(spec)).images
    store.delete(store.task(spec))
    task = store.create(spec)
    pausing.pause(task)
    thread = in_background(compute, spec)
    until(lambda: pausing.seen(task) is not None, "it waits")
    jobs.cancel(task)
    thread.join(LIMIT_S)
    assert task.status()["state"] == "cancelled"
    (task.folder / "cancel").unlink()
    pausing.go_on(task)
    compute(spec)
    assert np.array_equal(DistilledSet.from_task(task).images, whole)


def test_queueing_it_again_forgets_the_pause(store):
    spec = tiny("dm")
    task = store.create(spec)
    pausing.pause(task)
    jobs.submit(store, [spec])
    assert not pausing.is_asked(task)
    jobs.wait(task, timeout_s=LIMIT_S)
    assert task.is_done()


def test_one_step_is_for_runs_that_wait(store):
    task = store.create(tiny("dm"))
    pausing.one_step(task)
    assert not pausing.may_step(task)
