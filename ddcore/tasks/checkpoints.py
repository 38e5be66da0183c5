"""Checkpoints of a task: two files written in turn, so that one that was damaged leaves the one before.

A file is the sha256 of what follows it, then a safetensors file whose array `META` is JSON.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as safetensors_load
from safetensors.numpy import save as safetensors_save

from ddcore.base.errors import Damaged
from ddcore.tasks.files import remove, write_atomic
from ddcore.tasks.task import CHECKPOINTS

META = "__meta__"
OLD = "state.safetensors"  # of versions that knew no checksum: nothing says whether it is sound
DIGEST = hashlib.sha256().digest_size
CheckpointState = tuple[dict[str, np.ndarray], dict[str, Any]]


class Checkpoints:
    """The checkpoints in a task's folder; writing them belongs to the worker that holds it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / CHECKPOINTS
        self._serial = 0  # of the newest: it goes into the file that the one before is not in

    def save(self, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> None:
        """Write the next one; the one before stays."""
        serial = self._serial + 1
        text = json.dumps(meta | {"serial": serial}).encode()
        named = {k: np.asarray(v, order="C") for k, v in arrays.items()}
        content = safetensors_save({**named, META: np.frombuffer(text, np.uint8)})
        write_atomic(self._path(serial), hashlib.sha256(content).digest() + content)
        self._serial = serial

    def load(
        self, refuse: Callable[[dict[str, Any]], str]
    ) -> tuple[CheckpointState | None, list[str]]:
        """The newest sound one (None: begin), and what was wrong with others, which are removed.

        `refuse` gives the reason why a checkpoint with such a meta cannot be gone on from, else "".
        """
        sound: list[CheckpointState] = []
        problems = []
        for path in sorted(self.folder.glob("*")):
            if path.name.startswith("."):  # of a write that was killed
                remove(path)
                continue
            try:
                state = _read(path)
                if reason := refuse(state[1]):
                    raise Damaged(reason)
                sound.append(state)
            except Damaged as error:
                problems.append(str(error))
                remove(path)
        newest = max(sound, key=lambda state: state[1]["serial"], default=None)
        self._serial = newest[1]["serial"] if newest else 0
        return newest, problems

    def _path(self, serial: int) -> Path:
        return self.folder / f"{serial % 2}.checkpoint"


def _read(path: Path) -> CheckpointState:
    if path.name == OLD:
        raise Damaged("the checkpoint of an older version has no checksum")
    try:
        content = path.read_bytes()
        if hashlib.sha256(content[DIGEST:]).digest() != content[:DIGEST]:
            raise Damaged("a checkpoint did not match its checksum")
        arrays = dict(sorted(safetensors_load(content[DIGEST:]).items()))
        return arrays, json.loads(arrays.pop(META).tobytes())
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise Damaged(f"a checkpoint could not be read ({error})") from error
