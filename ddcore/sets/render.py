"""Images for the eye: lossless PNG of pixels and of whole sheets, without torch.

Pixels are floats with 0 black and 1 white; what lies outside is clamped here and nowhere else. Every
function is deterministic: the same pixels give the same bytes.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from ddcore.base.errors import SpecError

MODES: dict[str, str] = {
    "clip": "values below 0 are black, above 1 white",
    "minmax": "each image from its smallest value (black) to its largest (white)",
    "sigma": "each image from 2.5 standard deviations below its mean to 2.5 above",
}
SIGMAS = 2.5
MAX_SIDE = 20_000  # pixels of a sheet; browsers and Pillow refuse much larger ones
GREY = (128, 128, 128)


@dataclass(frozen=True)
class Layout:
    """Where the cells of a sheet are, in pixels of the sheet."""

    rows: int
    columns: int
    height: int
    width: int
    boxes: tuple[tuple[int, int, int, int], ...]  # left, top, right, bottom of each cell by row

    def at(self, x: float, y: float) -> int | None:
        """The cell under a point, or None between cells and outside."""
        for cell, (left, top, right, bottom) in enumerate(self.boxes):
            if left <= x < right and top <= y < bottom:
                return cell
        return None


def layout(rows: int, columns: int, h: int, w: int, scale: int = 1, gap: int = 1) -> Layout:
    """A grid of images of h x w pixels, each enlarged `scale` times, `gap` pixels apart and around."""
    for name, value, least in (("rows", rows, 1), ("columns", columns, 1), ("scale", scale, 1)):
        if value < least:
            raise SpecError(name, value, "a whole number of at least 1")
    if gap < 0:
        raise SpecError("gap", gap, "0 or more pixels")
    step_y, step_x = h * scale + gap, w * scale + gap
    height, width = rows * step_y + gap, columns * step_x + gap
    if max(height, width) > MAX_SIDE:
        raise SpecError("scale", scale, f"a sheet of at most {MAX_SIDE} pixels a side")
    boxes = tuple(
        (left, top, left + w * scale, top + h * scale)
        for top in range(gap, height, step_y)
        for left in range(gap, width, step_x)
    )
    return Layout(rows, columns, height, width, boxes)


def fitting_scale(columns: int, w: int, width: int, gap: int = 1) -> int:
    """The largest whole scale, at least 1, at which a row of `columns` images is no wider than `width`."""
    return max(1, (width - gap * (columns + 1)) // (columns * w))


def to_uint8(pixels: np.ndarray, mode: str = "clip") -> np.ndarray:
    """Float pixels (..., C, H, W) as 8-bit, rounded; non-finite values are black. See `MODES`."""
    if mode not in MODES:
        raise SpecError("mode", mode, "one of " + ", ".join(MODES))
    x = np.asarray(pixels, np.float32)
    x = np.where(np.isfinite(x), x, np.float32(0))
    if mode != "clip" and x.size:
        axes = (-3, -2, -1)
        if mode == "minmax":
            low, high = x.min(axes, keepdims=True), x.max(axes, keepdims=True)
        else:
            mean, std = x.mean(axes, keepdims=True), x.std(axes, keepdims=True)
            low, high = mean - SIGMAS * std, mean + SIGMAS * std
        span = high - low
        # An image of one value has no range to stretch: middle grey.
        x = np.where(span > 0, (x - low) / np.where(span > 0, span, 1), np.float32(0.5))
    return np.rint(np.clip(x, 0, 1) * 255).astype(np.uint8)


def png(pixels: np.ndarray, scale: int = 1, mode: str = "clip") -> bytes:
    """One image (C, H, W) as lossless PNG, enlarged `scale` times by repeating pixels."""
    if scale < 1:
        raise SpecError("scale", scale, "a whole number of at least 1")
    image = _for_display(to_uint8(np.asarray(pixels)[None], mode))[0]
    return encode(image.repeat(scale, 0).repeat(scale, 1))


def sheet(pixels: np.ndarray, rows: int, columns: int, scale: int = 1, **how: Any) -> bytes:
    """Many images (M, C, H, W) in a grid as lossless PNG; see `canvas`."""
    return encode(canvas(pixels, rows, columns, scale, **how))


def canvas(
    pixels: np.ndarray,
    rows: int,
    columns: int,
    scale: int = 1,
    mode: str = "clip",
    gap: int = 1,
    mat: tuple[int, int, int] = GREY,
    places: np.ndarray | None = None,
) -> np.ndarray:
    """Many images (M, C, H, W) in a grid, enlarged by repeating pixels: uint8 (height, width, 1 or 3).

    `places` (M,) names the cell of each image, counted along rows; without it they fill the grid in
    order. Empty cells and gaps show the `mat` colour. The sheet is grey if images and mat are.
    """
    count, _, h, w = pixels.shape
    places = np.arange(count) if places is None else np.asarray(places)
    plan = layout(rows, columns, h, w, scale, gap)
    if len(places) != count or (count and not 0 <= places.min() <= places.max() < rows * columns):
        raise SpecError("places", f"{count} images", f"a cell of {rows} x {columns} for each")
    images = _for_display(to_uint8(pixels, mode))
    if len(set(mat)) > 1 and images.shape[-1] == 1:
        images = images.repeat(3, axis=-1)
    channels = images.shape[-1]
    whole = np.empty((plan.height, plan.width, channels), np.uint8)
    whole[:] = mat[:channels]
    for image, place in zip(images, places):
        left, top, right, bottom = plan.boxes[place]
        whole[top:bottom, left:right] = image.repeat(scale, 0).repeat(scale, 1)
    return whole


def _for_display(images: np.ndarray) -> np.ndarray:
    """8-bit (M, C, H, W) as (M, H, W, 1 or 3): 3 channels are colour, any other number their mean."""
    if images.shape[1] not in (1, 3):
        images = np.rint(images.mean(1, keepdims=True)).astype(np.uint8)
    return np.moveaxis(images, 1, -1)


def encode(image: np.ndarray, effort: int = 6) -> bytes:
    """(H, W, 1 or 3) uint8 as PNG bytes. `effort` 1 (fast) to 9 (small) changes the size only."""
    grey = image.shape[-1] == 1
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image[..., 0] if grey else image)).save(
        out, "PNG", compress_level=effort
    )
    return out.getvalue()
