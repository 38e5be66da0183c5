"""What the numbers of a set are: pixels on some scale, or preprocessed; how to tell, and how to undo it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ddcore.data.preprocess import Preprocess

SCALES = {
    "normalised": "Normalised with a mean and a standard deviation",
    "unit": "Pixels from 0 to 1",
    "byte": "Pixels from 0 to 255",
    "signed": "Pixels from -1 to 1",
    "zca": "ZCA-whitened",
    "own": "As its file says",
}
BLOCK = 2_000_000  # numbers at a time, 8 MB as float32
SLACK = 0.5 / 255  # what an 8-bit display cannot show
# Measured on CIFAR-10 whitened with eps 0.1: standard deviation 0.25, neighbours 0.62; normalised
# photographs have 1.2 and 0.9, means of many images less but with neighbours near 1.
WHITE_STD, WHITE_NEIGHBOURS = 0.7, 0.8


@dataclass(frozen=True)
class Values:
    """Figures of all numbers of a set as stored. `neighbours`: correlation of adjacent pixels."""

    low: float
    high: float
    mean: float
    std: float
    outside: float  # share outside 0..1 by more than rounding
    whole: bool  # whether all are whole numbers
    neighbours: float
    channels: int

    def sentence(self) -> str:
        """The evidence in one sentence."""
        return (
            f"Values from {self.low:.3g} to {self.high:.3g}, mean {self.mean:.3g}, standard deviation "
            f"{self.std:.3g}; {100 * self.outside:.2g} % lie outside 0..1."
        )


@dataclass(frozen=True)
class Guess:
    """The scale that fits the numbers best, and why in one sentence."""

    scale: str
    why: str


def blocks(images: np.ndarray) -> Iterator[np.ndarray]:
    """The images (M, C, H, W), a few at a time, so that sums over them need little memory."""
    step = max(1, BLOCK // max(1, math.prod(images.shape[1:])))
    for start in range(0, len(images), step):
        yield images[start : start + step]


def measure(images: np.ndarray) -> Values:
    """Figures of images (M, C, H, W) of any real type, a part at a time."""
    count, total, squares, outside, power, beside = images.size, 0.0, 0.0, 0, 0.0, 0.0
    low, high, whole = np.inf, -np.inf, True
    for block in blocks(images):
        x = block.astype(np.float32)
        low, high = min(low, float(x.min())), max(high, float(x.max()))
        total += float(x.sum(dtype=np.float64))
        squares += float(np.square(x, dtype=np.float64).sum())
        outside += int(((x < -SLACK) | (x > 1 + SLACK)).sum())
        whole = whole and bool((x == np.rint(x)).all())
        x -= x.mean((2, 3), keepdims=True)
        power += float(np.square(x).mean(dtype=np.float64)) * len(x)
        beside += float((x[..., 1:] * x[..., :-1]).mean(dtype=np.float64)) * len(x)
    mean = total / count
    return Values(
        low=low,
        high=high,
        mean=mean,
        std=max(0.0, squares / count - mean**2) ** 0.5,
        outside=outside / count,
        whole=whole,
        neighbours=beside / power if power else 0.0,
        channels=images.shape[1],
    )


def guess(v: Values, expected: str = "") -> Guess:
    """The scale by the values alone, or the `expected` one of the layout unless they contradict it."""
    found = _by_values(v)
    if not expected or found.scale == expected:
        return found
    if _possible(v, expected):
        return Guess(expected, "This layout always holds such values, and these agree with it.")
    usual = phrase(expected)
    return Guess(found.scale, f"{found.why} This layout usually holds other values ({usual}).")


def phrase(scale: str) -> str:
    """A scale's name for the middle of a sentence."""
    name = SCALES[scale]
    return name if name[:2].isupper() else name[:1].lower() + name[1:]


def _by_values(v: Values) -> Guess:
    pixels = v.low >= 0 and v.high > 1 and v.whole
    if pixels or (v.low > -v.high / 4 and v.high > 20 and v.mean > 1):
        return Guess(
            "byte", "Few or none are negative and the largest are far above 1, as 8-bit pixels are."
        )
    if v.low >= -SLACK and v.outside < 0.02:
        return Guess("unit", "They lie between 0 and 1, as pixels do.")
    if v.low >= -1.01 and v.high <= 1.01 and v.low < -0.9 and v.high > 0.9:
        return Guess("signed", "They fill the range from -1 to 1.")
    if v.mean > 0.1 and v.std < 0.6 and v.low > -1.5:
        return Guess("unit", "Their mean and spread are those of pixels; some have left 0..1.")
    white = v.std < WHITE_STD and v.neighbours < WHITE_NEIGHBOURS and abs(v.mean) < 0.1
    if v.channels == 3 and white:
        return Guess(
            "zca",
            f"Many are negative, their spread is small and neighbouring pixels differ more than those "
            f"of photographs do (correlation {v.neighbours:.2f}), as after ZCA whitening.",
        )
    return Guess("normalised", "Many are negative and the spread is near 1, as after normalising.")


def _possible(v: Values, scale: str) -> bool:
    if scale == "normalised":
        return v.low < -0.05 and not v.whole
    if scale == "unit":
        return v.low > -1.5 and v.high < 2.5 and v.mean > 0
    return scale == "own"


def to_pixels(
    images: np.ndarray, scale: str, mean: np.ndarray | None, std: np.ndarray | None
) -> np.ndarray | None:
    """Float32 pixels, 0..1 for real images; None where that takes constants that are not given."""
    x = images.astype(np.float32, copy=False)
    if scale == "unit":
        return x
    if scale == "byte":
        return x / 255
    if scale == "signed":
        return (x + 1) / 2
    if scale == "normalised" and mean is not None and std is not None:
        return x * _channels(std) + _channels(mean)
    return None


def to_preprocessed(
    images: np.ndarray,
    scale: str,
    constants: tuple[np.ndarray, np.ndarray] | None,
    preprocess: Preprocess,
) -> np.ndarray:
    """What networks see (float32), in the terms of `preprocess`.

    Numbers that are in these terms already stay bit for bit. `constants` are another mean and
    standard deviation that the images were normalised with.
    """
    if scale == "zca" or (scale == "normalised" and constants is None):
        return images.astype(np.float32)
    mean, std = constants or (None, None)
    return preprocess.forward(to_pixels(images, scale, mean, std))


def _channels(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, np.float32)[:, None, None]
