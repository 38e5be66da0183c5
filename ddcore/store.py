"""Task folders on disk: atomic writes, verification on read, the shipped gallery underneath.

    <root>/<kind>/<key>/  spec.json   what was asked
                          status.json state, step, total, heartbeat (replaced atomically)
                          events.jsonl one JSON object per line, appended while running
                          result.json, *.safetensors, snapshots/*.safetensors
                          done.json   manifest of all result files with size and sha256, written last

A folder without a valid done.json is not a result, however complete it may look.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as safetensors_load
from safetensors.numpy import save as safetensors_save

from ddcore import paths
from ddcore.errors import Damaged, NotReady
from ddcore.specs import KEY_LENGTH, TaskSpec, task_from_document

KEY_PATTERN = re.compile(rf"[0-9a-f]{{{KEY_LENGTH}}}")
NOT_RESULTS = {"spec.json", "status.json", "done.json", "log.txt", "cancel", "events.jsonl"}


def write_atomic(path: Path, content: bytes) -> None:
    """Write, fsync and rename: readers see the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as f:
            f.write(content)
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Atomic JSON."""
    write_atomic(path, json.dumps(value, indent=1, allow_nan=False).encode())


def read_json(path: Path) -> Any:
    """JSON from a file; `Damaged` names the file if it does not parse."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise
    except (ValueError, OSError) as error:
        raise Damaged(
            f"{path} cannot be read ({error}); delete its folder to compute it again."
        ) from error


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Atomic safetensors file of numpy arrays."""
    contiguous = {name: np.asarray(a, order="C") for name, a in arrays.items()}
    write_atomic(path, safetensors_save(contiguous))


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Arrays of a safetensors file (no pickle involved), by name.

    safetensors gives them in another order each time, and sums over them would round differently.
    """
    try:
        return dict(sorted(safetensors_load(path.read_bytes()).items()))
    except (SafetensorError, ValueError, KeyError) as error:
        raise Damaged(
            f"{path} is damaged ({error}); delete its folder to compute it again."
        ) from error


def file_hash(path: Path) -> str:
    """sha256 of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while block := f.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@dataclass(frozen=True)
class Task:
    """One task folder. Reading is free for everybody; writing belongs to the worker that holds it."""

    folder: Path
    shipped: bool = False

    @property
    def key(self) -> str:
        """The folder's content key."""
        return self.folder.name

    @property
    def kind(self) -> str:
        """The task's kind."""
        return self.folder.parent.name

    # --- what was asked -------------------------------------------------------------------------

    def document(self) -> dict[str, Any]:
        """spec.json as written."""
        return read_json(self.folder / "spec.json")

    def spec(self) -> TaskSpec:
        """The spec, rebuilt and validated."""
        return task_from_document(self.document())

    # --- state ----------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """status.json, or {"state": "missing"}. A finished folder is always "done"."""
        try:
            status = read_json(self.folder / "status.json")
        except FileNotFoundError:
            status = {"state": "missing"}
        except Damaged:
            status = {"state": "lost", "message": "status.json is damaged"}
        if self.is_done():
            status["state"] = "done"
        elif status["state"] == "done":
            status["state"] = "lost"
        return status

    def write_status(self, **values: Any) -> None:
        """Replace status.json."""
        write_json(self.folder / "status.json", values)

    def is_done(self) -> bool:
        """Whether the manifest exists and every file it names is there with the stated size."""
        try:
            manifest = _manifest(self.folder / "done.json", _mtime(self.folder / "done.json"))
        except (FileNotFoundError, Damaged):
            return False
        return all(_size(self.folder / name) == f["size"] for name, f in manifest["files"].items())

    # --- results --------------------------------------------------------------------------------

    def result(self) -> dict[str, Any]:
        """result.json of a finished task."""
        return read_json(self.checked("result.json"))

    def arrays(self, name: str = "arrays") -> dict[str, np.ndarray]:
        """The arrays in `<name>.safetensors` of a finished task, verified."""
        return read_arrays(self.checked(f"{name}.safetensors"))

    def checked(self, name: str) -> Path:
        """Path of a result file after comparing it with the manifest (size and sha256)."""
        if not self.is_done():
            raise NotReady(f"{self.kind} {self.key} has not been computed yet.")
        done = self.folder / "done.json"
        entry = _manifest(done, _mtime(done))["files"].get(name)
        if entry is None:
            raise NotReady(f"{self.kind} {self.key} has no file {name}.")
        path = self.folder / name
        if _cached_hash(path, _mtime(path)) != entry["sha256"]:
            raise Damaged(
                f"{path} does not match its checksum; delete its folder to compute it again."
            )
        return path

    def events(self) -> list[dict[str, Any]]:
        """Progress events so far; a half-written last line is left out."""
        try:
            lines = (self.folder / "events.jsonl").read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    def snapshot_steps(self) -> list[int]:
        """Steps at which the images were kept, ascending."""
        return sorted(int(p.stem) for p in (self.folder / "snapshots").glob("*.safetensors"))

    def snapshot(self, step: int) -> dict[str, np.ndarray]:
        """Arrays of one snapshot (available while the task still runs)."""
        return read_arrays(self.folder / "snapshots" / f"{step:07d}.safetensors")

    def log(self, tail: int = 4000) -> str:
        """The end of the worker's log."""
        try:
            return (self.folder / "log.txt").read_text(errors="replace")[-tail:]
        except FileNotFoundError:
            return ""

    def finish(self) -> None:
        """Write the manifest: from here on the folder is a result."""
        files = {
            str(p.relative_to(self.folder)): {"size": p.stat().st_size, "sha256": file_hash(p)}
            for p in sorted(self.folder.rglob("*"))
            if p.is_file() and p.name not in NOT_RESULTS and not _private(p, self.folder)
        }
        write_json(self.folder / "done.json", {"finished": time.time(), "files": files})

    def verify(self) -> list[str]:
        """Problems of a finished folder, one sentence each; empty means sound."""
        if not self.is_done():
            return [f"{self.folder} is not a complete result."]
        problems = []
        manifest = read_json(self.folder / "done.json")
        for name, entry in manifest["files"].items():
            if file_hash(self.folder / name) != entry["sha256"]:
                problems.append(f"{self.folder / name} does not match its checksum.")
        document = self.document()
        try:
            key = task_from_document(document).key
        except Exception as error:
            return [*problems, f"{self.folder / 'spec.json'} is not a valid spec ({error})."]
        if key != self.key:
            problems.append(f"{self.folder} holds the spec of {key} (made by another version).")
        return problems

    def bytes_on_disk(self) -> int:
        """Size of the folder."""
        return sum(_size(p) or 0 for p in self.folder.rglob("*") if p.is_file())


