"""Canvases: windows of a torus, their gradients, the budget, the seam."""

import numpy as np
import pytest
import torch

from analysis.single.seam import seam
from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.data import resolve
from ddcore.data.spec import DataSpec
from ddcore.distil.contract import DistillSpec
from ddcore.distil.decoder import View
from ddcore.distil.parametrizations._canvas import Canvases, initial_canvases
from ddcore.distil.settings import make_spec

SHAPE = (1, 8, 8)


def decoder(count=3, crops=2, side=10, channels=2):
    start = torch.randn(count, channels, side, side + 1, generator=rng.generator(1))
    return Canvases(start, torch.arange(count), (4, 5), crops, rng.generator(2))


def rolled(canvas, corner):
    """The paper's way: roll the whole canvas, cut off its corner."""
    return torch.roll(canvas, (-int(corner[0]), -int(corner[1])), (1, 2))[:, :4, :5]


def test_windows_are_corners_of_rolled_canvases():
    made = decoder()
    view = made.draw(None, rng.generator(3))
    windows = made.take(made.decode(), view)
    assert windows.shape == (6, 2, 4, 5)
    assert made.members(view).tolist() == [0, 0, 1, 1, 2, 2]
    for window, canvas, corner in zip(windows, [0, 0, 1, 1, 2, 2], view.offsets):
        assert torch.equal(window, rolled(made.canvas[canvas], corner))


def test_gradient_lands_where_the_windows_were():
    made = decoder()
    view = made.draw(torch.tensor([2, 0]), rng.generator(4))
    weights = torch.randn(4, 2, 4, 5, generator=rng.generator(5))
    ours = torch.autograd.grad((made.take(made.decode(), view) * weights).sum(), made.canvas)[0]
    corners = zip([2, 2, 0, 0], view.offsets)
    truth = torch.stack([rolled(made.canvas[c], corner) for c, corner in corners])
    theirs = torch.autograd.grad((truth * weights).sum(), made.canvas)[0]
    assert torch.allclose(ours, theirs, atol=1e-6)
    assert theirs[1].abs().max() == 0 and theirs[2].abs().max() > 0


def test_every_place_is_drawn_equally_often_whatever_is_asked_for():
    made = decoder(count=1, crops=200)
    corners = made.draw(None, rng.generator(6)).offsets
    assert corners[:, 0].unique().tolist() == list(range(10))
    assert corners[:, 1].unique().tolist() == list(range(11))
    assert torch.equal(made.final().offsets, made.final().offsets)
    again = decoder(count=1, crops=200)
    assert torch.equal(again.final().offsets, made.final().offsets)


def test_a_view_can_be_applied_twice_and_moves_with_its_offsets():
    made = decoder(count=1, crops=1)
    one, next_row = (View(None, torch.tensor([[row, 10]])) for row in (9, 0))
    a, b = (made.take(made.decode(), v) for v in (one, next_row))
    assert torch.equal(a[:, :, 1:], b[:, :, :-1])  # across both borders


@pytest.mark.parametrize("init", ["real", "mean"])
def test_canvases_start_as_a_grid_of_images_of_their_class(init, compute, store):
    from ddcore.data import ensure
    from ddcore.data.tensors import DeviceData
    from ddcore.distil.decoder import initial_images
    from ddcore.tasks.worker import Context

    spec = make_spec("textures", resolve("digits"), SHAPE, ipc=4)
    data = DeviceData(ensure(Context(store, store.create(spec), spec, "cpu"), spec.data))
    labels = torch.arange(10)
    grid = initial_canvases(init, labels, 2, data, rng.generator(7))
    images = initial_images(init, labels.repeat_interleave(4), data, rng.generator(7))
    assert grid.shape == (10, 1, 16, 16)
    assert torch.equal(grid[3, :, 8:, :8], images[4 * 3 + 2])


def test_the_budget_pays_for_whole_canvases_only():
    digits = resolve("digits")
    spec = make_spec("textures", digits, SHAPE, ipc=8, settings=[("canvas", "2"), ("crops", "3")])
    assert spec.images_per_class(SHAPE, 10) == 2 * 3
    for ipc in (1, 6, 10):
        with pytest.raises(SpecError, match=r"ipc = .*a multiple of 4"):
            make_spec("textures", digits, SHAPE, ipc=ipc, settings=[("canvas", "2")])


def test_whitened_images_and_soft_labels_are_refused():
    with pytest.raises(SpecError, match="preprocess = 'zca'"):
        DistillSpec(method="dm", parametrization="canvas", data=DataSpec(preprocess="zca"))
    with pytest.raises(SpecError, match="labels = 'soft'"):
        DistillSpec(method="bptt", parametrization="canvas", labels="soft")


def test_the_artefact_holds_the_canvases_and_their_windows(compute):
    from ddcore.sets.distilled import DistilledSet

    settings = [
        ("iterations", "3"),
        ("net.width", "4"),
        ("crops", "3"),
        ("val_nets", "1"),
        ("validations", "1"),
    ]
    spec = make_spec("textures", resolve("digits"), SHAPE, ipc=4, settings=settings)
    made = DistilledSet.from_task(compute(spec))
    assert made.stored["canvas"].shape == (10, 1, 16, 16)
    assert made.floats == 10 * 4 * 64
    assert made.images.shape == (30, 1, 8, 8) and made.labels.tolist()[:4] == [0, 0, 0, 1]
    twice = np.tile(made.stored["canvas"][0, 0], (2, 2))
    places = np.lib.stride_tricks.sliding_window_view(twice, (8, 8)).reshape(-1, 8, 8)
    assert (places == made.images[0, 0]).all((1, 2)).any()


def test_seam_tells_a_cut_from_a_tile():
    rows, columns = np.mgrid[0:12, 0:12] * (2 * np.pi / 12)
    tile = np.sin(rows) + np.cos(2 * columns)
    ramp = np.linspace(0, 1, 12)[:, None] + np.zeros((12, 12))
    shifts = [np.roll(tile, (i, j), (0, 1)) for i in range(12) for j in range(12)]
    assert seam(np.stack(shifts)[:, None]).ratio == pytest.approx(1)  # wherever the border is
    found = seam(ramp[None, None])
    assert found.wrap == pytest.approx(
        0.5
    )  # the whole height down one axis, nothing down the other
    assert found.interior == pytest.approx(1 / 22)
    with pytest.raises(ValueError, match="expected"):
        seam(np.zeros((1, 1, 1, 8)))
    noise = np.random.default_rng(0).normal(size=(50, 1, 16, 16))
    assert seam(noise).ratio == pytest.approx(1, abs=0.05)


def test_no_seam_appears_while_learning_from_noise(compute):
    """A gather that treats the border as an edge would leave noise, or a jump, along the wrap line."""
    from ddcore.sets.distilled import DistilledSet

    settings = [("iterations", "60"), ("net.width", "8"), ("nets", "2"), ("real_batch", "32")]
    settings += [("validations", "1"), ("val_nets", "1")]
    spec = make_spec("textures", resolve("digits"), SHAPE, ipc=4, settings=settings)
    made = DistilledSet.from_task(compute(spec))
    assert seam(made.stored["canvas"]).ratio == pytest.approx(1, abs=0.1)
