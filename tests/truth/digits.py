"""The digits from scikit-learn, split by the stated rule.

Stated are: grey levels 0..16 scaled to 0..255 and rounded; 500 test images, drawn class by class from the
stream "digits/test" of seed 0, as many of each class as its share (largest remainders); of the other 1,297
a rounded tenth of each class for validation, from the stream "validation" of the split's seed. Images are
normalised by mean and standard deviation of all 1,297.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_digits

from tests.truth import streams

CLASSES, TESTS = 10, 500


@dataclass(frozen=True)
class Part:
    """Levels (N, 1, 8, 8) from 0 to 255, what networks see of them in float64, and labels (N,)."""

    levels: np.ndarray
    images: np.ndarray
    labels: np.ndarray

    @property
    def rows(self):
        """(N, 64)."""
        return self.images.reshape(len(self.images), -1)


@dataclass(frozen=True)
class Digits:
    """The three parts, and the scale."""

    train: Part
    val: Part
    test: Part
    mean: float
    std: float


def load(fraction=0.1, split_seed=0):
    """The split for a share of validation images and a split seed."""
    pictures, labels = load_digits(return_X_y=True)
    levels = np.rint(pictures * 255 / 16).reshape(-1, 1, 8, 8)
    test = _drawn(labels, _by_remainder(labels, TESTS), streams.of_numpy(0, "digits", "test"))
    rest, rest_labels = levels[~test], labels[~test]
    shares = np.bincount(rest_labels) * fraction
    val = _drawn(
        rest_labels, np.rint(shares).astype(int), streams.of_numpy(split_seed, "validation")
    )
    mean, std = (rest / 255).mean(), (rest / 255).std()

    def part(pixels, classes):
        return Part(pixels, (pixels / 255 - mean) / std, classes)

    return Digits(
        part(rest[~val], rest_labels[~val]),
        part(rest[val], rest_labels[val]),
        part(levels[test], labels[test]),
        mean,
        std,
    )


def _by_remainder(labels, total):
    exact = np.bincount(labels) * total / len(labels)
    counts = exact.astype(int)
    order = sorted(range(len(exact)), key=lambda c: (counts[c] - exact[c], c))
    for c in order[: total - counts.sum()]:
        counts[c] += 1
    return counts


def _drawn(labels, counts, generator):
    chosen = np.zeros(len(labels), bool)
    for c, count in enumerate(counts):
        chosen[generator.permutation(np.flatnonzero(labels == c))[:count]] = True
    return chosen
