"""Files of `torch.save` as plain values, without torch and without building what their opcodes ask for.

Their pickles are followed by `pickle_program`. Only when one has ended, and counts and sizes agree with the
bytes that are there, are tensors made: views of them. Both layouts are read: zip archives, and what torch
wrote before 1.6 (format: torch/serialization.py).
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ddcore.base.errors import DataError
from ddcore.sets.pickle_program import MAGIC, Program, Storage, StorageView, item

MAX_PROGRAM = 8 << 20  # bytes of opcodes; a set of 2,000 steps needs 0.3 MB
MAX_NODES = 20_000  # parts of nested lists and dicts: a set of 2,000 steps has 8,000
MAX_DEPTH = 8
MAX_VALUES = 100_000_000  # numbers of all tensors together, 400 MB as float32
SPARE = 1 << 20  # numbers that tensors may have beyond those stored (labels are sometimes expanded)
OLD_VERSION = 1001


def from_zip(
    program: bytes,
    storage: Callable[[str], memoryview],
    big: bool,
    name: str,
    most: int = MAX_VALUES,
) -> Any:
    """The value in a zip archive: its data.pkl, its storages by key, whether these are big-endian.

    `DataError` if it holds more than `most` numbers, anything but tensors and plain values, or does not
    fit together.
    """
    followed = Program(io.BytesIO(program), name)
    return _Builder(storage, big, name, most).of(followed.run())


def from_old(data: memoryview, name: str, most: int = MAX_VALUES) -> Any:
    """The same for a file written before torch 1.6: five pickles, then the storages one by one."""
    stream = io.BytesIO(data[:MAX_PROGRAM])
    if Program(stream, name).run() != MAGIC or Program(stream, name).run() != OLD_VERSION:
        raise DataError(
            f"{name} is a pickle, but none of torch 0.4 to 1.5: load it with the program that made it and "
            "save it anew with torch.save({'images': images, 'labels': labels}, ...)."
        )
    programs = [Program(stream, name) for _ in range(3)]
    system, value, keys = (program.run() for program in programs)
    if not isinstance(keys, list):
        raise DataError(f"{name} is damaged: its storages are not listed.")
    big = isinstance(system, dict) and system.get("little_endian") is False
    places, known, place = {}, programs[1].storages, stream.tell()
    for key in keys:
        if not isinstance(key, str) or key not in known or key in places:
            raise DataError(f"{name} is damaged: its storages are not those it names.")
        count = int.from_bytes(data[place : place + 8], "big" if big else "little", signed=True)
        size = known[key].bytes
        if count != known[key].count or place + 8 + size > len(data):
            raise DataError(f"{name} is cut off, or damaged: storage {key[:20]} is not whole.")
        places[key] = data[place + 8 : place + 8 + size]
        place += 8 + size
    return _Builder(places.__getitem__, big, name, most).of(value)


# --- making what it described ---------------------------------------------------------------------


class _Builder:
    """Lists, dicts and arrays of a followed program, counted before anything is made."""

    def __init__(
        self, storage: Callable[[str], memoryview], big: bool, name: str, most: int
    ) -> None:
        self.storage, self.big, self.name, self.most = storage, big, name, most
        self.nodes, self.values, self.stored = 0, 0, 0
        self.flat: dict[str, np.ndarray] = {}
        self.made: dict[StorageView, np.ndarray] = {}

    def of(self, value: Any, depth: int = 0) -> Any:
        """Lists for lists and tuples, dicts, numbers and texts as they are, None for anything else."""
        self.nodes += 1
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            raise DataError(f"{self.name} is not a set: it holds thousands of nested parts.")
        if isinstance(value, StorageView):
            return self._array(value)
        if isinstance(value, dict):
            return {str(k): self.of(v, depth + 1) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self.of(v, depth + 1) for v in value]
        return value if isinstance(value, int | float | str | None) else None

    def _array(self, tensor: StorageView) -> np.ndarray:
        if tensor in self.made:  # the steps of a 2018 set come back in every pass
            return self.made[tensor]
        flat = self._flat(tensor.storage)
        self.values += math.prod(tensor.size)
        check_values(self.values, self.most, self.name)
        if self.values > self.stored + SPARE:
            raise DataError(
                f"{self.name} stores {self.stored:,} numbers but spreads them over {self.values:,}: save "
                "its tensors with .contiguous()."
            )
        if math.prod(tensor.size) == 0:
            return np.empty(tensor.size, flat.dtype)
        strides = tuple(step * flat.itemsize for step in tensor.stride)
        part = flat[tensor.offset :]
        view = np.lib.stride_tricks.as_strided(part, tensor.size, strides, writeable=False)
        self.made[tensor] = view
        return view

    def _flat(self, storage: Storage) -> np.ndarray:
        if storage.key not in self.flat:
            check_values(storage.count, self.most, self.name)
            data = self.storage(storage.key)
            if len(data) < storage.bytes:
                raise DataError(
                    f"{self.name} is cut off: a tensor is larger than its part of the file."
                )
            kind = item(storage.dtype)
            flat = np.frombuffer(data, kind.newbyteorder(">") if self.big else kind, storage.count)
            if self.big:
                flat = flat.astype(kind)
            if storage.dtype == "bfloat16":  # numpy has none: the upper half of a float32
                flat = (flat.astype("<u4") << 16).view("<f4")
            self.flat[storage.key] = flat
            self.stored += storage.count
        return self.flat[storage.key]


def check_values(count: int, most: int, name: str) -> None:
    """Refuse more numbers than any set has."""
    if count > most:
        raise DataError(f"{name} unpacks to {count:,} numbers: at most {most:,} are read.")
