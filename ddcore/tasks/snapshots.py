"""A run's images along its iterations in few bytes, for shipping: which are kept, and 8 bits per value.

They are there to be looked at; what is computed from a set starts from the set itself. No torch here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

LEVELS = (
    254  # from an image's smallest value to its largest; one is left for putting zero on a code
)


def chosen(steps: Sequence[int], most: int, *, without_start: bool = False) -> list[int]:
    """At most `most` of the ascending `steps`, spread evenly over the run, with the last one.

    `without_start` leaves out the first of `most` equal parts of the run, in which images are still what they
    began as; else the first step is among them.
    """
    if not steps:
        return []
    last = steps[-1]
    if without_start:
        wanted = [last * (i + 1) / most for i in range(most)]
        steps = [step for step in steps if step * most >= last > 0]
    else:
        wanted = [last * i / (most - 1) for i in range(most)]
    return sorted({min(steps, key=lambda s: abs(s - at)) for at in wanted}) if steps else []


def packed(pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Images (M, C, H, W) as 8-bit codes (M, C, H, W): a value is `step` * (code + `first`), both (M,).

    Each image has its own range. Zero stays zero, so that an empty background does not leave 0..1.
    """
    pixels = np.asarray(pixels, np.float64)
    low, high = pixels.min((1, 2, 3)), pixels.max((1, 2, 3))
    plain = np.where(low == 0, 1.0, np.abs(low))  # of an image of one value
    step = np.where(high > low, (high - low) / LEVELS, plain)
    first = np.floor(low / step)
    codes = np.rint(pixels / _each(step) - _each(first))
    return {"codes": codes.astype(np.uint8), "first": first.astype(np.int64), "step": step}


def unpacked(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of a snapshot with `pixels` (M, C, H, W), whether packed or not; none if they do not fit.

    Off by half a `step` of the image at most: half a level of a screen where values span 0..1.
    """
    if "codes" not in arrays:
        return dict(arrays)
    codes, first, step = (arrays.get(name, np.empty(0)) for name in ("codes", "first", "step"))
    if codes.ndim != 4 or not first.shape == step.shape == codes.shape[:1]:
        return {}
    return {"pixels": (_each(step) * (_each(first) + codes)).astype(np.float32)}


def _each(values: np.ndarray) -> np.ndarray:
    return values[:, None, None, None]
