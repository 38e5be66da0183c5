"""Where the images lie in a contact sheet: side, padding, rows, columns and enlargement, from its pixels.

Sheets as torchvision's `save_image` writes them (images in a row, 2 pixels of one colour between and
around), without padding, or enlarged by repeating pixels: before padding, as MTT's, or after. A picture
that was resampled, compressed with loss or cut has no such grid and is refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ddcore.base.errors import DataError
from ddcore.sets.importers.base import MAX_IMAGES, SIDES

MAX_PADDING = 16
USUAL_PADDING = 2  # of torchvision's make_grid
CUT_PADDING, CUT_REPEAT = (
    range(1, 5),
    4,
)  # looked for where a sheet may have been cut out of another
# Jumps within an image, beside those where images meet. Sheets of photographs enlarged two- or threefold had
# 0.30 at most (bilinear, bicubic), sheets as they were written 0.56 at least; what is noise cannot be told.
INSIDE = 0.4
USUAL_SIDES = (32, 28, 64, 16, 8, 96, 48, 128, 224, 256)


@dataclass(frozen=True)
class Grid:
    """A regular grid of square images in a picture, in pixels of the picture.

    `side` is what an image takes there, `repeat` how often each of its pixels is repeated each way;
    `blank` last places hold no image.
    """

    side: int
    padding: int
    rows: int
    columns: int
    repeat: int = 1
    blank: int = 0

    @property
    def count(self) -> int:
        """Images in the sheet."""
        return self.rows * self.columns - self.blank

    def sentence(self) -> str:
        """For people."""
        size = self.side // self.repeat
        parts = [f"{self.count} images of {size} x {size} pixels", f"{self.columns} in a row"]
        parts.append(f"{self.padding} pixels apart" if self.padding else "without padding")
        if self.repeat > 1:
            parts.append(f"each pixel {self.repeat} x {self.repeat} times")
        return ", ".join(parts) + "."


def find(sheet: np.ndarray, name: str, side: int = 0) -> Grid:
    """The grid of a sheet (H, W, C) uint8; `side` is that of the images, in their own pixels, 0 if unknown.

    Without padding only `side` decides; if it is unknown, the first usual one that fits is taken. Raises
    `DataError` with the reason if there is no grid.
    """
    found = _padded(sheet) + _enlarged_as_a_whole(sheet) + _unpadded(sheet, side)
    fitting = [g for g in found if side in (0, g.side // g.repeat) and g.count <= MAX_IMAGES]
    if not fitting:
        wanted = f" of {side} x {side} pixels" if side else ""
        height, width = sheet.shape[:2]
        raise DataError(
            f"{name} ({width} x {height} pixels) is not a regular grid of whole images{wanted}: it may have "
            "been resampled, cut or photographed from a screen; the PNG that save_image wrote is needed."
        )
    if not fitting[0].padding and _has_padding(sheet, fitting[0]):
        raise DataError(
            f"{name} has lines between its images, but not where a whole sheet has them: it may have been "
            "cut out of one; the PNG that save_image wrote is needed."
        )
    if not fitting[0].padding and (times := _parts(sheet, fitting[0])):
        raise DataError(
            f"{name} seems to show images {times} times as large as those of the dataset, but not by "
            "repeating pixels: it was resampled; the PNG that save_image wrote is needed."
        )
    return fitting[0]


def cut(sheet: np.ndarray, grid: Grid) -> np.ndarray:
    """The images of a sheet (H, W, C) along its rows: (N, C, side, side) uint8, not enlarged any more."""
    step = grid.side + grid.padding
    corners = [
        (grid.padding + row * step, grid.padding + column * step)
        for row in range(grid.rows)
        for column in range(grid.columns)
    ]
    tiles = [
        sheet[top : top + grid.side : grid.repeat, left : left + grid.side : grid.repeat]
        for top, left in corners[: grid.count]
    ]
    return np.ascontiguousarray(np.moveaxis(np.stack(tiles), 3, 1))


# --- padded ---------------------------------------------------------------------------------------


def _padded(sheet: np.ndarray) -> list[Grid]:
    """Grids whose every line of padding has the colour of the picture's corner; likeliest first."""
    lines = [_lines(sheet), _lines(sheet.transpose(1, 0, 2))]
    found = []
    for padding in range(1, MAX_PADDING + 1):
        for side in _sides(sheet, padding):
            step = side + padding
            on_grid = [_on_grid(line, step, padding) for line in lines]
            if all(on_grid):
                found.append(_complete(sheet, side, padding))
    # Padding is wider than 1 only where it must be: digits end in black lines of their own. A grid of
    # grids has larger sides.
    return sorted(
        (grid for grid in found if grid is not None),
        key=lambda g: (
            g.side // g.repeat not in USUAL_SIDES,
            g.padding != USUAL_PADDING,
            g.side,
            g.padding,
        ),
    )


def _lines(sheet: np.ndarray) -> np.ndarray:
    """(H,) whether a row of pixels has the corner's colour throughout."""
    return (sheet == sheet[0, 0]).all((1, 2))


def _on_grid(line: np.ndarray, step: int, padding: int) -> bool:
    places = np.arange(len(line)) % step < padding
    return bool(line[places].all()) and not line.all()


def _sides(sheet: np.ndarray, padding: int) -> list[int]:
    """Sides of square images that divide both sides of the picture, `padding` around each."""
    height, width = sheet.shape[0] - padding, sheet.shape[1] - padding
    common = math.gcd(height, width) if min(height, width) > 0 else 0
    least = SIDES[0]
    return [
        step - padding
        for step in range(least + padding, common + 1)
        if common % step == 0 and step - padding >= least
    ]


