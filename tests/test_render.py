"""Rendering: decoded bytes against the array, layout, modes."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ddcore.base.errors import SpecError
from ddcore.sets import render

MAT = 128


def decode(content):
    image = Image.open(io.BytesIO(content))
    assert image.format == "PNG"
    return np.asarray(image)


def pixels(shape, seed=0):
    return np.random.default_rng(seed).uniform(-0.3, 1.3, shape).astype(np.float32)


def test_eight_bit_values_survive():
    exact = np.arange(256, dtype=np.float32).reshape(1, 16, 16) / 255
    assert np.array_equal(render.to_uint8(exact).ravel(), np.arange(256))


def test_clip_rounds_and_clamps():
    x = np.array([-1, -0.001, 0, 0.4999 / 255, 0.501 / 255, 0.5, 1, 7, np.inf, np.nan])
    expected = [0, 0, 0, 0, 1, 128, 255, 255, 0, 0]
    assert render.to_uint8(x.reshape(1, 1, -1)).ravel().tolist() == expected


def test_stretching_is_per_image():
    x = np.stack([np.linspace(-3, 5, 12), np.linspace(0.4, 0.41, 12)]).reshape(2, 3, 2, 2)
    out = render.to_uint8(x, "minmax")
    assert out.min((1, 2, 3)).tolist() == [0, 0] and out.max((1, 2, 3)).tolist() == [255, 255]
    x = np.random.default_rng(0).normal(7, 3, (1, 1, 40, 40))
    z = (x - x.mean()) / x.std()
    expected = np.clip(0.5 + z / 5, 0, 1) * 255
    assert np.abs(render.to_uint8(x, "sigma") - expected).max() <= 0.51
    assert render.to_uint8(np.full((1, 1, 2, 2), 9.0), "minmax").ravel().tolist() == [128] * 4


def test_unknown_mode():
    with pytest.raises(SpecError, match="minmax"):
        render.to_uint8(np.zeros((1, 1, 1)), "auto")


@pytest.mark.parametrize("channels", [1, 3])
def test_png_repeats_pixels(channels):
    x = pixels((channels, 3, 5))
    found = decode(render.png(x, 4))
    expected = np.moveaxis(render.to_uint8(x), 0, -1).repeat(4, 0).repeat(4, 1)
    assert np.array_equal(found, expected[..., 0] if channels == 1 else expected)


@pytest.mark.parametrize("channels", [2, 4])
def test_other_channel_counts_show_their_mean(channels):
    x = pixels((channels, 3, 3))
    expected = np.rint(render.to_uint8(x).mean(0))
    assert np.array_equal(decode(render.png(x)), expected)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 3),
    st.integers(1, 4),
    st.sampled_from([1, 3]),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(0, 2),
    st.integers(0, 100),
)
def test_sheet_against_its_layout(rows, columns, channels, h, w, scale, gap, seed):
    count = 1 + seed % (rows * columns)
    x = pixels((count, channels, h, w), seed)
    found = decode(render.sheet(x, rows, columns, scale, gap=gap)).reshape(
        rows * (h * scale + gap) + gap, columns * (w * scale + gap) + gap, channels
    )
    plan = render.layout(rows, columns, h, w, scale, gap)
    assert found.shape[:2] == (plan.height, plan.width)
    expected = np.full_like(found, MAT)
    eight = render.to_uint8(x)
    for i in range(count):
        left, top, right, bottom = plan.boxes[i]
        for y in range(top, bottom):
            for z in range(left, right):
                expected[y, z] = eight[i, :, (y - top) // scale, (z - left) // scale]
                assert plan.at(z, y) == i
    assert np.array_equal(found, expected)


def test_places_mat_and_determinism():
    x = pixels((2, 1, 2, 2))
    content = render.sheet(x, 2, 2, 1, mat=(10, 20, 30), places=np.array([3, 0]))
    assert content == render.sheet(x, 2, 2, 1, mat=(10, 20, 30), places=np.array([3, 0]))
    found, eight = decode(content), render.to_uint8(x)
    assert found.shape == (7, 7, 3)
    assert np.array_equal(found[4:6, 4:6, 0], eight[0, 0])
    assert np.array_equal(found[1:3, 1:3, 2], eight[1, 0])
    assert found[1, 4].tolist() == [10, 20, 30]


def test_layout_finds_cells_and_gaps():
    plan = render.layout(2, 3, 8, 8, scale=2, gap=3)
    assert (plan.height, plan.width) == (41, 60)
    assert plan.boxes[4] == (22, 22, 38, 38)
    assert plan.at(22, 37.5) == 4
    assert plan.at(21.9, 30) is None and plan.at(38, 30) is None and plan.at(-1, 500) is None


@pytest.mark.parametrize(
    "arguments", [(0, 1, 1), (1, 0, 1), (1, 1, 0), (1, 1, 1, -1), (1, 1, 10_000)]
)
def test_impossible_layouts(arguments):
    rows, columns, scale, *gap = arguments
    with pytest.raises(SpecError):
        render.layout(rows, columns, 8, 8, scale, *gap)
    with pytest.raises(SpecError):
        render.sheet(pixels((5, 1, 8, 8)), 2, 2)


def test_fitting_scale():
    assert render.fitting_scale(10, 8, 700) == 8
    assert render.layout(1, 10, 8, 8, 8).width <= 700 < render.layout(1, 10, 8, 8, 9).width
    assert render.fitting_scale(100, 32, 50) == 1
