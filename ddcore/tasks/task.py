"""A task folder: what was asked, how far it is, and what came out, verified on reading.

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

import functools
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ddcore.base.errors import Damaged, NotReady, SpecError
from ddcore.base.specs import TaskSpec, task_class, task_from_document
from ddcore.tasks import files, records, snapshots
from ddcore.tasks.files import Fingerprint
from ddcore.tasks.records import ACTIVE, read_json

SPEC, STATUS, DONE, EVENTS = "spec.json", "status.json", "done.json", "events.jsonl"
CHECKPOINTS = "checkpoint"
BROUGHT = "upload"  # files that people gave the task: they are not computed again
MARK = "damaged"  # what a reader found, in one sentence
NOT_RESULTS = {STATUS, DONE, MARK, "log.txt", "cancel"}
S = TypeVar("S", bound=TaskSpec)


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
            return json.loads(_document(path, files.stamp(path)))  # a fresh one, faster than a copy
        except FileNotFoundError as error:
            raise Damaged(f"{path} is missing.") from error

    def spec(self) -> TaskSpec:
        """The spec, rebuilt and validated."""
        return task_from_document(self.document())

    def spec_as(self, cls: type[S]) -> S:
        """The spec of a task that is known to be of a kind; `SpecError` if it is of another."""
        spec = self.spec()
        if not isinstance(spec, cls):
            raise SpecError("task", self.key, f"a task of kind {cls.KIND}")
        return spec

    def outdated(self) -> str:
        """In one sentence that another version of its kind made it; "" if it is of today's."""
        made, today = self.document()["version"], task_class(self.kind).VERSION
        if made == today:
            return ""
        age = "an older" if isinstance(made, int) and made < today else "another"
        what = f"{self.kind} {self.key} was made by {age} version of {self.kind}"
        return f"{what} ({made}, today {today}): compute it again."

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
        files.write_json(self.folder / STATUS, values | {records.CHECK: records.crc(values)})

    def is_done(self) -> bool:
        """Whether the manifest exists and every file it names is there with the stated size."""
        return os.path.lexists(f"{self.folder}/{DONE}") and not self._unsealed()

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
        if os.path.lexists(f"{self.folder}/{MARK}"):
            return files.text(self.folder / MARK) or f"{self.folder} was found damaged."
        try:
            path = self.folder / SPEC
            _document(path, files.stamp(path))
            sealed = self._files() if os.path.lexists(f"{self.folder}/{DONE}") else {}
        except FileNotFoundError as error:
            return f"{error.filename} is missing."
        except Damaged as error:
            return str(error)
        return next((self._changed(n) for n, f in sealed.items() if self._size(n) != f["size"]), "")

    def _files(self) -> dict[str, Fingerprint]:
        path = self.folder / DONE
        return _manifest(path, files.stamp(path))

    def _size(self, name: str) -> int | None:
        return files.size(f"{self.folder}/{name}")  # lists of many folders ask for all their files

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
        return files.read_arrays(self.checked(f"{name}.safetensors"))

    def rows(self, name: str, rows: np.ndarray | None = None) -> np.ndarray:
        """Some rows (None: all) of one array of a finished task, verified; the others are not read."""
        return files.read_rows(self.checked("arrays.safetensors"), name, rows)

    def checked(self, name: str) -> Path:
        """Path of a result file after comparing it with the manifest (size and sha256)."""
        if not self.is_done():
            problem = "" if self.status()["state"] in ACTIVE else self.damage()
            if problem:
                raise Damaged(f"{problem} {self._cure()}")
            raise NotReady(f"{self.kind} {self.key} has not been computed yet.")
        path = self.folder / name
        try:
            manifest = files.stamp(self.folder / DONE)
            entry = _manifest(self.folder / DONE, manifest).get(name)
            if entry is None:
                raise NotReady(f"{self.kind} {self.key} has no file {name}.")
            sound = files.cached_hash(path, files.stamp(path)) == entry["sha256"]
            same = manifest == files.stamp(self.folder / DONE)  # and not computed again meanwhile
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
                files.write_atomic(self.folder / MARK, problem.encode())
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
        arrays = snapshots.unpacked(self.snapshot_arrays(step))
        if "pixels" not in arrays or arrays["pixels"].ndim != 4:
            raise Damaged(f"{self.folder / snapshot_name(step)} holds no images.")
        return arrays

    def snapshot_arrays(self, step: int) -> dict[str, np.ndarray]:
        """One snapshot as it is stored, of images or not (available while the task still runs)."""
        name = snapshot_name(step)
        return files.read_arrays(self.checked(name) if self.is_done() else self.folder / name)

    def log(self, tail: int = 4000) -> str:
        """The end of the worker's log."""
        return files.text(self.folder / "log.txt")[-tail:]

    def finish(self, written: Mapping[str, Fingerprint] = {}) -> None:
        """Write the manifest: from here on the folder is a result.

        `written` is known of files since they were written, so that what became of them on the disk
        since then is found.
        """
        found = {str(p.relative_to(self.folder)): p for p in self._results()}
        known = {
            name: written.get(name)
            or {"size": found[name].stat().st_size, "sha256": files.file_hash(found[name])}
            for name in sorted({*found, *written})
        }
        done = {"finished": time.time(), "files": known}
        files.write_json(self.folder / DONE, done | {records.CHECK: records.crc(done)})

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
            files.remove(path)
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
        return problems + self._foreign()

    def _foreign(self) -> list[str]:
        """Why its fields are not a task of this version, in at most one sentence."""
        with_another = f"{self.folder / SPEC} is of another version"
        try:
            if old := self.outdated():
                return [old]
            if self.spec().key != self.key:
                return [f"{with_another}: its fields have another key today."]
        except Exception as error:
            return [f"{with_another} ({error})."]
        return []

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
        found = (Path(root) / name for root, _, names in os.walk(self.folder) for name in names)
        return sum(files.size(file) or 0 for file in found)


def snapshot_name(step: int) -> str:
    """The file of the images at a step, within the task's folder."""
    return f"snapshots/{step:07d}.safetensors"


def _matches(path: Path, entry: Fingerprint) -> bool:
    try:
        return files.file_hash(path) == entry["sha256"]
    except OSError:
        return False


@functools.lru_cache(maxsize=4096)
def _document(path: Path, stamp: tuple[int, int]) -> str:
    return json.dumps(records.document(path))


@functools.lru_cache(maxsize=4096)
def _manifest(path: Path, stamp: tuple[int, int]) -> dict[str, Fingerprint]:
    return records.manifest(path)
