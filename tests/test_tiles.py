"""Tiles: what is decoded, how many, where pictures start, the range of pixels."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.data import resolve
from ddcore.data.preprocess import Preprocess
from ddcore.distil.parametrizations._tiles import Tiles, join
from ddcore.distil.parametrizations.tiles import TileKnobs, cuts, per_class
from ddcore.distil.problem import Problem
from ddcore.distil.settings import make_spec
from ddcore.sets.tiling import split

PLAIN = Preprocess(mean=np.full(2, 0.25, np.float32), std=np.full(2, 0.5, np.float32))


def pictures(count, height, width, seed=0):
    return torch.randn(count, 2, height, width, generator=rng.generator(seed))


def tiles(start, groups, found, **changes):
    count = groups * sum(f * f * (p.stop - p.start) for f, p in found)
    labels = torch.arange(groups).repeat_interleave(count // groups)
    return Tiles(start.clone(), groups, found, labels, PLAIN, **{"clamp": False, **changes})


def test_a_picture_is_cut_row_by_row_and_each_tile_enlarged():
    stored = pictures(3, 8, 6)
    got = split(stored, 2, torch.zeros(2, 1, 1)).unflatten(0, (3, 4))
    for i in range(2):
        for j in range(2):
            tile = stored[:, :, 4 * i : 4 * i + 4, 3 * j : 3 * j + 3]
            truth = F.interpolate(tile, (8, 6), mode="bilinear", align_corners=False)
            assert torch.equal(got[:, 2 * i + j], truth)
    assert split(stored, 1, torch.zeros(2, 1, 1)) is stored


def test_odd_sides_are_filled_up_with_grey():
    stored = pictures(1, 7, 7)
    grey = torch.tensor([0.5, -2.0])[:, None, None]
    filled = grey.expand(1, 2, 9, 9).clone()
    filled[:, :, :7, :7] = stored
    got = split(stored, 3, grey)
    assert got.shape == (9, 2, 7, 7)
    truth = F.interpolate(filled[:, :, 6:, 3:6], (7, 7), mode="bilinear", align_corners=False)
    assert torch.allclose(got[7], truth[0], atol=1e-6)
    made = tiles(stored, 1, [(3, slice(0, 1))])
    assert torch.allclose(made.grey, torch.full((2, 1, 1), 0.5))  # (0.5 - 0.25) / 0.5
    assert torch.allclose(made.decode(), split(stored, 3, made.grey))


def test_images_of_a_group_follow_each_other_in_every_mode():
    stored = pictures(6, 4, 4)  # two groups of three
    zero = torch.zeros(2, 1, 1)
    multi = tiles(stored, 2, cuts(TileKnobs(mode="multi"), 3)).decode()
    one, other = multi.chunk(2)
    assert torch.equal(one, torch.cat([stored[:3], split(stored[:3], 2, zero)]))
    assert torch.equal(other, torch.cat([stored[3:], split(stored[3:], 2, zero)]))
    bound = tiles(stored, 2, cuts(TileKnobs(mode="bound", most=8), 3)).decode()
    first = torch.cat([split(stored[:1], 2, zero), stored[1:3]])
    assert torch.equal(bound[:6], first)


def test_bound_uses_every_picture_once_and_no_more_images_than_allowed():
    for size in itertools.product([1, 3, 10, 50], [1, 2, 3], [50, 64, 128, 1000]):
        count, factor, most = size
        found = cuts(TileKnobs(mode="bound", factor=factor, most=most), count)
        assert [i for _, p in found for i in range(p.start, p.stop)] == list(range(count)), size
        used = sum(f * f * (p.stop - p.start) for f, p in found)
        assert used <= most, size
        whole = sum(p.stop - p.start for f, p in found if f == 1)
        assert factor == 1 or not whole or most - used < 3, size  # no room for one more cut by two


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({}, 40),
        ({"factor": "3"}, 90),
        ({"mode": "multi"}, 50),
        ({"mode": "multi", "factor": "3"}, 140),
        ({"mode": "bound", "most": "16"}, 16),
        ({"factor": "1"}, 10),
    ],
)
def test_how_many_images_a_network_sees(settings, count):
    spec = make_spec(
        "dm",
        resolve("digits"),
        (1, 8, 8),
        ipc=10,
        settings=[("parametrization", "tiles"), *settings.items()],
    )
    assert per_class(spec, (1, 8, 8), 10) == spec.images_per_class((1, 8, 8), 10) == count


def problem(method="dm", ipc=2, **settings):
    """On made-up images that are constant, each in its own grey: tiles show where they come from."""
    images = torch.arange(1.0, 201).view(-1, 1, 1, 1).expand(-1, 2, 7, 8).contiguous()
    data = SimpleNamespace(
        shape=(2, 7, 8),
        num_classes=2,
        device=torch.device("cpu"),
        class_indices=torch.arange(200).split(100),
        batch=lambda index: images[index],
        preprocessing=PLAIN,
    )
    settings = {"parametrization": "tiles", "init": "real", **settings}
    spec = make_spec(
        method,
        resolve("digits"),
        (1, 8, 8),
        ipc=ipc,
        settings=[(k, str(v)) for k, v in settings.items()],
    )
    return Problem(spec, data, "cpu")


@pytest.mark.parametrize("mode", ["single", "multi", "bound"])
def test_every_finest_tile_starts_from_an_image_of_its_own_class(mode):
    made = problem(mode=mode, most=5).synthetic()
    images = made.leaves()[0]
    by_class = [images[made.classes == c] for c in range(2)]
    for c, rows in enumerate(by_class):
        centres = rows[:, 0, 3, 2].detach()
        assert ((centres > 100 * c) & (centres <= 100 * c + 100)).all()
    finest = {"single": slice(0, 8), "multi": slice(2, 10), "bound": slice(0, 5)}[mode]
    seen = by_class[0][finest, 0, 0, 0].unique()
    assert len(seen) == {"single": 8, "multi": 8, "bound": 5}[mode]  # all different


def test_joined_tiles_decode_to_what_they_were_made_of():
    """Up to what is lost by reducing: nothing of images that are constant in every tile's pixel."""
    small = pictures(8, 4, 4)
    flat = small.mean((2, 3), keepdim=True).expand(-1, -1, 4, 4)
    found = cuts(TileKnobs(), 2)
    made = tiles(join(flat, 1, found), 1, found)
    assert torch.allclose(made.decode(), flat, atol=1e-6)


