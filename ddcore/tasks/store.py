"""All task folders: the writable root over the shipped, read-only gallery."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from ddcore.base import paths
from ddcore.base.errors import Damaged, NotReady, StoreUnusable
from ddcore.base.specs import KEY_LENGTH, TaskSpec
from ddcore.tasks import files
from ddcore.tasks.task import SPEC, Task

KEY_PATTERN = re.compile(rf"[0-9a-f]{{{KEY_LENGTH}}}")


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
            files.write_json(task.folder / SPEC, spec.document())
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
        files.remove(grave)
