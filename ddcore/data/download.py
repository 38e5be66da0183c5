"""Downloads: only ever started by an explicit command, complete or not there at all.

torchvision fetches into a hidden folder under the data root, in a process of its own so that it
can be stopped; what arrived is read back and checked, and only then moved to its place.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ddcore.base import paths
from ddcore.base.errors import DataError
from ddcore.base.isolated import Progress
from ddcore.data.registry import get
from ddcore.data.sources._raw import no_progress
from ddcore.data.sources._source import Source

if TYPE_CHECKING:
    from ddcore.data.spec import DownloadTask
    from ddcore.tasks.worker import Context

POLL_S = 0.3
MODULE = "ddcore.data.sources._torchvision"


def command(source: Source, folder: Path) -> list[str]:
    """The process that downloads `source` into `folder`."""
    return [sys.executable, "-m", MODULE, source.torchvision, str(folder)]


def fetch(source: Source, root: Path, progress: Progress = no_progress) -> None:
    """Download `source` into `root`; `progress(megabytes, 0)` may raise to stop it.

    Raises `DataError` if the set cannot be fetched or what arrived is damaged; `root` is then as
    it was before.
    """
    if source.available(root) in ("bundled", "torchvision"):
        return
    try:
        root.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".download-{source.name}-", dir=root))
    except OSError as error:
        raise DataError(f"{root} cannot be written to ({error.strerror}).") from None
    try:
        _run(source, temporary, progress)
        try:
            source.load(temporary, "torchvision")
        except DataError as error:
            raise DataError(f"The download of {source.title} is damaged: {error}") from None
        for top in {Path(name).parts[0] for name in source.layout}:
            if (root / top).exists():  # incomplete, or something else
                os.replace(root / top, _aside(root, top, temporary))
            os.replace(temporary / top, root / top)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _aside(root: Path, top: str, temporary: Path) -> Path:
    """Where to put what is there: beside it, since it is not ours to delete; away if it is empty."""
    if not any(p.is_file() for p in (root / top).rglob("*")):
        return temporary / f".old-{top}"
    names = (root / f"{top}.before-{i}" for i in itertools.count(1))
    return next(name for name in names if not name.exists())


def _run(source: Source, folder: Path, progress: Progress) -> None:
    environment = os.environ | {"PYTHONPATH": str(paths.PROJECT)}
    # A file, not a pipe: torchvision's progress bar would fill a pipe that nobody reads.
    with open(folder / ".log", "wb") as log:
        process = subprocess.Popen(
            command(source, folder), env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            while process.poll() is None:
                progress(_megabytes(folder), 0)
                time.sleep(POLL_S)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    if process.returncode:
        lines = (folder / ".log").read_text(errors="replace").strip().splitlines()
        reason = lines[-1].strip().rstrip(".") if lines else f"exit status {process.returncode}"
        raise DataError(f"{source.title} could not be downloaded ({reason}).")


def _megabytes(folder: Path) -> int:
    total = 0
    for base, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(base, name)).st_size
            except OSError:  # archives come and go
                continue
    return total >> 20


def run(context: Context[DownloadTask]) -> None:
    """Runner of `DownloadTask`."""
    root = paths.data_root()
    source = get(context.spec.name)
    fetch(source, root, context.progress)
    context.save_result({"name": source.name, "available": source.available(root)})
