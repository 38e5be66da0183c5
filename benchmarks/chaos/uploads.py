"""Malformed uploads through the path that the Open page takes, with memory and time of every process watched.

A server process reads one case after the other, as the dashboard does; from outside the peak memory (VmHWM)
and the processor time of it and of whatever it starts are read every few milliseconds. A peak counts beyond
what reading a good file takes.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import random
import resource
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.chaos import base, injuries, watch
from benchmarks.chaos.base import Deadline, Outcome, say

MOST_MB, MOST_CPU_S, STUCK_S = 200.0, 5.0, 120.0
ADDRESS_SPACE = 12 << 30  # of the server: a bomb must not take the machine with it
Files = Sequence[tuple[str, bytes]]


# --- the server -----------------------------------------------------------------------------------


def serve() -> None:
    """Read the cases whose folders are named on standard input; one line of JSON each."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    read = reader()
    print("ready", flush=True)
    for line in sys.stdin:
        folder = Path(line.strip())
        names = json.loads((folder / "names").read_text())
        files = [(name, (folder / str(i)).read_bytes()) for i, name in enumerate(names)]
        print(json.dumps(answer(read, files)), flush=True)


def reader() -> Any:
    """What the Open page calls with names and bytes."""
    import torch  # noqa: F401 - a server that has run for a while has it

    with contextlib.suppress(ModuleNotFoundError):
        return importlib.import_module("ddcore.sets.importers.reading").read
    from ddcore.sets.importers import examine, open_file

    return lambda files: examine([open_file(content, name) for name, content in files])


def answer(read: Any, files: Files) -> dict[str, str]:
    """opened, refused (one sentence) or failed."""
    from ddcore.base.errors import DDError

    try:
        read(files)
        return {"how": "opened"}
    except DDError as error:
        return {"how": "refused", "why": str(error)}
    except Exception:
        return {"how": "failed", "why": traceback.format_exc(limit=-2)}


class Server:
    """The process that reads, watched from here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        line = [sys.executable, "-c", "from benchmarks.chaos.uploads import serve; serve()"]
        self.process = subprocess.Popen(
            line,
            cwd=base.PROJECT,
            env=base.environment(folder / "store"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout.readline() == "ready\n", "The reading server did not start."

    def read(self, files: Files) -> tuple[dict[str, str], watch.Usage]:
        """What the server says of a case, and what that took."""
        folder = self.folder / "case"
        folder.mkdir()
        (folder / "names").write_text(json.dumps([name for name, _ in files]))
        for i, (_, content) in enumerate(files):
            (folder / str(i)).write_bytes(content)
        usage, pid, said = watch.Usage(), self.process.pid, []
        watch.reset_peak(pid)
        usage.look(pid)
        self.process.stdin.write(f"{folder}\n")
        self.process.stdin.flush()
        waiting = threading.Thread(target=lambda: said.append(self.process.stdout.readline()))
        waiting.start()
        end = time.monotonic() + STUCK_S
        while waiting.is_alive() and time.monotonic() < end:
            usage.look(pid)
            waiting.join(0.01)
        usage.look(pid)
        if not said or not said[0]:
            self.close()
            waiting.join()
            said = ['{"how": "stuck or dead"}']
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        return json.loads(said[0]), usage

    @property
    def alive(self) -> bool:
        """Whether it can read another case."""
        return self.process.poll() is None

    def close(self) -> None:
        """End it and what it started."""
        for pid in [*watch.descendants(self.process.pid), self.process.pid]:
            subprocess.run(["kill", "-9", str(pid)], stderr=subprocess.DEVNULL)
        self.process.wait()


# --- the cases ------------------------------------------------------------------------------------


def good() -> dict[str, Files]:
    """A whole set in each format of ours."""
    from benchmarks.chaos.fixtures import small_set
    from ddcore.sets import exports

    made = small_set()
    formats = ("npz", "pt", "safetensors", "hf")
    exported = [exports.export_bytes(made, format) for format in formats]
    return {f: [(name, content)] for f, (content, name, _) in zip(formats, exported)}


def cases(count: int, seed: int) -> Iterator[tuple[str, Files]]:
    """Hostile files where the project has a maker of them, else damaged good ones."""
    try:
        hostile = importlib.import_module("benchmarks.hostile_files")
    except ModuleNotFoundError:
        yield from damaged(count, seed)
        return
    for case in hostile.cases(count, seed):
        yield f"{case.kind}: {case.name}", case.files


def damaged(count: int, seed: int) -> Iterator[tuple[str, Files]]:
    """Good files with flipped bits, cuts and garbage."""
    chance, originals = random.Random(seed), good()
    with base.scratch() as folder:
        for _ in range(count):
            format = chance.choice(list(originals))
            name, content = originals[format][0]
            path = folder / "file"
            path.write_bytes(content)
            how = chance.choice(("bit", "cut", "garbage", "tail", "text"))
            said = injuries.WAYS[how](path, chance)
            yield f"{format}: {how}{said}", [(name, path.read_bytes())]


# --- the attack -----------------------------------------------------------------------------------


def run(seed: int, count: int, minutes: float) -> Outcome:
    """Every case through the server; each is opened or refused, within memory and time."""
    outcome, deadline = Outcome("uploads", count), Deadline(minutes)
    with base.scratch() as folder:
        server = Server(folder)
        try:
            usual = usual_child(server)
            ground = watch.peak_mb(server.process.pid)
            for name, files in cases(count, seed):
                if deadline.over:
                    break
                if not server.alive:
                    server = Server(folder)
                said, usage = server.read(files)
                judge(outcome, name, said, usage, ground, usual)
                if outcome.done % 250 == 0:
                    say(f"{outcome.done} of {count} uploads read")
        finally:
            server.close()
    return outcome


def usual_child(server: Server) -> float:
    """The most memory of a process that reads a good file; each has to be opened."""
    most = 0.0
    for name, files in good().items():
        said, usage = server.read(files)
        assert said["how"] == "opened", f"{name}: {said}"
        most = max(most, usage.child_mb)
    return most


def judge(
    outcome: Outcome,
    name: str,
    said: dict[str, str],
    usage: watch.Usage,
    ground: float,
    usual: float,
) -> None:
    """Count a case, and what was wrong with how it went."""
    outcome.done += 1
    outcome.counts[said["how"]] += 1
    if said["how"] not in ("opened", "refused"):
        text = " | ".join(said.get("why", "").strip().splitlines()[-2:])
        outcome.fault(said["how"], f"{name}: {text}")
    figures = {
        "server, MB more": usage.parent_mb - ground,
        "its children, MB more": usage.child_mb - usual,
        "processor ms": 1000 * usage.cpu_s,
    }
    for figure, value in figures.items():
        label = f"most {figure}"
        outcome.counts[label] = max(outcome.counts[label], round(value))
    for figure in ("server, MB more", "its children, MB more"):
        if figures[figure] > MOST_MB:
            outcome.fault(f"memory: {figure}", f"{name}: {figures[figure]:.0f}")
    if usage.cpu_s > MOST_CPU_S:
        outcome.fault("processor time", f"{name}: {usage.cpu_s:.1f} s")
