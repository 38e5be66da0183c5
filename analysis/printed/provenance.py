"""Where the numbers of a figure come from, in one line: runs, seeds, n, device, time, and what drew it."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Iterable
from typing import Any

import ddcore
from analysis.contract import AnalysisTask
from ddcore.base import paths
from ddcore.base.errors import DDError
from ddcore.base.texts import duration
from ddcore.tasks.store import Store, Task

PRODUCT = "Dataset Distillation Explorer"
COUNTS = ("nets", "inits")  # fields that say over how many networks a figure is
LETTERS = 8  # of a key


def of_analysis(store: Store, task: Task) -> str:
    """The line for a finished analysis."""
    spec = task.spec_as(AnalysisTask)
    count = next((getattr(spec, name) for name in COUNTS if hasattr(spec, name)), None)
    n = "" if count is None else f"n = {count} network{'s' if count != 1 else ''}"
    own = f"{task.kind} {task.key[:LETTERS]}, seed {spec.seed}"
    return line([*_runs(store, spec.run_keys), n, own, _spent(task)])


def of_run(task: Task, n: int | None = None, said: str = "") -> str:
    """The line for figures about one run; `n` networks where it is about some, `said` what else is known."""
    seed = task.document()["spec"].get("seed")
    parts = [f"Run {task.key[:LETTERS]}"]
    parts += [] if seed is None else [f"seed {seed}"]
    count = "" if n is None else f"n = {n} network{'s' if n != 1 else ''}"
    return line([", ".join(parts), _spent(task), count, said])


def _spent(task: Task) -> str:
    """On what a finished task was computed, and how long; "" where it does not say."""
    found = task.result() if task.is_done() else {}
    if not {"device", "seconds"} <= found.keys():
        return ""
    return f"computed on {found['device']} in {duration(found['seconds'])}"


def line(parts: Iterable[str]) -> str:
    """What is known, and what drew the figure."""
    drew = f"drawn by {PRODUCT} {ddcore.__version__}"
    if known := commit():
        drew += f", commit {known}"
    return "; ".join([*filter(None, parts), drew]) + "."


def _runs(store: Store, keys: Iterable[str]) -> list[str]:
    """The runs and their seeds, in the order of their keys; an opened set has none."""
    keys = tuple(keys)
    seeds = [_seed(store, key) for key in keys]
    several = "s" if len(keys) > 1 else ""
    runs = f"Run{several} {', '.join(key[:LETTERS] for key in keys)}"
    known = ", ".join("none" if s is None else str(s) for s in seeds)
    return [runs, f"seed{several} {known}" if any(s is not None for s in seeds) else ""]


def _seed(store: Store, key: str) -> Any:
    try:
        return store.find(key).document()["spec"].get("seed")
    except DDError:  # deleted since
        return None


@functools.cache
def commit() -> str:
    """The commit of the code that draws, with a + where files differ from it; "" where git does not know."""
    if not (paths.PROJECT / ".git").exists():
        return ""
    try:
        name = _git("rev-parse", "--short=7", "HEAD")
        return name + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(*words: str) -> str:
    command = ["git", "-C", str(paths.PROJECT), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
