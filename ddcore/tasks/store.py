"""Task folders on disk: atomic writes, verification on read, the shipped gallery underneath.

    <root>/<kind>/<key>/  spec.json   what was asked
                          status.json state, step, total, heartbeat (replaced atomically)
                          events.jsonl one JSON object per line, appended while running
                          result.json, *.safetensors, snapshots/*.safetensors
                          done.json   manifest of all files above but status.json, with size and
                                      sha256, written last

A folder without a valid done.json is not a result, however complete it may look. One whose files are not
what they have to be is damaged: a state of its own, of that folder only, that reading never hides and that
computing it again ends.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as safetensors_load
from safetensors.numpy import save as safetensors_save

from ddcore.base import paths
from ddcore.base.errors import Damaged, NotReady, StoreUnusable
from ddcore.base.specs import KEY_LENGTH, TaskSpec, task_from_document
from ddcore.tasks import records, snapshots
from ddcore.tasks.records import ACTIVE, read_json

KEY_PATTERN = re.compile(rf"[0-9a-f]{{{KEY_LENGTH}}}")
SPEC, STATUS, DONE, EVENTS = "spec.json", "status.json", "done.json", "events.jsonl"
CHECKPOINTS = "checkpoint"
BROUGHT = "upload"  # files that people gave the task: they are not computed again
MARK = "damaged"  # what a reader found, in one sentence
NOT_RESULTS = {STATUS, DONE, MARK, "log.txt", "cancel"}
Fingerprint = dict[str, Any]  # {"size": bytes, "sha256": hex}


def write_atomic(path: Path, content: bytes) -> None:
    """Write, fsync and rename: readers see the old file or the new one, never a part.

    `StoreUnusable` says in one sentence why that was not possible.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "wb") as f:
                f.write(content)
                f.flush()
                os.fsync(f.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StoreUnusable(path, error) from error


def write_json(path: Path, value: Any) -> Fingerprint:
    """Atomic JSON."""
    content = json.dumps(value, indent=1, allow_nan=False).encode()
    write_atomic(path, content)
    return fingerprint(content)


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> Fingerprint:
    """Atomic safetensors file of numpy arrays."""
    content = safetensors_save({name: np.asarray(a, order="C") for name, a in arrays.items()})
    write_atomic(path, content)
    return fingerprint(content)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Arrays of a safetensors file (no pickle involved), by name.

    safetensors gives them in another order each time, and sums over them would round differently.
    """
    try:
        return dict(sorted(safetensors_load(path.read_bytes()).items()))
    except FileNotFoundError as error:
        raise NotReady(f"{path} is not there.") from error
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise Damaged(f"{path} is damaged ({error}).") from error


def fingerprint(content: bytes) -> Fingerprint:
    """What the manifest says of a file with this content."""
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


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
        """spec.json as written; `Damaged` if it is not the spec that this folder's key stands for."""
        path = self.folder / SPEC
        try:
            return copy.deepcopy(_document(path, _stamp(path)))
        except FileNotFoundError as error:
            raise Damaged(f"{path} is missing.") from error

    def spec(self) -> TaskSpec:
        """The spec, rebuilt and validated."""
        return task_from_document(self.document())

    # --- state ----------------------------------------------------------------------------------

    def exists(self) -> bool:
        """Whether there is such a folder; one that is only locked is none yet."""
        return any(os.path.lexists(self.folder / name) for name in (SPEC, STATUS, DONE))

    def status(self) -> dict[str, Any]:
        """status.json, or {"state": "missing"}. A finished folder is always "done"; never raises."""
        try:
            status = records.status(self.folder / STATUS)
        except FileNotFoundError:
            status = {"state": "missing"}
        except Damaged as error:
            status = {"state": "damaged", "message": str(error)}
        if self.is_done():
            return status | {"state": "done"} if status["state"] != "damaged" else {"state": "done"}
        if status["state"] not in ACTIVE and (problem := self.damage()):
            return status | {"state": "damaged", "message": problem}
        return status

    def write_status(self, **values: Any) -> None:
        """Replace status.json."""
        write_json(self.folder / STATUS, values | {records.CHECK: records.crc(values)})

    def is_done(self) -> bool:
        """Whether the manifest exists and every file it names is there with the stated size."""
        return os.path.lexists(self.folder / DONE) and not self._unsealed()

    def was_sealed(self) -> bool:
        """Whether it holds a result, or what is left of one."""
        return any(os.path.lexists(self.folder / name) for name in (DONE, MARK))

    def damage(self) -> str:
        """What is wrong with the folder in one sentence, "" for nothing; contents are left to `verify`."""
        if not self.exists():
            return ""
        if problem := self._unsealed():
            return problem
        if os.path.lexists(self.folder / DONE):
            return ""
        try:
            state = records.status(self.folder / STATUS)["state"]
        except FileNotFoundError:
            return ""
        except Damaged as error:
            return str(error)
        return f"{self.folder / DONE} is missing." if state == "done" else ""

    def _unsealed(self) -> str:
        """Why the spec, or the manifest where there is one, cannot be relied on; "" if they can."""
        mark = self.folder / MARK
        if os.path.lexists(mark):
            return _text(mark) or f"{self.folder} was found damaged."
        try:
            path = self.folder / SPEC
            _document(path, _stamp(path))
            files = self._files() if os.path.lexists(self.folder / DONE) else {}
        except FileNotFoundError as error:
            return f"{error.filename} is missing."
        except Damaged as error:
            return str(error)
        return next((self._changed(n) for n, f in files.items() if self._size(n) != f["size"]), "")

    def _files(self) -> dict[str, Fingerprint]:
        path = self.folder / DONE
        return _manifest(path, _stamp(path))

    def _size(self, name: str) -> int | None:
        return _size(self.folder / name)

    def _changed(self, name: str) -> str:
        return f"{self.folder / name} is missing or not as it was when the task finished."

    def has_checkpoint(self) -> bool:
        """Whether resuming may continue from somewhere."""
        return any((self.folder / CHECKPOINTS).glob("*.checkpoint"))

    # --- results --------------------------------------------------------------------------------

    def opens(self) -> bool:
        """Whether it is finished and its result can be read: lists leave others out."""
        try:
            self.result()
        except (Damaged, NotReady):
            return False
        return True

    def result(self) -> dict[str, Any]:
        """result.json of a finished task."""
        return read_json(self.checked("result.json"))

    def arrays(self, name: str = "arrays") -> dict[str, np.ndarray]:
        """The arrays in `<name>.safetensors` of a finished task, verified."""
        return read_arrays(self.checked(f"{name}.safetensors"))

    def checked(self, name: str) -> Path:
        """Path of a result file after comparing it with the manifest (size and sha256)."""
        if not self.is_done():
            problem = "" if self.status()["state"] in ACTIVE else self.damage()
            if problem:
                raise Damaged(f"{problem} {self._cure()}")
            raise NotReady(f"{self.kind} {self.key} has not been computed yet.")
        path = self.folder / name
        try:
            manifest = _stamp(self.folder / DONE)
            entry = _manifest(self.folder / DONE, manifest).get(name)
            if entry is None:
                raise NotReady(f"{self.kind} {self.key} has no file {name}.")
            sound = _cached_hash(path, _stamp(path)) == entry["sha256"]
            same = manifest == _stamp(self.folder / DONE)  # and not computed again meanwhile
        except FileNotFoundError as error:
            raise NotReady(f"{self.kind} {self.key} has just been deleted.") from error
        except OSError as error:
            raise Damaged(f"{path} cannot be read ({error}). {self._cure()}") from error
        if not sound:
            problem = f"{path} does not match its checksum."
            if same:
                self.mark(problem)
            raise Damaged(f"{problem} {self._cure()}")
        return path

    def _cure(self) -> str:
        return f"Compute it again: page Jobs, or python -m ddcore recompute {self.key}."

    def mark(self, problem: str) -> None:
        """Let every reader know that a file is damaged; "" takes the mark away. Shipped ones get none."""
        if self.shipped:
            return
        try:
            if problem:
                write_atomic(self.folder / MARK, problem.encode())
            else:
                (self.folder / MARK).unlink(missing_ok=True)
        except OSError:  # a store that is read-only: whoever reads the file will find it again
            return

    def events(self) -> list[dict[str, Any]]:
        """Progress events so far; a half-written last line is left out, as is what is no event."""
        path = self.folder / EVENTS
        try:
            if self.is_done() and EVENTS in self._files():
                path = self.checked(EVENTS)
            return records.events(path.read_bytes())
        except OSError:
            return []

    def snapshot_steps(self) -> list[int]:
        """Steps at which the images were kept, ascending."""
        found = (self.folder / "snapshots").glob("*.safetensors")
        return sorted(int(p.stem) for p in found if re.fullmatch(r"\d{7,}", p.stem, re.ASCII))

    def snapshot(self, step: int) -> dict[str, np.ndarray]:
        """Arrays of one snapshot (available while the task still runs), `pixels` (M, C, H, W) among them."""
        name = snapshot_name(step)
        path = self.checked(name) if self.is_done() else self.folder / name
        arrays = snapshots.unpacked(read_arrays(path))
        if "pixels" not in arrays or arrays["pixels"].ndim != 4:
            raise Damaged(f"{path} holds no images.")
        return arrays

    def log(self, tail: int = 4000) -> str:
        """The end of the worker's log."""
        return _text(self.folder / "log.txt")[-tail:]

    def finish(self, written: Mapping[str, Fingerprint] = {}) -> None:
        """Write the manifest: from here on the folder is a result.

        `written` is known of files since they were written, so that what became of them on the disk
        since then is found.
        """
        files = {str(p.relative_to(self.folder)): p for p in self._results()}
        known = {
            name: written.get(name)
            or {"size": files[name].stat().st_size, "sha256": file_hash(files[name])}
            for name in sorted({*files, *written})
        }
        done = {"finished": time.time(), "files": known}
        write_json(self.folder / DONE, done | {records.CHECK: records.crc(done)})

    def _results(self) -> Iterator[Path]:
        for path in self.folder.rglob("*"):
            inside = path.relative_to(self.folder).parts
            private = inside[0] in (*NOT_RESULTS, CHECKPOINTS) or any(p[0] == "." for p in inside)
            if path.is_file() and not private:
                yield path

    def forget(self) -> None:
        """Remove what a damaged result left behind; for the worker that is to compute it again.

        The spec, what people brought, log and locks stay. The mark goes last: a removal that is
        interrupted leaves a damaged folder, not one that looks new.
        """
        self.mark("It is being computed again.")
        for path in self.folder.iterdir():
            if path.name[0] == "." or path.name in (
                SPEC,
                STATUS,
                BROUGHT,
                MARK,
                "log.txt",
                "cancel",
            ):
                continue
            remove(path)
        self.mark("")

    def verify(self) -> list[str]:
        """Problems of a finished folder, one sentence each; empty means sound. Reads every byte."""
        if problem := self._unreadable():
            return [problem]
        done = self.folder / DONE
        if not os.path.lexists(done):
            return [self.damage() or f"{self.folder} is not a complete result."]
        problems = []
        for name, entry in records.manifest(done).items():
            if self._size(name) != entry["size"]:
                problems.append(self._changed(name))
            elif not _matches(self.folder / name, entry):
                problems.append(f"{self.folder / name} does not match its checksum.")
        self.mark(" ".join(problems))
        try:
            records.status(self.folder / STATUS)
        except FileNotFoundError:
            pass
        except Damaged as error:  # which hurts no result
            problems.append(str(error))
        with_another = f"{self.folder / SPEC} is of another version"
        try:
            if self.spec().key != self.key:
                problems.append(f"{with_another}: its fields have another key today.")
        except Exception as error:
            problems.append(f"{with_another} ({error}).")
        return problems

    def _unreadable(self) -> str:
        """What is wrong with spec.json or done.json, read anew."""
        try:
            records.document(self.folder / SPEC)
            if os.path.lexists(self.folder / DONE):
                records.manifest(self.folder / DONE)
        except FileNotFoundError as error:
            return f"{error.filename} is missing."
        except Damaged as error:
            return str(error)
        return ""

    def bytes_on_disk(self) -> int:
        """Size of the folder."""
        files = (Path(root) / name for root, _, names in os.walk(self.folder) for name in names)
        return sum(_size(file) or 0 for file in files)


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
        found = list(self.folders(key=key))
        if not found:
            raise NotReady(f"No task {key} in {self.root} or the gallery.")
        return next((task for task in found if task.is_done()), found[0])

    def folders(self, kind: str | None = None, key: str = "*") -> Iterator[Task]:
        """Every task folder, own before shipped, whatever state it is in."""
        for root, shipped in ((self.root, False), (self.gallery, True)):
            for folder in sorted(root.glob(f"{kind or '*'}/{key}")) if root else ():
                task = Task(folder, shipped)
                if KEY_PATTERN.fullmatch(task.key) and task.exists():
                    yield task

    def tasks(self, kind: str | None = None) -> Iterator[Task]:
        """Every task, own before shipped; a key is listed once, as the folder that `task` would give."""
        seen = set()
        for task in self.folders(kind):
            name = (task.kind, task.key)
            hidden = not task.shipped and self._shipped_done(name) and not task.is_done()
            if name not in seen and not hidden:
                seen.add(name)
                yield task

    def _shipped_done(self, name: tuple[str, str]) -> bool:
        return self.gallery is not None and Task(self.gallery / name[0] / name[1]).is_done()

    def create(self, spec: TaskSpec) -> Task:
        """Make sure the folder and its spec.json exist in the writable root."""
        task = Task(self.root / spec.KIND / spec.key)
        try:
            task.document()
        except Damaged:  # or missing
            write_json(task.folder / SPEC, spec.document())
        return task

    def delete(self, task: Task) -> None:
        """Remove a folder of the writable root (the gallery is read-only)."""
        if task.shipped:
            raise NotReady(f"{task.key} is part of the shipped gallery and cannot be deleted.")
        # Renaming first makes the disappearance atomic for readers.
        grave = task.folder.with_name(f".deleted-{task.key}-{secrets.token_hex(4)}")
        try:
            os.replace(task.folder, grave)
        except FileNotFoundError:  # somebody else was faster
            return
        except OSError as error:
            raise StoreUnusable(task.folder, error) from error
        remove(grave)


def snapshot_name(step: int) -> str:
    """The file of the images at a step, within the task's folder."""
    return f"snapshots/{step:07d}.safetensors"


def remove(path: Path) -> None:
    """Remove a file or a folder as far as possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _stamp(path: Path) -> tuple[int, int]:
    """What tells two states of a file apart without reading it."""
    try:
        found = path.stat()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Damaged(f"{path} cannot be read ({error}).") from error
    if not stat.S_ISREG(found.st_mode):
        raise Damaged(f"{path} is not a file.")
    return found.st_mtime_ns, found.st_size


def _size(path: Path) -> int | None:
    """Bytes of a file, None if it is none."""
    try:
        return _stamp(path)[1]
    except (FileNotFoundError, Damaged):
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _matches(path: Path, entry: Fingerprint) -> bool:
    try:
        return file_hash(path) == entry["sha256"]
    except OSError:
        return False


@functools.lru_cache(maxsize=4096)
def _document(path: Path, _stamp: tuple[int, int]) -> dict[str, Any]:
    return records.document(path)


@functools.lru_cache(maxsize=4096)
def _manifest(path: Path, _stamp: tuple[int, int]) -> dict[str, Fingerprint]:
    return records.manifest(path)


@functools.lru_cache(maxsize=4096)
def _cached_hash(path: Path, _stamp: tuple[int, int]) -> str:
    return file_hash(path)