class Store:
    """All task folders: the writable root over the read-only gallery."""

    def __init__(self, root: Path | None = None, gallery: Path | None = paths.GALLERY) -> None:
        self.root = Path(root) if root else paths.store_root()
        self.gallery = gallery

    def task(self, spec: TaskSpec) -> Task:
        """The folder for `spec`: the gallery's if shipped and not computed here, else the root's."""
        own = Task(self.root / spec.KIND / spec.key)
        if own.is_done() or self.gallery is None:
            return own
        shipped = Task(self.gallery / spec.KIND / spec.key, shipped=True)
        return shipped if shipped.is_done() else own

    def find(self, key: str) -> Task:
        """The task with this key (kind not needed). Keys from links are untrusted: pattern first."""
        if not KEY_PATTERN.fullmatch(key):
            raise NotReady(f"{key!r} is not a run key: expected {KEY_LENGTH} hex digits.")
        found = [t for t in self.tasks() if t.key == key]
        if not found:
            raise NotReady(f"No task {key} in {self.root} or the gallery.")
        return found[0]

    def tasks(self, kind: str | None = None) -> Iterator[Task]:
        """Every task folder, own before shipped; a key is listed once."""
        seen = set()
        for root, shipped in ((self.root, False), (self.gallery, True)):
            if root is None:
                continue
            for folder in sorted(root.glob(f"{kind or '*'}/*")):
                if not KEY_PATTERN.fullmatch(folder.name) or not (folder / "spec.json").exists():
                    continue
                task = Task(folder, shipped)
                name = (task.kind, task.key)
                if name in seen or (
                    not shipped and not task.is_done() and self._shipped_done(name)
                ):
                    continue
                seen.add(name)
                yield task

    def _shipped_done(self, name: tuple[str, str]) -> bool:
        return self.gallery is not None and Task(self.gallery / name[0] / name[1]).is_done()

    def create(self, spec: TaskSpec) -> Task:
        """Make sure the folder and its spec.json exist in the writable root."""
        task = Task(self.root / spec.KIND / spec.key)
        if not (task.folder / "spec.json").exists():
            write_json(task.folder / "spec.json", spec.document())
        return task

    def delete(self, task: Task) -> None:
        """Remove a folder of the writable root (the gallery is read-only)."""
        if task.shipped:
            raise NotReady(f"{task.key} is part of the shipped gallery and cannot be deleted.")
        # Renaming first makes the disappearance atomic for readers.
        grave = task.folder.with_name(f".deleted-{task.key}-{os.getpid()}")
        os.replace(task.folder, grave)
        shutil.rmtree(grave, ignore_errors=True)


def _private(path: Path, folder: Path) -> bool:
    return any(
        part.startswith(".") or part == "checkpoint" for part in path.relative_to(folder).parts
    )


def _mtime(path: Path) -> int:
    return path.stat().st_mtime_ns


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


@functools.lru_cache(maxsize=4096)
def _manifest(path: Path, _mtime_ns: int) -> dict[str, Any]:
    return read_json(path)


@functools.lru_cache(maxsize=4096)
def _cached_hash(path: Path, _mtime_ns: int) -> str:
    return file_hash(path)
