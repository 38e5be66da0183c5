"""Attributes of images beyond their class: computed from pixels, or from a table the user supplies.

An attribute is true, false or unknown for each image, as a column of float32 with 1, 0 and NaN. What is
measured on a scale is cut at the median of the image's class, so it says nothing about the class.
"""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path

import numpy as np

from ddcore.base import paths
from ddcore.base.errors import DataError

MAX_BYTES = 20 << 20
MAX_COLUMNS = 50
MAX_NAME = 40
GREY_LEVELS = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
HUES = ("red to yellow", "green", "blue to purple")
MARK = "#"  # between the path of a table and the hash of its content


def computed(pixels: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Attributes (N,) of images (N, C, H, W), 0..1, by name.

    Slant and strokes are of grey images only, hue of colour ones.
    """
    grey = _grey(pixels)
    scales = {
        "bright": grey.mean((1, 2)),
        "many edges": edge_density(grey),
        "brighter centre": centre_contrast(grey),
    }
    found = {}
    if pixels.shape[1] == 1:
        scales["slanted right"] = slant(grey)
        scales["thick strokes"] = stroke(grey)
    else:
        hue = dominant_hue(pixels)
        found = {name: (hue == i).astype(np.float32) for i, name in enumerate(HUES)}
    return {name: above_median(values, labels) for name, values in scales.items()} | found


def above_median(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """1 where a value (N,) is above the median of its class, else 0; NaN stays unknown."""
    found = np.full(len(values), np.nan, np.float32)
    for c in np.unique(labels):
        rows = (labels == c) & np.isfinite(values)
        if rows.any():
            found[rows] = values[rows] > np.median(values[rows])
    return found


def _grey(pixels: np.ndarray) -> np.ndarray:
    x = np.asarray(pixels, np.float64)
    return np.einsum("nchw,c->nhw", x, GREY_LEVELS) if x.shape[1] == 3 else x.mean(1)


def edge_density(grey: np.ndarray) -> np.ndarray:
    """Mean absolute difference of neighbouring pixels (N,) of (N, H, W)."""
    down, across = np.abs(np.diff(grey, axis=1)), np.abs(np.diff(grey, axis=2))
    return (down.mean((1, 2)) + across.mean((1, 2))) / 2


def centre_contrast(grey: np.ndarray) -> np.ndarray:
    """Mean of the middle half of both sides minus the mean of the rest."""
    h, w = grey.shape[1:]
    inside = np.zeros((h, w), bool)
    inside[h // 4 : h - h // 4, w // 4 : w - w // 4] = True
    return grey[:, inside].mean(1) - grey[:, ~inside].mean(1)


def slant(grey: np.ndarray) -> np.ndarray:
    """Shear of the ink by second moments: columns to the right for each row upwards; 0 of empty images."""
    ink = np.clip(grey - grey.min((1, 2), keepdims=True), 0, None)
    y, x = np.mgrid[: grey.shape[1], : grey.shape[2]].astype(np.float64)
    mass = np.maximum(ink.sum((1, 2)), 1e-12)
    dy = y - ((ink * y).sum((1, 2)) / mass)[:, None, None]
    dx = x - ((ink * x).sum((1, 2)) / mass)[:, None, None]
    return -(ink * dx * dy).sum((1, 2)) / np.maximum((ink * dy * dy).sum((1, 2)), 1e-12)


def stroke(grey: np.ndarray) -> np.ndarray:
    """Width of strokes in pixels: twice the ink over the length of its edge (total variation)."""
    ink = np.clip(grey - grey.min((1, 2), keepdims=True), 0, None)
    padded = np.pad(ink, ((0, 0), (1, 1), (1, 1)))
    down, across = np.diff(padded, axis=1)[:, :, :-1], np.diff(padded, axis=2)[:, :-1]
    return 2 * ink.sum((1, 2)) / np.maximum(np.hypot(down, across).sum((1, 2)), 1e-12)


def dominant_hue(pixels: np.ndarray) -> np.ndarray:
    """Which third of the colour circle (N,) holds most of the saturation of (N, 3, H, W); see `HUES`."""
    x = np.clip(np.asarray(pixels, np.float64), 0, 1)
    r, g, b = x[:, 0], x[:, 1], x[:, 2]
    # The angle on the circle of hues: 0 red, 120 degrees green, 240 blue.
    angle = np.degrees(np.arctan2(np.sqrt(3) * (g - b), 2 * r - g - b)) % 360
    weight = x.max(1) - x.min(1)
    third = ((angle + 60) % 360 // 120).astype(int)  # red to yellow: 300 to 60 degrees
    sums = np.stack([(weight * (third == i)).sum((1, 2)) for i in range(3)])
    return sums.argmax(0)


# --- a table of the user's ------------------------------------------------------------------------


def with_hash(text: str) -> str:
    """A path with the hash of its file's content, as "labels.csv#0123456789abcdef"; "" and done ones stay.

    `DataError` if there is no such file or it is too large.
    """
    path, mark, code = text.rpartition(MARK)
    if not text or (mark and len(code) == 16 and set(code) <= set("0123456789abcdef") and path):
        return text
    return f"{text}{MARK}{_hash(_content(text))}"


def read_table(text: str, tests: int, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Attributes (N,) of the `tests` test images from the table that `with_hash` named.

    The first line names the columns: `index`, the number of a test image from 0, then attributes. Values are
    0 and 1, or numbers that are cut at the median of the class (`labels`); an empty cell is unknown.
    `DataError` says in a sentence what is wrong, without quoting the file.
    """
    path, _, code = text.rpartition(MARK)
    content = _content(path)
    if _hash(content) != code:
        raise DataError(f"{Path(path).name} has changed since it was chosen: choose it again.")
    name = Path(path).name
    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    except (UnicodeDecodeError, csv.Error):
        raise DataError(f"{name} is not a table of comma-separated text in UTF-8.") from None
    head = [cell.strip() for cell in rows[0]] if rows else []
    names = head[1:]
    if not names or head[0] != "index" or len(names) > MAX_COLUMNS:
        allowed = f"index and 1 to {MAX_COLUMNS} attributes"
        raise DataError(f"{name} needs a first line with the columns {allowed}.")
    if len(set(names)) < len(names) or any(not 1 <= len(n) <= MAX_NAME for n in names):
        raise DataError(
            f"The columns of {name} need different names of 1 to {MAX_NAME} characters."
        )
    values = np.full((tests, len(names)), np.nan)
    seen = np.zeros(tests, bool)
    for number, row in enumerate(rows[1:], 2):
        if not any(cell.strip() for cell in row):
            continue
        index, cells = _parsed(row, len(head), name, number)
        if not 0 <= index < tests or seen[index]:
            allowed = f"a new test image, numbered 0 to {tests - 1}"
            raise DataError(f"Line {number} of {name} is not about {allowed}.")
        seen[index], values[index] = True, cells
    found = {}
    for column, own in zip(names, values.T):
        known = own[np.isfinite(own)]
        binary = bool(np.isin(known, (0, 1)).all())
        found[column] = own.astype(np.float32) if binary else above_median(own, labels)
    return found


def _parsed(row: list[str], columns: int, name: str, number: int) -> tuple[int, list[float]]:
    try:
        if len(row) != columns:
            raise ValueError
        cells = [float(cell) if cell.strip() else np.nan for cell in row[1:]]
        if np.isinf(cells).any():
            raise ValueError
        return int(row[0]), cells
    except ValueError:
        expected = f"{columns} cells: a whole number, then numbers"
        raise DataError(f"Line {number} of {name} is not right: expected {expected}.") from None


def _content(path: str) -> bytes:
    file = paths.typed(path)
    if file.suffix.lower() != ".csv" or not file.is_file():
        raise DataError(f"There is no table {file.name}: expected the path of a .csv file.")
    try:
        if file.stat().st_size > MAX_BYTES:
            raise DataError(f"{file.name} is larger than {MAX_BYTES >> 20} MB.")
        return file.read_bytes()
    except OSError:
        raise DataError(f"{file.name} cannot be read.") from None


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
