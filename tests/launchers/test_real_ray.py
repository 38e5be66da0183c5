"""A real Ray head on this machine. Skipped unless `ray` is on the PATH, or `DD_TEST_RAY` names it."""

import os
import re
import shutil
import socket
import subprocess
import time
import urllib.request

import pytest

from ddcore.tasks import elsewhere, jobs, launchers
from ddcore.tasks.launchers import needs, watch
from ddcore.tasks.testing import SleepyTask

RAY = os.environ.get("DD_TEST_RAY") or shutil.which("ray")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not RAY, reason="ray is not installed"),
]


def free():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(condition, limit_s=300):
    end = time.time() + limit_s
    while not condition():
        assert time.time() < end, "timed out"
        time.sleep(0.3)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A head of its own, with room for two jobs; one that is there already is left alone."""
    home, port = tmp_path_factory.mktemp("ray", numbered=False), free()
    words = [RAY, "start", "--head", "--block", "--num-cpus=2", "--num-gpus=0", f"--port={free()}"]
    words += ["--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={port}"]
    words += ["--disable-usage-stats", "--object-store-memory=100000000", f"--temp-dir={home}"]
    words += [f"--dashboard-agent-listen-port={free()}", f"--ray-client-server-port={free()}"]
    variables = os.environ | {"RAY_JOB_STOP_WAIT_TIME_S": "60"}
    with open(home / "head.log", "wb") as log:
        head = subprocess.Popen(words, env=variables, stdout=log, stderr=log, cwd=home)
    found = f"http://127.0.0.1:{port}"

    def answers():
        assert head.poll() is None, (home / "head.log").read_text()
        try:
            return urllib.request.urlopen(f"{found}/api/jobs/", timeout=5).status == 200
        except OSError:
            return False

    try:
        until(answers)
        yield found
    finally:
        head.terminate()  # which ends all that it has started
        try:
            head.wait(60)
        except subprocess.TimeoutExpired:
            head.kill()


@pytest.fixture
def real(address, store, monkeypatch):
    for name, value in (
        ("LAUNCHER", "ray"),
        ("RAY", address),
        ("THREADS", "1"),
        ("DEVICE", "auto"),
    ):
        monkeypatch.setenv(f"DD_{name}", value)
    monkeypatch.setattr(watch, "ASK_EVERY_S", 0.5)
    monkeypatch.setattr(needs, "LEAST_BYTES", 1 << 28)  # so that the cores decide who runs
    monkeypatch.setattr(needs, "UNKNOWN_BYTES", 1 << 27)
    for cache in (watch.of, launchers.named):
        cache.cache_clear()
    return address


def state(task):
    return jobs.state(task)["state"]


def test_submitted_listed_stopped_with_a_checkpoint_and_taken_up_again(store, real):
    specs = [SleepyTask(steps=100_000, pause=0.05, seed=i) for i in range(3)]
    tasks = jobs.submit(store, specs, at_once=3)
    assert [t.status()["job"] for t in tasks] == [f"dd-{t.key}-1" for t in tasks]
    until(lambda: [state(t) for t in tasks].count("running") == 2)
    waiting = next(t for t in tasks if state(t) == "queued")
    until(lambda: "free resources" in jobs.state(waiting)["message"])
    running = [t for t in tasks if t is not waiting]
    until(lambda: all(t.events() for t in running))
    nodes = [elsewhere.place_text(jobs.state(t)).partition(" on ")[2] for t in running]
    assert all(re.fullmatch(r"[\d.]+", node) for node in nodes), nodes
    jobs.cancel(*tasks)
    assert [jobs.wait(t, timeout_s=200)["state"] for t in tasks] == ["cancelled"] * 3
    assert all(t.has_checkpoint() for t in running)
    reached = len(running[0].events())
    again = jobs.resume(store, running[0])
    assert again.status()["job"] == f"dd-{again.key}-2"
    until(lambda: len(again.events()) > reached)
    assert [e["step"] for e in again.events()][: reached + 1] == [*range(1, reached + 2)]
    jobs.cancel(again)
    assert jobs.wait(again, timeout_s=200)["state"] == "cancelled"


def test_done_and_failed(store, real):
    good, bad = jobs.submit(store, [SleepyTask(steps=3), SleepyTask(steps=3, fail_at=1)])
    assert jobs.wait(good, timeout_s=300)["state"] == "done" and good.verify() == []
    failed = jobs.wait(bad, timeout_s=300)
    assert failed["state"] == "failed" and "failed as asked" in failed["message"]
    killed = jobs.submit(store, [SleepyTask(steps=3, crash_at=1)])[0]
    failed = jobs.wait(killed, timeout_s=300)
    assert failed["state"] == "failed" and "resuming continues" in failed["message"]
    assert jobs.wait(jobs.resume(store, killed), timeout_s=300)["state"] == "done"
    assert killed.result()["resumed_from"] == 1
