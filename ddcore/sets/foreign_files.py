"""Files that anybody may have written, as plain values: torch, npz, npy and safetensors, within limits.

Sizes are counted before anything is unpacked, and what lies in a file as it is stays there: arrays are
read-only views of it. So a file costs little more memory than it has bytes. No pickled code is ever run.
"""

from __future__ import annotations

import io
import json
import math
import mmap
import struct
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, BinaryIO

import numpy as np

from ddcore.base.errors import DataError
from ddcore.sets import torch_files

EXACT = "distilled.safetensors"  # in the zipped folder that we export
KINDS = ".pt, .pth, .npz, .npy or .safetensors"
MAX_UNPACKED = (
    1 << 30
)  # bytes of all parts of a zip: a set of the most numbers as float64, and room
# Deflate packs a thousandfold at most, and only what is all the same: what shrinks more than this is nothing
# to look at. MNIST, mostly black, shrinks 5-fold, as float64 22-fold. Parts that are small in all may.
MAX_RATIO = 100
FREE = 16 << 20
MAX_DIRECTORY = 2 << 20  # bytes of a zip's list of parts: 20,000 of them
MAX_HEADER = (
    2 << 20
)  # bytes of JSON before the arrays of a safetensors file; it takes 30 times as much
MAX_ARRAYS = 2000
MAX_DIMENSIONS = 8
BLOCK = 1 << 20
_END = b"PK\x05\x06"
_SAFE = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|b1",
}


@dataclass(frozen=True, eq=False)
class Content:
    """The bytes of a file, of which only what is looked at is read; its name for messages."""

    data: memoryview
    name: str
    most: int = torch_files.MAX_VALUES  # numbers of all its arrays

    def file(self) -> BinaryIO:
        """The bytes as an open file."""
        return io.BufferedReader(_Reader(self.data))


class _Reader(io.RawIOBase):
    """Bytes at hand as a file, without a copy."""

    def __init__(self, data: memoryview) -> None:
        self.data, self.place = data, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        place = offset + (0, self.place, len(self.data))[whence]
        if place < 0:
            raise OSError("a place before the beginning")
        self.place = place
        return place

    def readinto(self, buffer: Any) -> int:
        part = self.data[self.place : self.place + len(buffer)]
        buffer[: len(part)] = part
        self.place += len(part)
        return len(part)


def content(given: bytes | Path, name: str, most: int = torch_files.MAX_VALUES) -> Content:
    """Bytes, or a file that is seen through memory."""
    if isinstance(given, bytes):
        return Content(memoryview(given), name, most)
    with open(given, "rb") as file:
        return Content(_mapped(file), name, most)


def _mapped(file: BinaryIO) -> memoryview:
    file.seek(0, 2)
    if not file.tell():
        return memoryview(b"")
    return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def tree(given: Content) -> Any:
    """What is in it: lists, dicts, numbers, texts and arrays nested as in the file.

    An array called meta holds the facts beside the arrays, if there are any. `DataError` if it is no
    file of arrays or too large; other errors if it is damaged.
    """
    data, name = given.data, given.name
    head = bytes(data[:16])
    if head[:4] == b"PK\x03\x04":
        return _zip(given)
    if head[:6] == b"\x93NUMPY":
        return _npy(data, given)
    if head[8:9] == b"{":  # behind the length of the header, which may begin with any byte
        return _safetensors(data, given)
    if head[:1] == b"\x80":  # torch before 1.6, or any other pickle: refused by the reader
        return torch_files.from_old(data, name, given.most)
    raise DataError(f"{name} is not a file of arrays: expected {KINDS}.")


# --- zip ------------------------------------------------------------------------------------------


def _zip(given: Content) -> Any:
    name = given.name
    check_directory(given)
    with zipfile.ZipFile(given.file()) as archive:
        entries = archive.infolist()
        check_parts(entries, len(given.data), name)
        paths = {e.filename: PurePath(e.filename) for e in entries}
        program = next((e for e in entries if paths[e.filename].name == "data.pkl"), None)
        if program:
            return _torch(given, archive, program)
        inner = next((e for e in entries if paths[e.filename].name == EXACT), None)
        if inner:
            return _safetensors(_part(given, archive, inner), given)
        if entries and all(p.suffix == ".npy" for p in paths.values()):
            if len(entries) > MAX_ARRAYS:
                raise DataError(f"{name} holds {len(entries):,} arrays: at most {MAX_ARRAYS:,}.")
            parts = {e.filename.removesuffix(".npy"): e for e in entries}
            return {n: _npy(_part(given, archive, e), given) for n, e in parts.items()}
    raise DataError(f"{name} is a zip without arrays in it: unpack it and give the files.")


def check_directory(given: Content) -> None:
    """Refuse a long list of parts before it is read: each takes half a kilobyte."""
    tail = bytes(given.data[-(1 << 16) - 22 :])
    place = tail.rfind(_END)
    if place < 0 or len(tail) < place + 20:
        raise DataError(f"{given.name} is cut off or damaged: it has no list of its parts.")
    (size,) = struct.unpack("<L", tail[place + 12 : place + 16])
    if size > MAX_DIRECTORY:
        raise DataError(f"{given.name} is a zip of too many parts for a set.")


