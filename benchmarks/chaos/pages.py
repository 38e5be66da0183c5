"""Pages of the dashboard and the real command line, looking at a store with a damaged folder."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from benchmarks.chaos import base
from ddcore.base import paths

if TYPE_CHECKING:
    from benchmarks.chaos.damage import Trial

ABOUT_RUNS = ("3_Run.py", "4_Images.py", "5_Evaluate.py", "6_Compare.py")
GENERAL = ("", "4_Runs.py", "9_Jobs.py", "8_Understand.py")


def look(trial: Trial, *, real: bool) -> None:
    """Open pages in this process; with `real`, also call commands in processes of their own."""
    os.environ.update(base.environment(trial.root))
    paths.GALLERY = trial.root / "none"
    for page in (*GENERAL, *ABOUT_RUNS):
        for problem in exceptions(page, trial.task.key if page in ABOUT_RUNS else ""):
            trial.fault(f"page {page or 'Start'} shows an exception", problem)
    if not real:
        return
    for line in (["jobs"], ["list", "runs"], ["verify"], ["resume", "0" * 16]):
        command = [sys.executable, "-m", "ddcore", *line]
        found = subprocess.run(
            command,
            cwd=base.PROJECT,
            env=base.environment(trial.root),
            capture_output=True,
            text=True,
        )
        if "Traceback" in found.stderr:
            trial.fault(f"python -m ddcore {line[0]} fails", found.stderr[-300:])


def exceptions(page: str, run: str) -> list[str]:
    """What a page shows as exceptions when it is opened."""
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_file(str(base.PROJECT / "app.py"), default_timeout=120)
    if page:
        app.switch_page(f"pages/{page}")
    if run:
        app.query_params["run"] = run
    try:
        app.run()
    except Exception as error:
        return [repr(error)]
    return [f"{e.value} {' '.join(e.stack_trace[-2:])}" for e in app.exception]
