"""Coloured digits: colours as often right as stated in training, and telling nothing in testing."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
from scipy.stats import binom, chisquare

from ddcore.data.registry import get

SOURCE = get("coloured_digits")
GREY = get("digits").read(None)


@pytest.fixture(scope="module")
def raw():
    return SOURCE.read(None)


def hues(images: np.ndarray) -> np.ndarray:
    """The class of the nearest hue (N,) of each picture's brightest pixel, by the standard library."""
    flat = images.transpose(0, 2, 3, 1).reshape(len(images), -1, 3)
    brightest = flat[np.arange(len(flat)), flat.sum(-1).argmax(1)] / 255
    return np.array([round(10 * colorsys.rgb_to_hsv(*pixel)[0]) % 10 for pixel in brightest])


def test_the_rule_reads_the_hue_that_is_there(raw):
    for images in (raw.train_images, raw.test_images):
        np.testing.assert_array_equal(SOURCE.cue.of(images), hues(images))
    dark = (raw.test_images // 4).astype(np.uint8)  # a fourth of the brightness, and coarser
    np.testing.assert_array_equal(SOURCE.cue.of(dark), hues(raw.test_images))


def test_training_colours_are_right_as_often_as_stated(raw):
    colours, labels = hues(raw.train_images), raw.train_labels
    n, share = len(labels), SOURCE.cue.correlation
    low, high = binom.ppf([0.005, 0.995], n, share)
    assert low <= (colours == labels).sum() <= high
    assert f"{100 * share:.0f} %" in SOURCE.about
    away = (colours - labels)[colours != labels] % 10
    assert chisquare(np.bincount(away, minlength=10)[1:]).pvalue > 0.01, "any of the others"


def test_test_colours_tell_nothing(raw):
    """Exactly: each class stands there as often in each colour, with the same shapes."""
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (raw.test_labels, hues(raw.test_images)), 1)
    assert (counts == np.bincount(GREY.test_labels)[:, None]).all()


def test_shapes_and_classes_are_those_of_the_digits(raw):
    """The largest channel of a saturated colour is the grey level."""
    np.testing.assert_array_equal(raw.train_images.max(1, keepdims=True), GREY.train_images)
    np.testing.assert_array_equal(raw.train_labels, GREY.train_labels)
    shapes = raw.test_images.max(1, keepdims=True).reshape(500, 10, 1, 8, 8)
    np.testing.assert_array_equal(shapes, np.repeat(GREY.test_images[:, None], 10, axis=1))
    np.testing.assert_array_equal(raw.test_labels.reshape(500, 10)[:, 3], GREY.test_labels)


def test_it_is_the_same_every_time(raw):
    again = SOURCE.read(None)
    np.testing.assert_array_equal(again.train_images, raw.train_images)
    np.testing.assert_array_equal(again.test_images, raw.test_images)


def test_other_data_have_no_such_rule():
    assert get("digits").cue is None and get("cifar10").cue is None