def check_parts(entries: list[zipfile.ZipInfo], size: int, name: str) -> None:
    """Refuse parts that unpack to far more than images do, overlap or are packed in another way."""
    packed = [e for e in entries if e.compress_type != zipfile.ZIP_STORED]
    total = sum(e.file_size for e in packed)
    if total > MAX_UNPACKED:
        raise DataError(
            f"{name} unpacks to {total >> 20:,} MB: at most {MAX_UNPACKED >> 20:,} are read."
        )
    if sum(e.compress_size for e in entries) > size:
        raise DataError(f"{name} is damaged: its parts overlap.")
    if any(e.compress_type != zipfile.ZIP_DEFLATED for e in packed):
        raise DataError(f"{name} is packed in a way that is not read: expected deflate or none.")
    large = sum(e.file_size for e in packed if e.file_size > MAX_RATIO * e.compress_size)
    if large > FREE:
        raise DataError(
            f"{name} unpacks to {total >> 20:,} MB from {size / 2**20:,.1f}: images never shrink so much."
        )


def _part(given: Content, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> memoryview:
    """The bytes of a part: where they lie, if they are stored as they are, else unpacked to a file."""
    if entry.compress_type == zipfile.ZIP_STORED:
        with archive.open(entry) as part:  # checks the part's own header against the list
            start = _start(given.data, entry)
            while part.read(BLOCK):  # and its checksum
                pass
        return given.data[start : start + entry.file_size]
    with tempfile.TemporaryFile() as out, archive.open(entry) as part:
        while block := part.read(BLOCK):
            out.write(block)
        out.flush()
        return _mapped(out)


def _start(data: memoryview, entry: zipfile.ZipInfo) -> int:
    """Where a part's bytes begin: behind its own header, a name and an extra field."""
    place = entry.header_offset
    name, extra = struct.unpack("<2H", data[place + 26 : place + 30])
    start = place + 30 + name + extra
    if entry.compress_size != entry.file_size or start + entry.file_size > len(data):
        raise ValueError("a part that reaches beyond the file")
    return start


def _torch(given: Content, archive: zipfile.ZipFile, program: zipfile.ZipInfo) -> Any:
    root = program.filename.removesuffix("data.pkl")
    if program.file_size > torch_files.MAX_PROGRAM:
        raise DataError(f"{given.name} is not a set: it holds thousands of nested parts.")

    parts = {e.filename: e for e in archive.infolist()}

    def storage(key: str) -> memoryview:
        entry = parts.get(f"{root}data/{key}")
        if entry is None:
            raise DataError(f"{given.name} is cut off or damaged: a tensor is not in it.")
        return _part(given, archive, entry)

    order = parts.get(f"{root}byteorder")
    big = order is not None and order.file_size < 9 and archive.read(order) == b"big"
    return torch_files.from_zip(archive.read(program), storage, big, given.name, given.most)


# --- arrays ---------------------------------------------------------------------------------------


def _npy(data: memoryview, given: Content) -> np.ndarray:
    """The array in an .npy file, as a view of it."""
    name = given.name
    file = io.BufferedReader(_Reader(data))
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise DataError(f"{name} is of version {version} of .npy: expected 1.0 or 2.0.")
    read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
    shape, fortran, dtype = read[version[0]](file)
    if dtype.hasobject:
        raise DataError(f"{name} holds pickled objects, which are never read.")
    if dtype.names or dtype.subdtype:
        raise DataError(f"{name} holds an array of records: expected numbers.")
    start, count = file.tell(), _count(shape, given)
    if dtype.itemsize == 0 or start + count * dtype.itemsize > len(data):
        raise DataError(f"{name} is cut off: its header promises more than it holds.")
    array = np.frombuffer(data, dtype, count, start).reshape(shape, order="F" if fortran else "C")
    return array.astype(dtype.newbyteorder("="), copy=False)


def _count(shape: tuple[int, ...], given: Content) -> int:
    if len(shape) > MAX_DIMENSIONS or any(n < 0 for n in shape):
        raise DataError(f"{given.name} holds an array of shape {str(shape)[:60]}, which is none.")
    count = math.prod(shape)
    torch_files.check_values(count, given.most, given.name)
    return count


def _safetensors(data: memoryview, given: Content) -> dict[str, Any]:
    name = given.name
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > len(data) - 8:
        raise DataError(f"{name} is cut off, or not a file of arrays: expected {KINDS}.")
    if length > MAX_HEADER:
        raise DataError(f"{name} has {length >> 20:,} MB of facts beside its arrays: at most 2.")
    header = json.loads(bytes(data[8 : 8 + length]))
    numbers = data[8 + length :]
    facts = header.pop("__metadata__", None) or {}
    if len(header) > MAX_ARRAYS:
        raise DataError(f"{name} holds {len(header):,} arrays: at most {MAX_ARRAYS:,}.")
    arrays, total = {}, 0
    for key, told in header.items():
        if told["dtype"] not in (*_SAFE, "BF16"):
            raise DataError(
                f"{name} holds numbers of type {str(told['dtype'])[:20]}, unknown here."
            )
        start, end = told["data_offsets"]
        dtype, shape = np.dtype(_SAFE.get(told["dtype"], "<u2")), tuple(told["shape"])
        count = _count(shape, given)
        total += end - start
        if not 0 <= start <= end <= len(numbers) or end - start != count * dtype.itemsize:
            raise DataError(f"{name} is cut off or damaged: {key[:40]!r} lies beyond its end.")
        array = np.frombuffer(numbers[start:end], dtype, count).reshape(shape)
        if told["dtype"] == "BF16":
            array = (array.astype("<u4") << 16).view("<f4")
        arrays[key] = array
    if total > len(numbers):
        raise DataError(f"{name} is damaged: its arrays overlap.")
    meta = facts.get("meta")
    return arrays if meta is None else arrays | {"meta": np.frombuffer(meta.encode(), np.uint8)}
