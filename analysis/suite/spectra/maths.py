"""Radial frequencies of images: where they lie, the power at them, images without a band. No torch here.

Frequencies are in cycles per image, along its shorter side; a channel's mean is frequency 0 and in no band.
"""

from __future__ import annotations

import numpy as np

from analysis.suite.spectra.result import SpectraResult

TRAIN, TEST, BOTH = "train", "test", "both"  # where a band is removed


def radii(sides: tuple[int, int]) -> np.ndarray:
    """Radial frequency (H, W) of every entry of an image's discrete Fourier transform."""
    height, width = sides
    rows, columns = (np.rint(np.fft.fftfreq(side) * side) for side in sides)
    least = min(sides)
    return np.hypot(rows[:, None] * (least / height), columns * (least / width))


def edges(sides: tuple[int, int], count: int) -> np.ndarray:
    """Where bands begin and end (count + 1,): of equal width up to the highest frequency along a side.

    The last band also holds what lies above, along the diagonals.
    """
    return np.linspace(0, min(sides) / 2, count + 1)


def places(sides: tuple[int, int], count: int) -> np.ndarray:
    """The band (H, W) of every entry, from 0 on; -1 is the mean. A band has its upper edge."""
    found = radii(sides)
    bands = np.searchsorted(edges(sides, count)[1:-1], found, side="left")
    return np.where(found == 0, -1, bands)


def rings(sides: tuple[int, int]) -> np.ndarray:
    """The ring (H, W) of every entry: its radial frequency as a whole number; only the mean is in ring 0."""
    found = radii(sides)
    return np.where(found == 0, 0, np.maximum(1, np.rint(found))).astype(int)


def power(pixels: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Power (M, P) of images (M, C, H, W) in the P parts 0, 1, ... that `of` (H, W) sorts entries into.

    Parts together hold the mean square of the pixels (Parseval).
    """
    from scipy import fft

    found = np.abs(fft.fft2(pixels.astype(np.float64), norm="ortho")) ** 2
    each = found.mean(1).reshape(len(found), -1) / of.size
    sorted_into = of.ravel() == np.arange(of.max() + 1)[:, None]
    return each @ sorted_into.T


def without(pixels: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """Images (..., H, W) without the frequencies that `removed` (H, W) marks, in their own precision."""
    from scipy import fft

    return fft.ifft2(np.where(removed, 0, fft.fft2(pixels))).real.astype(pixels.dtype)


def losses(result: SpectraResult) -> dict[str, dict[str, np.ndarray]]:
    """Points of test accuracy (bands, nets) lost without each band, by source and where it is removed.

    Each network is paired with the one of the same number that lacks nothing.
    """
    found = {}
    for key, accuracy in result.found.accuracies.items():  # (1 + bands, 1 + bands, nets)
        lost = 100 * (accuracy[:1, :1] - accuracy)
        both = np.diagonal(lost).T[1:]
        found[key] = {TRAIN: lost[1:, 0], TEST: lost[0, 1:], BOTH: both}
    return found
