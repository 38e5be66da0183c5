"""What a set in a file must be like: within what pages and networks can use, and as it was written."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np

from ddcore.base.errors import DataError
from ddcore.base.specs import canonical_json
from ddcore.sets.distilled import DistilledSet

MAX_IMAGES = 200_000
MAX_BYTES = 2 << 30
MAX_CHANNELS = 4
MAX_SIDE = 1024


def check(made: DistilledSet) -> None:
    """Refuse what no page or network could use: sizes beyond the limits, non-finite numbers."""
    c, h, w = made.shape
    arrays, _ = made.to_arrays()
    _refuse(len(made.images) > MAX_IMAGES, f"{len(made.images)} images: at most {MAX_IMAGES}")
    total = sum(a.nbytes for a in arrays.values())
    _refuse(total > MAX_BYTES, f"{total / 2**30:.1f} GiB of numbers: at most 2 GiB")
    _refuse(c > MAX_CHANNELS, f"{c} channels: from 1 to {MAX_CHANNELS}")
    _refuse(max(h, w) > MAX_SIDE, f"images of {h} x {w} pixels: at most {MAX_SIDE} a side")
    for name, a in arrays.items():
        bad = a.dtype.kind not in "biuf" or not np.isfinite(a).all()
        _refuse(bad, f"{name} with values that are not finite numbers: finite ones")
    _check_preprocess(made)


def _check_preprocess(made: DistilledSet) -> None:
    given = made.preprocess
    values = math.prod(made.shape)
    expected: dict[str, tuple[int, ...]] = {"mean": made.shape[:1], "std": made.shape[:1]}
    if given.zca_matrix is not None:
        expected |= {"zca_mean": (values,), "zca_matrix": (values, values)}
        expected |= {"zca_inverse": (values, values)}
    for name, shape in expected.items():
        found = np.shape(getattr(given, name))
        _refuse(found != shape, f"{name} of shape {found}: {shape}")
    _refuse(not np.all(given.std), "a std of 0: a larger one")


def _refuse(bad: bool, what: str) -> None:
    if bad:
        has, _, allowed = what.rpartition(": ")
        raise DataError(f"This distilled set has {has}: expected {allowed}.")


def digest(arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> str:
    """sha256 of every number and fact: only the zip formats have checksums of their own."""
    digest = hashlib.sha256(canonical_json(meta).encode())
    for name, a in sorted(arrays.items()):
        digest.update(f"{name} {a.dtype.str} {a.shape}\n".encode())
        digest.update(np.require(a, requirements="C").data)
    return digest.hexdigest()
