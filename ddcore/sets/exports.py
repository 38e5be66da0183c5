"""A distilled set as a file for use elsewhere, and back, bit for bit.

| format | what | where it loads without this program |
|---|---|---|
| npz | arrays, `meta` as JSON bytes | numpy |
| pt | the same as tensors, plus `data` and `label` | torch, without unpickling code |
| safetensors | arrays, `meta` in the header | safetensors |
| hf | folder: Parquet, the exact set, a dataset card | `datasets`, pandas |
| imagefolder | class folders of pictures, labels (`image_folders`): 8 bits | torchvision, this program |
| png | folder of pictures: a preview, never the data | anything |
| dd-ranking, eccv-2024 | folders as benchmarks read them (`benchmarks`) | there |

No pickle is ever read. A path of the user's own data is reduced to its last part: exports travel.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import shutil
import uuid
import zipfile
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from safetensors.numpy import save as safetensors_save

from ddcore.base import outputs
from ddcore.base.errors import DataError, SpecError
from ddcore.sets import benchmarks, card, image_folders, render
from ddcore.sets.checks import check, digest
from ddcore.sets.distilled import DistilledSet
from ddcore.sets.foreign_files import EXACT
from ddcore.sets.formats import BENCHMARKS, FOLDERS, FORMATS
from ddcore.sets.loading import load, load_bytes
from ddcore.tasks.files import write_atomic

SHEET_WIDTH = 1600  # pixels, about

__all__ = ["export", "export_bytes", "file_stem", "load", "load_bytes"]
MARKER = "export.json"  # lists a folder's files, so that we replace only what we wrote
_MIME = {"npz": "application/zip", "zip": "application/zip"}


def export(made: DistilledSet, format: str, out: Path, *, force: bool = False) -> Path:
    """Write `made` to `out`: a file, or a folder for some formats. Returns the absolute path.

    Nothing is there until it is complete. What exists is replaced only with `force`, and a folder only
    if it holds nothing but an earlier export, else `DataError`; an empty folder is filled.
    """
    if format not in FOLDERS:
        content = _file(made, format)
        out = outputs.file(out, force=force)
        write_atomic(out, content)
        return out
    files = _folder(made, format)
    out = outputs.absolute(out)
    _check_replaceable(out, force)
    out.parent.mkdir(parents=True, exist_ok=True)
    unique = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
    temporary = out.with_name(f".{out.name}.{unique}.tmp")
    old = out.with_name(f".{out.name}.{unique}.old")
    try:
        for name, content in files.items():
            path = temporary / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if out.exists():
            os.replace(out, old)
        try:
            os.replace(temporary, out)
        except BaseException:
            if old.exists():
                os.replace(old, out)
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    return out


def export_bytes(made: DistilledSet, format: str) -> tuple[bytes, str, str]:
    """(content, file name, MIME type) for a download; folders as a zip. The same set, the same bytes."""
    name = file_stem(made)
    if format not in FOLDERS:
        mime = _MIME.get(format, "application/octet-stream")
        return _file(made, format), f"{name}.{format}", mime
    name = f"{name}-{format}"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for path, content in sorted(_folder(made, format).items()):
            entry = zipfile.ZipInfo(f"{name}/{path}")  # dated 1980 whatever the clock says
            entry.external_attr = 0o644 << 16
            entry.create_system = 3
            archive.writestr(entry, content)
    return out.getvalue(), f"{name}.zip", _MIME["zip"]


def file_stem(made: DistilledSet) -> str:
    """A name for files: method, data, images per class and the start of the run's key."""
    parts = [made.method, str(made.data.get("name", "")), f"ipc{made.ipc}", made.run_key[:8]]
    return "-".join(filter(None, map(card.slug, parts))) or "distilled"