def test_noise_starts_as_noise_and_labels_are_step_major():
    made = problem(init="noise", ipc=50).synthetic()
    stored = made.tensors()["images"]
    assert stored.shape == (100, 2, 7, 8)
    assert 0.9 < stored.std() < 1.1  # not averaged
    steps = problem("dd2018", ipc=4, steps=2, setting="unknown").synthetic()
    assert steps.classes.tolist() == ([0] * 8 + [1] * 8) * 2
    stored = steps.tensors()["images"]
    images = steps.leaves()[0]
    for k in range(2):  # images of step k come from its own pictures only
        (g,) = torch.autograd.grad(images.chunk(2)[k].sum(), stored, retain_graph=True)
        assert (g.flatten(1).abs().sum(1) > 0).tolist() == [k == 0] * 4 + [k == 1] * 4


def test_clamping_keeps_pictures_within_real_pixels():
    made = tiles(4 * pictures(2, 4, 4), 1, [(2, slice(0, 2))], clamp=True)
    before = made.images.detach().clone()
    made.project()
    pixels = PLAIN.inverse(made.images.detach())
    assert pixels.min() >= -1e-6 and pixels.max() <= 1 + 1e-6
    inside = (PLAIN.inverse(before) >= 0) & (PLAIN.inverse(before) <= 1)
    assert torch.equal(made.images.detach()[inside], before[inside])
    free = tiles(4 * pictures(2, 4, 4), 1, [(2, slice(0, 2))])
    free.project()
    assert torch.equal(free.images.detach(), before)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"mode": "bound", "most": 1}, "most = 1"),
        ({"clamp": True, "data.preprocess": "zca"}, "clamp = True"),
        ({"mode": "double"}, "one of single, multi, bound"),
        ({"factor": 0}, "factor = 0"),
    ],
)
def test_what_cannot_be_is_refused(settings, words):
    with pytest.raises(SpecError, match=words):
        problem(**settings)
