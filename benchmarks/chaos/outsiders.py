"""Kills with real processes: `python -m ddcore work`, the command line that waits, the dashboard's server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmarks.chaos import base, lives, tasks
from benchmarks.chaos.dashboard import Dashboard
from ddcore.tasks import jobs
from ddcore.tasks.store import Store

if TYPE_CHECKING:
    from benchmarks.chaos.kills import Siege

STARTING_S = 5.0  # about what importing torch takes: kills during it count too
COMMAND_METHOD, COMMAND_SEED = "dm", 3
real_launch = jobs.launch


def planned(count: int) -> list[Callable[[Siege], Any]]:
    """Of every 300 kills 24 of real workers, 12 of command lines, 6 of servers; of a short siege one each."""
    share = {real_life: count // 12, command_line: count // 24, server: count // 48}
    return [part for part, times in share.items() for _ in range(times if count >= 48 else 0)]


def real_life(siege: Siege) -> None:
    """Kills of `python -m ddcore work FOLDER`, by time or just before a file operation."""
    spec = tasks.run("dm", seed=100)
    siege.trials += 1
    if spec.key not in siege.references:
        undisturbed(siege, spec)
    store = siege.copy(f"trial-{siege.trials}")
    jobs.launch, known = launched, siege.references[spec.key]
    try:
        how, where = siege.random.choice(("time", "operation")), siege.random.random()
        if how == "time":
            siege.references[spec.key] = replace(known, seconds=known.seconds + STARTING_S)
        os.environ.update(
            CHAOS_ROOT=str(store.root),
            CHAOS_KILL_AT=str(1 + int(where * known.operations) if how == "operation" else 0),
        )
        killed = siege.strike(store, spec, how, where, f"real worker, {how} {where:.3f}")
        siege.outcome.counts["real workers"] += killed
        os.environ["CHAOS_KILL_AT"] = "0"
        siege.last_life(store, spec, f"real worker, {how} {where:.3f}")
    finally:
        jobs.launch, siege.references[spec.key] = lives.launch, known


def undisturbed(siege: Siege, spec: Any) -> None:
    """What the task gives without a kill, from a forked worker."""
    from benchmarks.chaos.readers import results

    store = siege.copy(f"reference-{spec.key}")
    siege.undisturbed(store, [spec, *spec.follow_ups()])
    siege.expected |= results(store.root)


def launched(found: Any) -> int:
    """The real launcher; its process is waited for like a fork."""
    pid = real_launch(found).pid
    lives.alive[pid] = time.monotonic()
    return pid


def command_line(siege: Siege) -> None:
    """Kill `python -m ddcore distill` while it waits: its worker goes on, asking again gives the answer."""
    spec = tasks.run(COMMAND_METHOD, seed=COMMAND_SEED)
    siege.trials += 1
    if spec.key not in siege.references:
        undisturbed(siege, spec)
    store = siege.copy(f"trial-{siege.trials}")
    story = f"command line, trial {siege.trials}"
    where = siege.random.random()
    seconds = where * (siege.references[spec.key].seconds + 2 * STARTING_S)
    first = command(store)
    time.sleep(seconds)
    if first.poll() is None:
        first.kill()
        siege.outcome.done += 1
        siege.outcome.counts["command lines"] += 1
    first.communicate()
    second = command(store)
    out, err = second.communicate(timeout=lives.LIMIT_S)
    if second.returncode or json.loads(out)["key"] != spec.key:
        siege.fault("the command line fails after a kill", spec, f"{story}: {err[-300:]!r}")
    siege.inspect(store, spec, story)
    if not all(store.task(each).is_done() for each in (spec, *spec.follow_ups())):
        siege.fault("lost: not finished after the second command", spec, story)


def command(store: Store) -> subprocess.Popen:
    """`python -m ddcore distill` for the run that is attacked."""
    spec = tasks.run(COMMAND_METHOD, seed=COMMAND_SEED)
    settings = tasks.settings(COMMAND_METHOD)
    settings |= {
        "protocol.epochs": str(spec.protocol.epochs),
        "protocol.nets": str(spec.protocol.nets),
    }
    line = [sys.executable, "-m", "ddcore", "distill", COMMAND_METHOD, "--json"]
    line += ["--dataset", "digits", "--ipc", "1", "--seed", str(COMMAND_SEED)]
    line += [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    return subprocess.Popen(
        line,
        env=base.environment(store.root),
        cwd=base.PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def server(siege: Siege) -> None:
    """Kill the dashboard's server after a visitor has resumed a run on the Jobs page: the run goes on."""
    spec = tasks.run("dm", seed=200)
    siege.trials += 1
    if spec.key not in siege.references:
        undisturbed(siege, spec)
    store = siege.copy(f"trial-{siege.trials}")
    story = f"dashboard, trial {siege.trials}"
    task = store.create(spec)
    task.write_status(state="cancelled", message="Stopped.", heartbeat=time.time())
    where = siege.random.random()
    with Dashboard(store.root) as board:
        page = board.visit("9_Jobs.py")
        for problem in page.exceptions:
            siege.fault("the Jobs page shows an exception", spec, f"{story}: {problem}")
        page.click(f"jobs.resume.{spec.key}")
        time.sleep(where * (siege.references[spec.key].seconds + 2 * STARTING_S))
        board.process.send_signal(signal.SIGKILL)
        siege.outcome.done += 1
        siege.outcome.counts["dashboards"] += 1
    status = jobs.wait(task, timeout_s=lives.LIMIT_S)
    if status["state"] != "done":
        siege.fault("the run did not go on without its dashboard", spec, f"{story}: {status}")
        return
    for each in spec.follow_ups():
        jobs.wait(store.task(each), timeout_s=lives.LIMIT_S)
    siege.inspect(store, spec, story)
    with Dashboard(store.root) as board:
        for problem in board.visit("9_Jobs.py").exceptions:
            siege.fault("the Jobs page shows an exception", spec, f"{story}: {problem}")
