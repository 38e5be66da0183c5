"""The bundled digits in ten colours that tell most training classes, and nothing of test ones."""

from __future__ import annotations

import colorsys
from pathlib import Path

import numpy as np

from ddcore.base import rng
from ddcore.data.sources import digits
from ddcore.data.sources._raw import RawData
from ddcore.data.sources._source import Cue, Source

CORRELATION = 0.9
COLOURS = len(digits.CLASSES)
# RGB (colours, 3): the colour of class i; hues all round, so that ink tells them apart at any brightness.
PALETTE = np.array([colorsys.hsv_to_rgb(i / COLOURS, 1, 1) for i in range(COLOURS)])


def read(root: Path) -> RawData:
    """A training picture has its class's colour with probability 0.9, else one of the others.

    Every test picture stands there once in each colour: none of them tells anything of the class, and
    pictures whose colours agree with their class have the same shapes as those whose colours do not.
    """
    raw = digits.read(root)
    drawn = rng.numpy_generator(0, "coloured_digits", "train")
    others = drawn.random(len(raw.train_labels)) >= CORRELATION
    away = drawn.integers(1, COLOURS, len(others))
    colours = (raw.train_labels + others * away) % COLOURS
    each = np.tile(np.arange(COLOURS), len(raw.test_labels))
    return RawData(
        painted(raw.train_images, colours),
        raw.train_labels,
        painted(raw.test_images.repeat(COLOURS, axis=0), each),
        raw.test_labels.repeat(COLOURS),
        digits.CLASSES,
    )


def painted(grey: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Grey uint8 pictures (N, 1, H, W) with ink of the classes' colours (N,): uint8 (N, 3, H, W)."""
    return np.rint(grey * PALETTE[colours][:, :, None, None]).astype(np.uint8)


def pointed_at(images: np.ndarray) -> np.ndarray:
    """The class (N,) whose colour makes the smallest angle with the mean colour of uint8 (N, 3, H, W).

    Black adds nothing to the mean, so it is that of the ink.
    """
    mean = images.mean((2, 3), dtype=np.float64)
    return (mean @ (PALETTE / np.linalg.norm(PALETTE, axis=1, keepdims=True)).T).argmax(1)


SOURCE = Source(
    name="coloured_digits",
    title="Coloured digits",
    classes=digits.CLASSES,
    shape=(3, 8, 8),
    train_size=digits.SOURCE.train_size,
    test_size=digits.TEST_SIZE * COLOURS,
    flips=False,
    about="The bundled digits, each class with a colour that 90 % of its training pictures have; the others "
    "have that of another class. Each of the 500 test pictures comes in all ten colours.",
    read=read,
    cue=Cue("colour", CORRELATION, pointed_at),
)
