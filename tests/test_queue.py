"""The queue: order, dead and young tickets, clocks, and what waiting costs."""

import os
import subprocess
import sys
import threading
import time

import pytest

from ddcore.base.errors import SpecError
from ddcore.tasks import gpus, locks, queue, reservations

WAIT = """
import sys
from pathlib import Path
from ddcore.tasks import queue
ticket = queue.Ticket(Path(sys.argv[1]), "compute", sys.argv[2])
print("drawn", flush=True)
ticket.wait(lambda position: None)
print("slot", flush=True)
sys.stdin.read()
"""


def waiter(root, key):
    process = subprocess.Popen(
        [sys.executable, "-c", WAIT, str(root), key],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "drawn\n"
    return process


def ended(process):
    process.kill()
    process.wait()


@pytest.fixture
def one_slot(monkeypatch):
    monkeypatch.setenv("DD_DEVICE", "cpu")


@pytest.mark.usefixtures("one_slot")
def test_a_killed_waiter_frees_its_place(tmp_path, monkeypatch):
    monkeypatch.setattr(queue, "TICKET_GRACE_S", 0.0)
    slot = locks.acquire(tmp_path / "slots" / "compute-cpu.lock")
    first, second = waiter(tmp_path, "a" * 16), waiter(tmp_path, "b" * 16)
    try:
        names = [p.name.split(".")[2] for p in queue.waiting(tmp_path, "compute")]
        assert names == ["a" * 16, "b" * 16]
        ended(first)
        assert [p.name.split(".")[2] for p in queue.waiting(tmp_path, "compute")] == ["b" * 16]
        slot.release()
        assert second.stdout.readline() == "slot\n"
    finally:
        ended(first)
        ended(second)


@pytest.mark.usefixtures("one_slot")
def test_slots_are_given_in_the_order_of_tickets(tmp_path):
    slot = locks.acquire(tmp_path / "slots" / "compute-cpu.lock")
    tickets = [queue.Ticket(tmp_path, "compute", f"{i:016x}") for i in range(6)]
    served = []

    def wait(i):
        got = tickets[i].wait(lambda _: None)
        served.append(i)
        tickets[i].close()
        got.release()

    threads = [threading.Thread(target=wait, args=[i]) for i in reversed(range(6))]
    [t.start() for t in threads]
    time.sleep(0.5)
    slot.release()
    [t.join(30) for t in threads]
    assert served == list(range(6))


@pytest.mark.usefixtures("one_slot")
def test_waiting_looks_at_one_ticket_however_long_the_queue(tmp_path, monkeypatch):
    """32 waiters: each asks about the one before it, not about all before it."""
    slot = locks.acquire(tmp_path / "slots" / "compute-cpu.lock")
    tickets = [queue.Ticket(tmp_path, "compute", f"{i:016x}") for i in range(32)]
    asked = []
    real = locks.is_held
    monkeypatch.setattr(locks, "is_held", lambda path: asked.append(path) or real(path))
    monkeypatch.setattr(queue, "TICKET_GRACE_S", 0.0)
    monkeypatch.setattr(queue, "COUNT_S", 1000.0)
    monkeypatch.setattr(queue, "PATIENT_S", queue.POLL_S)
    rounds, stop = [0] * 32, threading.Event()

    class Enough(Exception):
        pass

    def wait(i):
        def on_wait(position):
            assert position == i
            rounds[i] += 1
            if stop.is_set():
                raise Enough

        with pytest.raises(Enough):
            tickets[i].wait(on_wait)

    threads = [threading.Thread(target=wait, args=[i]) for i in range(32)]
    [t.start() for t in threads]
    time.sleep(3)
    stop.set()
    [t.join(30) for t in threads]
    slot.release()
    once = 2 * 32  # each counts its place a single time here
    assert sum(rounds) > 150
    assert len(asked) <= once + sum(rounds)


@pytest.mark.usefixtures("one_slot")
def test_who_is_far_back_looks_less_often_and_lists_the_queue_once(tmp_path, monkeypatch):
    """Of 200 that wait, the one right before is dead: it is removed, and nobody farther ahead asked about."""
    tickets = [queue.Ticket(tmp_path, "compute", f"{i:016x}") for i in range(200)]
    tickets[150].lock.release()
    monkeypatch.setattr(queue, "TICKET_GRACE_S", 0.0)
    asked, slept = [], []
    real = locks.is_held
    monkeypatch.setattr(locks, "is_held", lambda path: asked.append(path) or real(path))
    monkeypatch.setattr(queue.time, "sleep", slept.append)
    looks = []

    class Enough(Exception):
        pass

    def on_wait(position):
        looks.append(position)
        if len(looks) == 10:
            raise Enough

    with pytest.raises(Enough):
        tickets[151].wait(on_wait)
    assert looks == [150] * 10 and slept == [4.0] * 9
    assert asked == [tickets[150].path] + [tickets[149].path] * 10
    assert not tickets[150].path.exists()


def test_a_clock_set_back_blocks_and_overtakes_nobody(tmp_path, monkeypatch):
    now = time.time_ns()
    monkeypatch.setattr(queue.time, "time_ns", lambda: now + 3600 * 10**9)
    first = queue.Ticket(tmp_path, "compute", "a" * 16)
    monkeypatch.setattr(queue.time, "time_ns", lambda: now)
    second = queue.Ticket(tmp_path, "compute", "b" * 16)
    assert queue.waiting(tmp_path, "compute") == [first.path, second.path]
    first.lock.release()  # killed, and its file is from the future
    later = time.time() + 3600
    os.utime(first.path, (later, later))
    assert queue.waiting(tmp_path, "compute") == [second.path]


def test_slots_of_another_kind_and_a_host_of_that_name_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(queue.socket, "gethostname", lambda: "light")
    ticket = queue.Ticket(tmp_path, "compute", "a" * 16)
    assert queue.waiting(tmp_path, "compute") == [ticket.path]
    assert queue.waiting(tmp_path, "light") == []


@pytest.mark.parametrize("value", ["../x", "/etc/passwd", "cpu:x", "gpu", "cuda:", "a\nb", "é"])
def test_a_device_that_is_none_is_refused_before_it_names_a_file(tmp_path, monkeypatch, value):
    monkeypatch.setenv("DD_DEVICE", value)
    with pytest.raises(SpecError, match=r"DD_DEVICE = .* is not allowed: expected auto, cpu"):
        queue.slot_names("compute")


# --- several devices, and several tasks on one ------------------------------------------------------


@pytest.fixture
def two_gpus(tmp_path, monkeypatch):
    """The driver's command: 5 GiB are free on the first, 70 GiB on the second and 9 GiB on the third."""
    gpus._lately.cache_clear()
    file = tmp_path / "bin" / "nvidia-smi"
    file.parent.mkdir()
    answers = {"gpu": "0, GPU-a, 5120\n1, GPU-b, 71680\n2, GPU-c, 9216\n", "compute-apps": ""}

    def say(**changed):
        answers.update({name.replace("_", "-"): text for name, text in changed.items()})
        for name, text in answers.items():
            (file.parent / name).write_text(text)
        gpus._lately.cache_clear()

    say()
    file.write_text(
        f'#!/bin/sh\nname=${{1#--query-}}\nwhile read -r line; do echo "$line"; done '
        f'<"{file.parent}/${{name%%=*}}"\n'
    )
    file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{file.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-b")
    monkeypatch.delenv("DD_DEVICE", raising=False)
    return say


@pytest.mark.usefixtures("two_gpus")
def test_the_device_with_most_free_memory_comes_first(tmp_path, monkeypatch):
    assert gpus.free_memory() == {"cuda:0": 9 * 2.0**30, "cuda:1": 70 * 2.0**30}
    taken = [take(tmp_path, i, need=0.0) for i in range(2)]
    assert [slot.device for slot in taken] == ["cuda:1", "cuda:0"]
    assert {slot.name for slot in taken} == {"compute-cuda:0", "compute-cuda:1"}
    monkeypatch.setenv("DD_SLOTS_PER_DEVICE", "2")
    for need in (2.0**34, 2.0**33):  # of 16 GiB there is room on one of them only
        taken += [take(tmp_path, len(taken), need)]
    assert [slot.device for slot in taken[2:]] == ["cuda:1", "cuda:0"]
    assert not queue.is_free(tmp_path, "compute")
    for slot in taken:
        slot.release()
    monkeypatch.setenv("PATH", "")  # without the driver's word nothing is shared
    gpus._lately.cache_clear()
    assert gpus.ordered(["compute-cuda:0+1"], 0.0) == []
    assert gpus.ordered(queue.slot_names("compute"), 0.0) == ["compute-cuda:0", "compute-cuda:1"]


def fits(root, need):
    """Whether one that needs so much of the device may start now."""
    ticket = queue.Ticket(root, "compute", "f" * 16)
    try:
        slot = ticket._taken(need)
        if slot:
            slot.release()
        return slot is not None
    finally:
        ticket.close()


def test_what_has_just_started_is_counted_before_its_memory_shows(tmp_path, monkeypatch, two_gpus):
    """16 GiB are free. Two tasks of 6 GiB start at once; the driver tells of neither for a while."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv("DD_SLOTS_PER_DEVICE", "4")
    unit = 2**30
    two_gpus(gpu="0, GPU-a, 16384\n")
    first, second = (take(tmp_path, i, 6 * unit) for i in range(2))
    assert not fits(tmp_path, 6 * unit) and fits(tmp_path, 4 * unit)
    # The memory of one shows, more than it had asked for: 8 of what is left are the other one's and free.
    file = tmp_path / "slots" / f"{second.name}.need"
    file.write_text(file.read_text().replace(f'"pid": {os.getpid()}', '"pid": 7'))
    two_gpus(gpu="0, GPU-a, 9216\n", compute_apps=f"{os.getpid()}, 7168\n")
    assert fits(tmp_path, 3 * unit) and not fits(tmp_path, 4 * unit)
    # A half of the other's, then all.
    two_gpus(gpu="0, GPU-a, 6144\n", compute_apps=f"{os.getpid()}, 7168\n7, 3072\n")
    assert fits(tmp_path, 3 * unit) and not fits(tmp_path, 4 * unit)
    two_gpus(gpu="0, GPU-a, 3072\n", compute_apps=f"{os.getpid()}, 7168\n7, 6144\n")
    assert fits(tmp_path, 3 * unit) and not fits(tmp_path, 4 * unit)
    # In a container the driver knows other numbers of processes: then time tells.
    two_gpus(gpu="0, GPU-a, 16384\n", compute_apps="")
    assert not fits(tmp_path, 6 * unit)
    monkeypatch.setattr(reservations, "SHOWN_S", 0.0)
    assert fits(tmp_path, 16 * unit)
    monkeypatch.setattr(reservations, "SHOWN_S", 300.0)
    second.release()  # what a slot that is free says is of the past
    assert fits(tmp_path, 10 * unit)
    file.write_text("{")
    again = locks.acquire(tmp_path / "slots" / f"{second.name}.lock")
    assert fits(tmp_path, 10 * unit)
    again.release()
    first.release()


def take(root, number, need):
    ticket = queue.Ticket(root, "compute", f"{number:016x}")
    try:
        return ticket.wait(lambda _: None, need)
    finally:
        ticket.close()


@pytest.mark.usefixtures("one_slot")
def test_two_tasks_may_share_a_processor(tmp_path, monkeypatch):
    monkeypatch.setenv("DD_SLOTS_PER_DEVICE", "2")
    both = [take(tmp_path, i, 2.0**60) for i in range(2)]
    assert [slot.device for slot in both] == ["cpu", "cpu"]
    for slot in both:
        slot.release()