def _has_padding(sheet: np.ndarray, grid: Grid) -> bool:
    """Whether a picture that can be cut without padding has lines of one colour at another distance.

    Both ways, and twice each at the least: images with black borders have a few at any distance.
    """
    side = grid.side // grid.repeat
    enlarged = range(grid.repeat, max(CUT_REPEAT, grid.repeat) + 1)
    steps = [(side * times + p, p) for times in enlarged for p in CUT_PADDING]
    lines = [(t == t[:, :1]).all((1, 2)) for t in (sheet, sheet.transpose(1, 0, 2))]
    if all(_bands(line, grid.side, 1) for line in lines):
        return False  # they are where the images end: black borders
    return any(all(_bands(line, *step) for line in lines) for step in steps)


def _bands(line: np.ndarray, step: int, padding: int) -> bool:
    """Whether so many neighbouring lines (of (H,) flags) are set again and again, but not all are."""
    if len(line) < 2 * step:
        return False
    whole = np.ones(-(-len(line) // step) * step, bool)
    whole[: len(line)] = line
    always = np.asarray(whole.reshape(-1, step).all(0))
    around = np.concatenate([always, always[: padding - 1]])
    runs = np.lib.stride_tricks.sliding_window_view(around, padding).all(1)
    return bool(runs.any()) and not always.all()


def _parts(sheet: np.ndarray, grid: Grid) -> int:
    """How many tiles each way seem to be parts of one image, 0 if each is one of its own.

    Values jump where two images meet. If they do so at every second line between tiles only, four tiles
    are one image. Of grey sheets nothing is told: digits end in black.
    """
    if (sheet == sheet[..., :1]).all():
        return 0
    jumps = [j for j in map(_jumps, (sheet, sheet.transpose(1, 0, 2)), (grid.side,) * 2) if len(j)]
    for times in range(2, CUT_REPEAT + 1):
        ratios = []
        for found in jumps:
            meet = np.arange(1, len(found) + 1) % times == 0
            if (len(found) + 1) % times or meet.sum() < 2:
                continue
            ratios.append(found[~meet].mean() / max(found[meet].mean(), 1e-9))
        if ratios and max(ratios) < INSIDE:
            return times
    return 0


def _jumps(sheet: np.ndarray, side: int) -> np.ndarray:
    """Mean difference across each line between tiles, all but the outer ones."""
    places = np.arange(side, len(sheet), side)
    before, after = sheet[places - 1].astype(np.float32), sheet[places].astype(np.float32)
    return np.abs(after - before).mean((1, 2)) if len(places) else np.zeros(0)


def _complete(sheet: np.ndarray, side: int, padding: int) -> Grid | None:
    """The grid with its empty last places and its enlargement; None if no image is left."""
    step = side + padding
    rows, columns = (sheet.shape[0] - padding) // step, (sheet.shape[1] - padding) // step
    plain = Grid(side, padding, rows, columns)
    tiles = cut(sheet, plain)
    background = sheet[0, 0] if padding else np.zeros_like(sheet[0, 0])
    blank = _trailing((tiles == background[:, None, None]).all((1, 2, 3)))
    tiles = tiles[: len(tiles) - blank]
    if blank >= columns or len(tiles) == 0:
        return None  # an empty row is none that anybody writes
    repeat = math.gcd(side, *(_repeated(tile) for tile in tiles))
    if side // repeat < SIDES[0] or side // repeat > SIDES[1]:
        return None
    return Grid(side, padding, rows, columns, repeat, blank)


def _trailing(flags: np.ndarray) -> int:
    """How many at the end are set."""
    return int(np.argmin(flags[::-1])) if not flags.all() else len(flags)


def _repeated(tile: np.ndarray) -> int:
    """How often pixels of a tile (C, H, W) are repeated each way: all changes lie on multiples of it."""
    rows = (tile[:, 1:] != tile[:, :-1]).any((0, 2))
    columns = (tile[:, :, 1:] != tile[:, :, :-1]).any((0, 1))
    changes = [*(np.flatnonzero(rows) + 1).tolist(), *(np.flatnonzero(columns) + 1).tolist()]
    return math.gcd(0, *changes)  # 0: one colour, which any number divides


# --- enlarged with its padding, or without padding --------------------------------------------------


def _enlarged_as_a_whole(sheet: np.ndarray) -> list[Grid]:
    """Padded grids of a picture that was enlarged after it had been put together."""
    repeat = math.gcd(_repeated(np.moveaxis(sheet, 2, 0)), *sheet.shape[:2])
    if repeat < 2:
        return []
    return [
        Grid(g.side * repeat, g.padding * repeat, g.rows, g.columns, g.repeat * repeat, g.blank)
        for g in _padded(sheet[::repeat, ::repeat])
    ]


def _unpadded(sheet: np.ndarray, side: int) -> list[Grid]:
    """Grids without padding, of images of that side or of a usual one."""
    repeat = max(1, math.gcd(_repeated(np.moveaxis(sheet, 2, 0)), *sheet.shape[:2]))
    found = []
    for wanted in (side,) if side else USUAL_SIDES:
        for times in (repeat, 1):
            if not any(length % (wanted * times) for length in sheet.shape[:2]):
                found.append(_complete(sheet, wanted * times, 0))
    return [grid for grid in found if grid is not None]