def _check_replaceable(out: Path, force: bool) -> None:
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file: expected the name of a folder.")
    if not out.exists() or not any(out.iterdir()):
        return
    try:
        ours = {MARKER, *json.loads((out / MARKER).read_bytes())["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(
            f"{out} holds other files: choose a new or an empty folder for the export."
        ) from None
    foreign = {p.relative_to(out).as_posix() for p in out.rglob("*") if not p.is_dir()} - ours
    if foreign:
        raise DataError(
            f"{out} also holds {sorted(foreign)[0]}, which is not part of an export: "
            "choose another folder."
        )
    if not force:
        raise DataError(
            f"{out} is there already: choose another name, or add --force to replace it."
        )


def _file(made: DistilledSet, format: str) -> bytes:
    writers = {"npz": _npz, "pt": _pt, "safetensors": _safetensors}
    if format not in writers:
        raise SpecError("format", format, "one of " + ", ".join([*FORMATS, *BENCHMARKS]))
    return writers[format](made)


def _folder(made: DistilledSet, format: str) -> dict[str, bytes]:
    """Relative path to content, the marker included."""
    if format in BENCHMARKS:
        files = benchmarks.files(made, format)
    elif format == "imagefolder":
        files = image_folders.files(made)
    else:
        files = _hf(made) if format == "hf" else _png(made)
    marker = {"format": format, "files": sorted(files)}
    return files | {MARKER: json.dumps(marker, indent=1).encode()}


def _contents(made: DistilledSet) -> tuple[dict[str, np.ndarray], str]:
    """Arrays and meta JSON, without the user's folders in it."""
    check(made)
    arrays, meta = made.to_arrays()
    meta["data"] = _portable(meta["data"])
    if bank := meta["start"].get("bank"):
        meta["start"] = meta["start"] | {"bank": bank | {"data": _portable(bank["data"])}}
    try:
        meta["sha256"] = digest(arrays, meta)
        text = json.dumps(meta, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DataError(f"The facts about this set cannot be written as JSON: {error}.") from error
    return {name: np.require(a, requirements="C") for name, a in arrays.items()}, text


def _portable(data: dict[str, Any]) -> dict[str, Any]:
    if not data.get("path"):
        return data
    # PurePath of either system's separators: a set may have been made elsewhere.
    return data | {"path": PurePath(str(data["path"]).replace("\\", "/")).name}


def _npz(made: DistilledSet) -> bytes:
    arrays, meta = _contents(made)
    out = io.BytesIO()
    np.savez(out, allow_pickle=False, **arrays, meta=_json_bytes(meta))
    return out.getvalue()


def _pt(made: DistilledSet) -> bytes:
    import torch

    arrays, meta = _contents(made)
    tensors = {name: torch.from_numpy(np.array(a)) for name, a in arrays.items()}
    # The names that published code expects; tensors that are the same are stored once.
    tensors["data"] = tensors["images"]
    tensors["label"] = torch.from_numpy(made.hard_labels.copy()) if made.soft else tensors["labels"]
    tensors["meta"] = torch.from_numpy(_json_bytes(meta))
    out = io.BytesIO()
    torch.save(tensors, out)
    return out.getvalue()


def _safetensors(made: DistilledSet) -> bytes:
    arrays, meta = _contents(made)
    return safetensors_save(arrays, metadata={"meta": meta})


def _json_bytes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8).copy()


def _png(made: DistilledSet) -> dict[str, bytes]:
    check(made)
    pixels, labels = made.pixels(), made.hard_labels
    files, seen = {}, [0] * made.num_classes
    places = np.zeros(len(pixels), np.int64)
    columns = int(np.bincount(labels).max())
    for i in made.order():
        label = int(labels[i])
        places[i] = label * columns + seen[label]
        name = f"{label:03d}-{card.slug(made.class_names[label])}-{seen[label]:03d}.png"
        files[f"images/{name}"] = render.png(pixels[i])
        seen[label] += 1
    width = made.shape[2]
    scale = min(8, render.fitting_scale(columns, width, SHEET_WIDTH))
    with contextlib.suppress(SpecError):  # too large for one picture: the single ones are there
        files["sheet.png"] = render.sheet(pixels, made.num_classes, columns, scale, places=places)
    files["README.txt"] = card.preview_note(made).encode()
    return files


def _hf(made: DistilledSet) -> dict[str, bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    exact = _safetensors(made)
    pixels = made.pixels()
    size = math.prod(made.shape)
    pictures = [{"bytes": render.png(p), "path": f"{i:06d}.png"} for i, p in enumerate(pixels)]
    picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {
        "image": pa.array(pictures, picture),
        "label": pa.array(made.hard_labels, pa.int64()),
        "pixels": _rows(made.images.reshape(-1, size)),
        "step": pa.array(made.step_of, pa.int64()),
    }
    features: dict[str, Any] = {
        "image": {"_type": "Image"},
        "label": {"names": list(made.class_names), "_type": "ClassLabel"},
        "pixels": _float_list(size),
        "step": {"dtype": "int64", "_type": "Value"},
    }
    if made.soft:
        columns["soft_label"] = _rows(made.labels)
        features["soft_label"] = _float_list(made.num_classes)
    table = pa.table(columns)
    info = json.dumps({"info": {"features": features}})
    table = table.replace_schema_metadata({"huggingface": info})
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return {
        "data/train-00000-of-00001.parquet": out.getvalue(),
        EXACT: exact,
        "README.md": card.card(made, file_stem(made)).encode(),
    }


def _rows(values: np.ndarray) -> Any:
    """(M, D) float32 as a fixed-size list column."""
    import pyarrow as pa

    flat = pa.array(np.ascontiguousarray(values).ravel(), pa.float32())
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def _float_list(length: int) -> dict[str, Any]:
    # "Sequence" is understood by old and new releases of `datasets`, "List" by new ones only.
    value = {"dtype": "float32", "_type": "Value"}
    return {"feature": value, "length": length, "_type": "Sequence"}
