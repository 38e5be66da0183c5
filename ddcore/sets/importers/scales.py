"""What the numbers of a set are: pixels on some scale, or preprocessed; how to tell, and how to undo it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ddcore.base.texts import percent
from ddcore.data.preprocess import Preprocess

SCALES = {
    "normalised": "Normalised with a mean and a standard deviation",
    "unit": "Pixels from 0 to 1",
    "byte": "Pixels from 0 to 255",
    "signed": "Pixels from -1 to 1",
    "zca": "ZCA-whitened",
    "zca-regularised": "ZCA-whitened after normalising, as KIP and RFAD do",
    "own": "As its file says",
}
BLOCK = 2_000_000  # numbers at a time, 8 MB as float32
SLACK = 0.5 / 255  # what an 8-bit display cannot show
WHITENED = ("zca", "zca-regularised")
REGULARISED = 0.1  # of the mean variance is added to all (Lee et al. 2020, Nguyen et al. 2021)
# Measured on CIFAR-10 whitened with eps 0.1: standard deviation 0.25, neighbours 0.62; normalised
# photographs have 1.2 and 0.9, means of many images less but with neighbours near 1.
WHITE_STD, WHITE_NEIGHBOURS = 0.7, 0.8
# Whitened the other way, CIFAR-10 has 0.44 and 0.39, and the sets that RFAD's authors published 0.75
# to 0.77 and 0.34 to 0.38. Normalised sets made of noise have neighbours near 0 and a spread of 1 or more.
REGULAR_STD, REGULAR_NEIGHBOURS = (0.55, 0.95), (0.2, 0.6)
# Of CIFAR-10's values 0.7 % are 0 and 1.2 % are 255, and 35 % of its images have both.
SATURATED, STRETCHED = 0.05, 0.9


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
    ends: float = 0.0  # share that is exactly black or white, if these are pixels: 0, and 255 or 1
    stretched: float = 0.0  # share of images that have both

    def sentence(self) -> str:
        """The evidence in one sentence."""
        return (
            f"Values from {self.low:.3g} to {self.high:.3g}, mean {self.mean:.3g}, standard deviation "
            f"{self.std:.3g}; {percent(self.outside)} lie outside 0..1."
        )

    def warnings(self) -> list[str]:
        """What is suspicious about pixels; of grey images nothing, since digits are black and white."""
        if self.channels == 1:
            return []
        found = []
        if self.stretched > STRETCHED:
            found.append(
                f"{percent(self.stretched)} of the images reach exactly from black to white: each seems to "
                "have been stretched by itself when the file was written, so that brightness and contrast "
                "are not those that networks were meant to see."
            )
        if self.ends > SATURATED:
            found.append(
                f"{percent(self.ends)} of the values are exactly black or white: what lay beyond seems to "
                "have been cut off when the file was written."
            )
        return found


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
    ends = {1: np.zeros(2), 255: np.zeros(2)}  # by what white is: values, images
    for block in blocks(images):
        x = block.astype(np.float32)
        low, high = min(low, float(x.min())), max(high, float(x.max()))
        total += float(x.sum(dtype=np.float64))
        squares += float(np.square(x, dtype=np.float64).sum())
        outside += int(((x < -SLACK) | (x > 1 + SLACK)).sum())
        whole = whole and bool((x == np.rint(x)).all())
        for white, seen in ends.items():
            black, bright = x == 0, x == white
            both = black.any((1, 2, 3)) & bright.any((1, 2, 3))
            seen += black.sum() + bright.sum(), both.sum()
        x -= x.mean((2, 3), keepdims=True)
        power += float(np.square(x).mean(dtype=np.float64)) * len(x)
        beside += float((x[..., 1:] * x[..., :-1]).mean(dtype=np.float64)) * len(x)
    mean = total / count
    seen = ends[255] if whole and high > 1 else ends[1]
    if low < 0 or high > 255 or (high > 1 and not whole):
        seen = np.zeros(2)  # no pixels that a file had to cut off
    return Values(
        low=low,
        high=high,
        mean=mean,
        std=max(0.0, squares / count - mean**2) ** 0.5,
        outside=outside / count,
        whole=whole,
        neighbours=beside / power if power else 0.0,
        channels=images.shape[1],
        ends=float(seen[0]) / count,
        stretched=float(seen[1]) / len(images),
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
    low, high = REGULAR_STD
    near, far = REGULAR_NEIGHBOURS
    if v.channels == 3 and abs(v.mean) < 0.1 and low < v.std < high and near < v.neighbours < far:
        return Guess(
            "zca-regularised",
            f"Many are negative and neighbouring pixels are much less alike than those of photographs "
            f"(correlation {v.neighbours:.2f}), at a spread of {v.std:.2f}: as after whitening what was "
            "normalised.",
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
    if scale in WHITENED or (
        scale == "normalised" and constants is None and not preprocess.whitens
    ):
        return images.astype(np.float32)
    mean, std = constants or (preprocess.mean, preprocess.std)
    return preprocess.forward(to_pixels(images, scale, mean, std))


def _channels(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, np.float32)[:, None, None]
