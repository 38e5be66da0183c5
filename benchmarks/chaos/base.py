"""What every attack shares: its outcome, its deadline, a scratch folder, an environment for processes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
HOOKS = Path(__file__).resolve().parent / "hooks"

# One thread, no calibration, checkpoints as often as a task may write them.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "GOMP_SPINCOUNT": "1000",
    "DD_MEASURE": "0",
    "DD_DEVICE": "cpu",
    "DD_CHECKPOINT_S": "0",
    "STREAMLIT_LOGGER_LEVEL": "error",
}


@dataclass
class Outcome:
    """What an attack found: how often it hit, what it counted on the way, what was wrong."""

    name: str
    wanted: int
    done: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    faults: dict[str, list[str]] = field(default_factory=dict)  # by kind, each with examples

    def fault(self, kind: str, example: str) -> None:
        """Note a fault; the example says how to see it again."""
        found = self.faults.setdefault(kind, [])
        found.append(example)
        if len(found) == 1:
            say(f"FAULT {kind}: {example}")

    @property
    def sound(self) -> bool:
        """Whether everything that was wanted was done, and nothing was wrong."""
        return self.done >= self.wanted and not self.faults

    def table(self, examples: int = 3) -> str:
        """For people: one row per figure, then the faults by kind."""
        lines = [f"{self.name}: {self.done} of {self.wanted}"]
        lines += [f"  {name:44s} {count:8,}" for name, count in sorted(self.counts.items())]
        for kind, found in sorted(self.faults.items()):
            lines.append(f"  FAULT {kind:38s} {len(found):8,}")
            lines += [f"      {example}" for example in found[:examples]]
        return "\n".join([*lines, "  no fault" if not self.faults else ""]).rstrip()


class Deadline:
    """Minutes from now, after which an attack stops where it is; Ctrl-C in the main thread is the same."""

    def __init__(self, minutes: float) -> None:
        self.end = time.monotonic() + 60 * minutes
        signal.signal(signal.SIGINT, self._now)

    def _now(self, *_: object) -> None:
        self.end = 0.0

    @property
    def over(self) -> bool:
        """Whether time is up."""
        return time.monotonic() > self.end


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def environment(root: Path, **more: str) -> dict[str, str]:
    """The environment of a process that works on the store at `root`."""
    known = {**os.environ, **ENVIRONMENT, "DD_CACHE": str(root), "DD_DATA": str(root / "data")}
    return {**known, "PYTHONPATH": os.pathsep.join([str(HOOKS), str(PROJECT)]), **more}


def say(text: str) -> None:
    """A line on what is going on, beside the table."""
    print(text, file=sys.stderr, flush=True)
