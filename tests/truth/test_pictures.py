"""Augmentation operations and nearest neighbours against loops over pixels and pairs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analysis.shared import embedding
from analysis.single.nearest import flat, nearest
from ddcore.training import augment
from tests.truth import files, pictures, streams

COUNT, SIDE = 24, 8


@pytest.fixture(scope="module")
def images():
    draw = streams.of_torch(0, "pictures")
    return torch.randn(COUNT, 3, SIDE, SIDE, generator=draw, dtype=torch.float64)


def sides(images, strategy):
    """A draw's entries as plain numbers beside images before and after."""
    draw = augment.sample(strategy, COUNT, streams.of_torch(1, strategy))
    after = augment.apply(images, draw)
    return draw, images.numpy(), after.numpy()


def test_colour(images):
    draw, before, after = sides(images, "color")
    for x, y, given in zip(before, after, draw.colour.tolist()):
        assert y == pytest.approx(pictures.colour(x, *given), abs=1e-12)
    low, high = draw.colour.min(0).values, draw.colour.max(0).values
    assert (low >= torch.tensor([-0.5, 0, 0.5])).all() and (
        high <= torch.tensor([0.5, 2, 1.5])
    ).all()


def test_crop_moves_by_at_most_an_eighth(images):
    _, before, after = sides(images, "crop")
    reach = range(-1, 2)  # of 8 pixels
    seen = set()
    for x, y in zip(before, after):
        fit = [(d, r) for d in reach for r in reach if np.array_equal(pictures.moved(x, d, r), y)]
        assert len(fit) == 1
        seen |= set(fit)
    assert len(seen) > 5


def test_cutout_clears_half_a_side(images):
    _, before, after = sides(images, "cutout")
    for x, y in zip(before, after):
        gone = (y == 0).all(0)
        rows, columns = gone.any(1), gone.any(0)
        assert np.array_equal(gone, np.outer(rows, columns))
        assert 1 <= rows.sum() <= SIDE // 2 and 1 <= columns.sum() <= SIDE // 2
        assert np.array_equal(x[:, ~gone], y[:, ~gone])


def test_flip_mirrors_about_half(images):
    _, before, after = sides(images, "flip")
    mirrored = [np.array_equal(y, x[:, :, ::-1]) for x, y in zip(before, after)]
    still = [np.array_equal(y, x) for x, y in zip(before, after)]
    assert all(a != b for a, b in zip(mirrored, still))
    assert 4 <= sum(mirrored) <= 20


def test_scale_between_four_pixels(images):
    draw, before, after = sides(images, "scale")
    for x, y, stretch in zip(before, after, draw.stretch.numpy()):
        assert y == pytest.approx(pictures.warped(x, np.diag(stretch)), abs=1e-10)
    assert (draw.stretch >= 1 / 1.2).all() and (draw.stretch <= 1.2).all()


@pytest.mark.parametrize(("strategy", "most"), [("rotate", 15), ("rotate45", 45)])
def test_rotation_between_four_pixels(images, strategy, most):
    draw, before, after = sides(images, strategy)
    for x, y, angle in zip(before, after, draw.angle.tolist()):
        turned = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        assert y == pytest.approx(pictures.warped(x, turned), abs=1e-10)
    assert draw.angle.abs().max() <= np.deg2rad(most)


@pytest.mark.parametrize("seed", range(3))
def test_neighbours_of_the_feature_map_by_brute_force(seed):
    draw = np.random.default_rng(seed)
    real, points = draw.standard_normal((60, 7)), draw.standard_normal((9, 7))
    rows, _ = pictures.nearest(points, real, 5)
    assert np.array_equal(embedding.neighbours(real, 5, points), rows)
    own, _ = pictures.nearest(real, real, 6)
    assert np.array_equal(embedding.neighbours(real, 5), own[:, 1:])


def test_nearest_real_images_of_a_shipped_result(real):
    """Pixels: rows, distances and the distance in units of held-out images."""
    folder = files.on_digits("neighbours")
    asked, stored = files.spec(folder), files.arrays(folder)
    train, held = real.train.levels / 255, real.val.levels / 255
    assert len(held) <= asked["held_out"]
    _, apart = pictures.nearest(held, train, 1)
    yard = np.median(apart[:, 0])
    for key in asked["run_keys"]:
        (run,) = (f for f in files.shipped("distill") if f.name == key)
        made = files.arrays(run, "set")
        pixels = made["images"] * made["preprocess.std"][0] + made["preprocess.mean"][0]
        rows, apart = pictures.nearest(pixels.astype(float), train, asked["neighbours"])
        assert stored[f"pixels.distances.{key}"] == pytest.approx(apart, rel=1e-5)
        assert (stored[f"pixels.rows.{key}"] == rows).mean() > 0.99  # rounding may swap equals
        assert stored[f"pixels.relative.{key}"][0] == pytest.approx(apart[:, 0] / yard, rel=1e-5)


def test_nearest_has_no_rounding_of_its_own():
    draw = np.random.default_rng(0)
    real = draw.integers(256, size=(50, 1, 4, 4)).astype(np.uint8)
    queries = np.concatenate([flat(real[:5]), draw.random((5, 16))])
    rows, apart = pictures.nearest(queries, real.reshape(50, 16) / 255, 3)
    found = nearest(queries, real, 3)
    assert np.array_equal(found[0], rows) and found[1] == pytest.approx(apart, abs=1e-12)
    assert (found[1][:5, 0] == 0).all()
