"""Files to plain arrays, within limits: torch (tensors only), npz, npy, safetensors, our own exports."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import numpy as np

from ddcore import exports
from ddcore.distilled import FORMAT
from ddcore.errors import DataError
from ddcore.importers.base import MAX_UPLOAD, MAX_VALUES, Stored

KINDS = ".pt, .pth, .npz, .npy or .safetensors"
MAX_NODES = 20_000  # entries of nested lists and dicts: a set has a few hundred
MAX_DEPTH = 8
_TORCH_LOCK = threading.Lock()  # what is passed over is a setting of the whole process


def open_file(content: bytes, name: str) -> Stored:
    """The contents of one file; `DataError` if it is no file of arrays, damaged or too large."""
    name = base_name(name)
    check_size(len(content), name)
    sha256 = hashlib.sha256(content).hexdigest()
    try:
        tree = _read(content, name)
        ours = _is_ours(tree)
        return Stored(name, sha256, exports.load_bytes(content, name) if ours else tree)
    except DataError:
        raise
    except Exception as error:  # whatever a reader meets in bytes that anybody may have written
        why = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise DataError(f"{name} is damaged or not what its first bytes say ({why}).") from error


def base_name(name: str) -> str:
    """The last part of a file's name on either system, at most 100 characters of it."""
    return PurePath(name.replace("\\", "/")).name[-100:] or "The file"


def check_size(size: int, name: str = "The upload") -> None:
    """Refuse more bytes than are read."""
    if size > MAX_UPLOAD:
        raise DataError(f"{name} has {size / 2**20:,.0f} MB: at most {MAX_UPLOAD >> 20} are read.")
    if size == 0:
        raise DataError(f"{name} is empty.")


def describe(files: Sequence[Stored]) -> str:
    """What was given, for messages: names and outer structure."""
    return " and ".join(f"{f.name} holds {_structure(f.content)}" for f in files)


def _structure(content: Any) -> str:
    if isinstance(content, np.ndarray):
        return f"one array of shape {content.shape}"
    if isinstance(content, dict):
        names = list(map(str, content))
        return "entries called " + ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    if isinstance(content, list):
        return f"a list of {len(content)}"
    return "no array"


# --- readers --------------------------------------------------------------------------------------


def _read(content: bytes, name: str) -> Any:
    if content[:4] == b"PK\x03\x04":
        return _zip(content, name)
    if content[:6] == b"\x93NUMPY":
        return _npy(io.BytesIO(content), len(content), name)
    if content[8:9] == b"{":  # behind the length of the header, which may begin with any byte
        return _safetensors(content, name)
    if content[:1] == b"\x80":  # torch before 1.6, or any other pickle: refused by the reader
        return _torch(content, name)
    raise DataError(f"{name} is not a file of arrays: expected {KINDS}.")


def _zip(content: bytes, name: str) -> Any:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        _check_unpacked(sum(e.file_size for e in entries), name)
        names = [PurePath(e.filename) for e in entries]
        if any(n.name == "data.pkl" for n in names):
            return _torch(content, name)
        if any(n.name == exports.EXACT for n in names):
            return exports.load_bytes(content, name)
        if names and all(n.suffix == ".npy" for n in names):
            return {e.filename.removesuffix(".npy"): _entry(archive, e, name) for e in entries}
    raise DataError(f"{name} is a zip without arrays in it: unpack it and give the files.")


def _entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> np.ndarray:
    with archive.open(entry) as file:
        exports.check_npy_header(file, entry.file_size, name)
    with archive.open(entry) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _npy(file: io.BytesIO, size: int, name: str) -> np.ndarray:
    exports.check_npy_header(file, size, name)
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def _safetensors(content: bytes, name: str) -> Any:
    import json

    from safetensors.numpy import load

    length = int.from_bytes(content[:8], "little")
    if length > len(content) - 8:
        raise DataError(f"{name} is cut off, or not a file of arrays: expected {KINDS}.")
    header = json.loads(content[8 : 8 + length])
    _check_unpacked(len(content), name)
    meta = (header.get("__metadata__") or {}).get("meta")
    extra = {} if meta is None else {"meta": np.frombuffer(meta.encode(), np.uint8)}
    return load(content) | extra


class _Unread:
    """Stands for a number of numpy's (an accuracy beside the images): built without running numpy."""

    def __init__(self, *_: Any) -> None:
        """Accept and forget whatever it was made of."""

    def __setstate__(self, _: Any) -> None:
        """Accept and forget."""


_PASSED_OVER = [
    (_Unread, "numpy.core.multiarray.scalar"),
    (_Unread, "numpy._core.multiarray.scalar"),
    (_Unread, "numpy.dtype"),
]


def _torch(content: bytes, name: str) -> Any:
    import pickle

    import torch

    try:
        with _TORCH_LOCK, torch.serialization.safe_globals(_PASSED_OVER):
            # Only tensors and plain containers are built; anything else is refused unopened.
            loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{name} holds Python objects other than tensors, which are never loaded since that "
            "could run code: save it anew with torch.save({'images': images, 'labels': labels}, ...)."
        ) from error
    return _Plain(name).of(loaded)


class _Plain:
    """Tensors to arrays without copying, counted before anything is expanded."""

    def __init__(self, name: str) -> None:
        self.name, self.nodes, self.values, self.seen = name, 0, 0, set()

    def of(self, value: Any, depth: int = 0) -> Any:
        """Lists for lists and tuples, dicts, numbers and texts as they are, None for anything else."""
        import torch

        self.nodes += 1
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            raise DataError(f"{self.name} is not a set: it holds thousands of nested parts.")
        if isinstance(value, torch.Tensor):
            return self._array(value)
        if isinstance(value, dict):
            return {str(k): self.of(v, depth + 1) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self.of(v, depth + 1) for v in value]
        return value if isinstance(value, int | float | str | None) else None

    def _array(self, tensor: Any) -> np.ndarray:
        import torch

        if tensor.layout != torch.strided or tensor.is_complex() or tensor.is_quantized:
            raise DataError(f"{self.name} holds a tensor that is not of plain numbers.")
        place = (tensor.data_ptr(), tuple(tensor.shape), tensor.stride())
        if place not in self.seen:  # the steps of a 2018 set come back in every pass
            self.seen.add(place)
            self.values += tensor.numel()
        _check_values(self.values, self.name)
        tensor = tensor.detach()
        return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def _is_ours(tree: Any) -> bool:
    meta = tree.get("meta") if isinstance(tree, dict) else None
    return isinstance(meta, np.ndarray) and f'"{FORMAT}"'.encode() in meta.tobytes()


def _check_unpacked(size: int, name: str) -> None:
    # Eight bytes a number at most, and a little for headers.
    _check_values(max(0, size - (1 << 20)) // 8, name)


def _check_values(count: int, name: str) -> None:
    if count > MAX_VALUES:
        raise DataError(f"{name} unpacks to {count:,} numbers: at most {MAX_VALUES:,} are read.")
