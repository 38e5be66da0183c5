"""A dashboard in a process of its own over a store of so many folders, and what it costs."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ddcore.base import paths
from ddcore.tasks import locks
from ddcore.tasks.store import Store, Task
from tests.pages import fakes

START_LIMIT_S = 120.0
SETTLE_S, QUIET = 2.0, 0.1  # less than this share of a core is nothing
STEP_EVERY_S = 0.5  # as often as a worker writes its status


@dataclass
class Dashboard:
    """A running server, listening on this machine only."""

    port: int
    process: subprocess.Popen
    log: Path

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}/"

    def cpu_seconds(self) -> float:
        """Processor seconds of all its threads so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def megabytes(self) -> float:
        """Memory it holds now."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def settle(self) -> None:
        """Wait until it does nothing: it imports much when it has started."""
        busy = True
        while busy:
            before = self.cpu_seconds()
            time.sleep(SETTLE_S)
            busy = self.cpu_seconds() - before > QUIET * SETTLE_S


def fill(store: Store, folders: int) -> list[Task]:
    """Finished runs, each with its evaluation, as many as it takes; the runs."""
    runs = []
    for seed in range(folders // 2):
        runs.append(fakes.done(store, fakes.spec(seed=seed)))
        fakes.evaluated(store, runs[-1].spec())
    return runs


@contextlib.contextmanager
def running(store: Store) -> Iterator[Task]:
    """A run that is alive and writes its status and events as a worker does, without computing."""
    task = fakes.put(store, fakes.spec(seed=10**6), "running", step=0, total=10**6)
    fakes.snapshots(task)
    lock, stop = locks.acquire(task.folder / ".lock"), threading.Event()

    def work() -> None:
        status = task.status()
        for step in range(10**6):
            if stop.wait(STEP_EVERY_S):
                return
            now = {"step": step, "heartbeat": time.time(), "eta_s": 100.0, "seconds": 1.0 * step}
            task.write_status(**(status | now))
            with open(task.folder / "events.jsonl", "a") as f:
                f.write(f'\n{{"step": {20 + step}, "total": 1000000, "loss": 1.5}}')

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield task
    finally:
        stop.set()
        thread.join()
        lock.release()


@contextlib.contextmanager
def serve(store: Store, folder: Path, plain: bool = False) -> Iterator[Dashboard]:
    """The dashboard on a free port of this machine, as `make run` starts it, ended afterwards; `plain`: as
    `streamlit run` would.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / "dashboard.log"
    variables = os.environ | {
        "DD_CACHE": str(store.root),
        "DD_DATA": str(folder / "data"),
        "DD_DEVICE": "cpu",
        "OMP_NUM_THREADS": "1",
        "STREAMLIT_SERVER_HEADLESS": "true",
        "PYTHONDONTWRITEBYTECODE": "",  # as everywhere else, modules are not compiled at each start
        "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "dashboard-bytecode"),
    }
    started = (
        ["-m", "streamlit", "run", "app.py", "--server.port"] if plain else ["serve.py", "--port"]
    )
    with open(log, "wb") as out:
        process = subprocess.Popen(
            [sys.executable, *started, str(port)],
            cwd=paths.PROJECT,
            env=variables,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    found = Dashboard(port, process, log)
    try:
        _wait_for_health(found)
        yield found
    finally:
        process.terminate()
        process.wait(10)


def _wait_for_health(of: Dashboard) -> None:
    end = time.monotonic() + START_LIMIT_S
    while True:
        try:
            return urllib.request.urlopen(f"{of.url}_stcore/health", timeout=5).close()
        except OSError:
            if time.monotonic() > end or of.process.poll() is not None:
                raise SystemExit(of.log.read_text()) from None
            time.sleep(0.2)
