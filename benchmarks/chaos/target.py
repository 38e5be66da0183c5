"""A store that is whole: its files, what its readers say; copies with a folder to damage."""

from __future__ import annotations

import os
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.chaos import readers
from ddcore import jobs
from ddcore.store import Store

ABSENT = ("cancel", ".lock", ".worker.lock", ".begun.lock")  # may come into being at any time


@dataclass
class Subject:
    """A file that may be damaged."""

    folder: str  # kind/key
    name: str  # of the file, below the folder
    finished: bool

    @property
    def kind(self) -> str:
        """The kind of file, for counting."""
        if "/" in self.name:
            return self.name.split("/")[0]
        return "arrays" if self.name.endswith(".safetensors") else self.name

    @property
    def sealed(self) -> bool:
        """Whether a manifest has to vouch for it."""
        about = ("status.json", "log.txt", *ABSENT)
        return self.finished and self.name not in about and self.kind != "upload"


@dataclass
class Target:
    """The pristine store and what its readers say."""

    root: Path
    subjects: list[Subject] = field(default_factory=list)
    values: dict[str, dict[str, str]] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Path) -> Target:
        """Read the pristine store; every reader has to work there."""
        found, store = cls(root), Store(root, gallery=None)
        for task in store.tasks():
            name = f"{task.kind}/{task.key}"
            found.values[name] = readers.values(task)
            broken = {k: v for k, v in found.values[name].items() if type(v) is readers.Traceback}
            assert not broken, broken
            found.states[name] = jobs.state(task)["state"]
            files = [p.relative_to(task.folder).as_posix() for p in _files(task.folder)]
            names = dict.fromkeys([*files, *ABSENT])
            found.subjects += [Subject(name, n, task.is_done()) for n in names]
        return found

    def chosen(self, chance: random.Random) -> Subject:
        """A file: first its kind, evenly, so that rare kinds are not rare here."""
        kinds = sorted({(s.kind, s.finished) for s in self.subjects})
        kind = chance.choice(kinds)
        return chance.choice([s for s in self.subjects if (s.kind, s.finished) == kind])

    def copy(self, root: Path, victim: str) -> None:
        """The store again: the victim's folder copied, the others linked."""
        for folder in self.root.glob("*/*"):
            name = folder.relative_to(self.root).as_posix()
            if folder.is_dir():
                how = shutil.copy2 if name == victim else os.link
                shutil.copytree(folder, root / name, copy_function=how)


def _files(folder: Path) -> list[Path]:
    return [p for p in sorted(folder.rglob("*")) if p.is_file()]
