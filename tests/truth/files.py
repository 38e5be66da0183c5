"""Exported files and shipped folders, read with numpy and json alone."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np

GALLERY = Path(__file__).resolve().parents[2] / "cache" / "gallery"
KINDS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "u1"}


def safetensors(path):
    """Arrays by name, and the header's metadata; layout as the format's README gives it."""
    content = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    facts = header.pop("__metadata__", {})
    arrays = {}
    for name, entry in header.items():
        first, last = (8 + length + at for at in entry["data_offsets"])
        values = np.frombuffer(content[first:last], KINDS[entry["dtype"]])
        arrays[name] = values.reshape(entry["shape"])
    return arrays, facts


def exported(path):
    """Arrays and facts of a distilled set exported as npz or safetensors."""
    if str(path).endswith(".npz"):
        with np.load(path, allow_pickle=False) as archive:
            arrays = dict(archive)
        return arrays, json.loads(arrays.pop("meta").tobytes())
    arrays, facts = safetensors(path)
    return arrays, json.loads(facts["meta"])


def spec(folder):
    """What a stored task was asked for."""
    return json.loads((folder / "spec.json").read_bytes())["spec"]


def result(folder):
    """What a stored task found."""
    return json.loads((folder / "result.json").read_bytes())


def arrays(folder, name="arrays"):
    """The arrays a stored task left."""
    return safetensors(folder / f"{name}.safetensors")[0]


def shipped(kind, **wanted):
    """Folders of a kind in the gallery whose spec has these values; nested fields as `data__name`."""
    folders = sorted(GALLERY.glob(f"{kind}/*/spec.json"))
    return [f.parent for f in folders if all(_value(spec(f.parent), *w) for w in wanted.items())]


def on_digits(kind):
    """The one folder of an analysis of sets of digits in the gallery."""
    (folder,) = [f for f in shipped(kind) if result(f)["data"]["name"] == "digits"]
    return folder


def _value(asked, path, expected):
    for name in path.split("__"):
        asked = asked.get(name) if isinstance(asked, dict) else None
    return asked == expected
