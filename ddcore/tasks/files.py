"""Files of the store: written as a whole or not at all, read with one error for all that may be wrong."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import secrets
import shutil
import socket
import stat
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load as safetensors_load
from safetensors.numpy import save as safetensors_save

from ddcore.base.errors import Damaged, NotReady, StoreUnusable

Fingerprint = dict[str, Any]  # {"size": bytes, "sha256": hex}


def write_atomic(path: Path, content: bytes) -> None:
    """Write, fsync and rename: readers see the old file or the new one, never a part.

    `StoreUnusable` says in one sentence why that was not possible.
    """
    unique = f"{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(4)}"
    temporary = path.with_name(f".{path.name}.{unique}.tmp")
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


def share(source: Path, path: Path) -> Fingerprint:
    """The same file under a second name, a copy where there are no links."""
    try:
        remove(path)
        try:
            os.link(source, path)
        except OSError:
            shutil.copyfile(source, path)
        return {"size": path.stat().st_size, "sha256": file_hash(path)}
    except OSError as error:
        raise StoreUnusable(path, error) from error


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


def read_rows(path: Path, name: str, rows: np.ndarray | None) -> np.ndarray:
    """Some rows (None: all) of one array of a safetensors file, in this order; the others are not read."""
    try:
        with safe_open(path, framework="numpy") as opened:
            found = opened.get_slice(name)
            if rows is None:
                return found[:]
            parts = [found[row : row + 1] for row in rows.tolist()]
            return np.concatenate(parts or [found[0:0]])
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


def remove(path: Path) -> None:
    """Remove a file or a folder as far as possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def is_there(path: Path | str) -> bool:
    """Whether a flag is set. It is opened: on a file server what `exists` says may be a minute old."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def stamp(path: Path | str) -> tuple[int, int]:
    """What tells two states of a file apart without reading it."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Damaged(f"{path} cannot be read ({error}).") from error
    if not stat.S_ISREG(found.st_mode):
        raise Damaged(f"{path} is not a file.")
    return found.st_mtime_ns, found.st_size


def size(path: Path | str) -> int | None:
    """Bytes of a file, None if it is none."""
    try:
        return stamp(path)[1]
    except (FileNotFoundError, Damaged):
        return None


def text(path: Path) -> str:
    """A file's text, "" if it cannot be read."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


@functools.lru_cache(maxsize=4096)
def cached_hash(path: Path, stamp: tuple[int, int]) -> str:
    """`file_hash`, known as long as the file is as it was at this stamp."""
    return file_hash(path)
