"""A distilled set read back from a file that `exports` wrote. No pickle is ever read."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ddcore.base import isolated
from ddcore.base.errors import DataError
from ddcore.data.names import distinct_names
from ddcore.sets import foreign_files
from ddcore.sets.checks import MAX_BYTES, check, digest
from ddcore.sets.distilled import DistilledSet
from ddcore.sets.foreign_files import EXACT

MAX_META_BYTES = 1 << 20  # those of the gallery have 2 KB


def load(path: Path) -> DistilledSet:
    """The set in a file or folder that `export` wrote; the content decides, not the name.

    The file is understood in a process of its own, which may not take much more memory than it has
    bytes. `DataError` if it is missing, damaged, too large, not finite or would need pickle.
    """
    path = Path(path)
    if path.is_dir():
        if not (path / EXACT).is_file():
            preview = (path / "sheet.png").is_file()
            why = "is a preview, which is never the data" if preview else f"has no {EXACT}"
            raise DataError(f"{path} {why}: expected a set exported as npz, pt, safetensors or hf.")
        path = path / EXACT
    try:
        size = path.stat().st_size
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from error
    _check_size(size, str(path))
    with tempfile.TemporaryDirectory(prefix="dd-load-", ignore_cleanup_errors=True) as folder:
        request = {"path": str(path.resolve()), "name": str(path)}
        limits = isolated.for_files(size)
        function = "ddcore.sets.loading:_understand"
        meta = isolated.call(function, request, Path(folder), limits, what=str(path))
        arrays = {n: np.array(a) for n, a in isolated.arrays(Path(folder)).items()}
    return DistilledSet.from_arrays(arrays, meta)


def load_bytes(content: bytes, name: str = "The file") -> DistilledSet:
    """Like `load`, for content at hand, in this process: sizes are checked, time and memory not limited."""
    _check_size(len(content), name)
    made = _parsed(content, name)
    arrays, meta = made.to_arrays()
    return DistilledSet.from_arrays({n: np.array(a) for n, a in arrays.items()}, meta)


def _understand(request: dict[str, Any], folder: Path, progress: Any) -> dict[str, Any]:
    """What the process of `load` does: arrays as files, the facts as its answer."""
    made = _parsed(Path(request["path"]), request["name"])
    arrays, meta = made.to_arrays()
    isolated.write_arrays(folder, arrays)
    return meta


def _check_size(size: int, name: str) -> None:
    if size > MAX_BYTES:
        raise DataError(f"{name} has {size / 2**30:.1f} GiB: at most 2 GiB are read.")


def _parsed(given: bytes | Path, name: str) -> DistilledSet:
    """The set, its arrays still read-only views of the file."""
    try:
        content = foreign_files.content(
            given, name, 2 * MAX_BYTES // 4
        )  # .pt names its images twice
        if len(content.data) < 8:
            raise DataError(f"{name} is empty or cut off.")
        return understood(foreign_files.tree(content), name)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # whatever a reader meets in bytes that anybody may have written
        raise DataError(f"{name} is damaged or of another kind ({_short(error)}).") from error


def understood(tree: Any, name: str) -> DistilledSet:
    """The set in a file's plain contents; `DataError` if they are none of ours or do not add up."""
    arrays = dict(tree) if isinstance(tree, dict) else {}
    if not arrays or not all(isinstance(a, np.ndarray) for a in arrays.values()):
        raise DataError(f"{name} is not a distilled set written by this program.")
    text = arrays.pop("meta", None)
    if text is None:
        raise DataError(f"{name} is not a distilled set written by this program (no meta).")
    if text.size > MAX_META_BYTES:
        raise DataError(f"{name} has more than 1 MiB of facts beside its arrays.")
    try:
        meta = json.loads(text.astype(np.uint8).tobytes())
        if isinstance(meta, dict) and "sha256" in meta:
            # `data` and `label` of a .pt file repeat what `images` and `labels` hold.
            arrays = {n: a for n, a in arrays.items() if n not in ("data", "label")}
        if isinstance(meta, dict) and meta.pop("sha256", None) != digest(arrays, meta):
            raise DataError(f"{name} does not match its checksum: export or download it again.")
        if isinstance(meta, dict) and "class_names" in meta:
            distinct_names(meta["class_names"], name)
        made = DistilledSet.from_arrays(arrays, meta)
        check(made)
    except DataError as error:
        if name in str(error):
            raise
        raise DataError(f"{name}: {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # facts that anybody may have written
        raise DataError(f"{name} is damaged or of another kind ({_short(error)}).") from error
    return made


def _short(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
