"""Augmentation: exact pixel moves, agreement with plain loops and scipy, gradients, determinism."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from ddcore.base.errors import SpecError
from ddcore.training import augment, strategies
from ddcore.training.protocols import PROTOCOLS

FULL = "color_crop_cutout_flip_scale_rotate"
SHAPES = st.tuples(st.sampled_from([1, 3]), st.integers(1, 9), st.integers(1, 9))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(n, shape=(3, 8, 8), seed=1, dtype=torch.float32):
    return torch.rand(n, *shape, generator=generator(seed), dtype=dtype)


def draw_of(op, n, seed=0, **values):
    """A draw of one operation with some parameters replaced by constants."""
    draw = augment.sample(op, n, generator(seed))
    return dataclasses.replace(
        draw, **{k: torch.as_tensor(v).expand_as(getattr(draw, k)) for k, v in values.items()}
    )


def same(a, b):
    return all(
        torch.equal(getattr(a, f.name), getattr(b, f.name))
        for f in dataclasses.fields(augment.Draw)
    )


# --- strategies and draws ---------------------------------------------------------------------------


def test_parse():
    assert strategies.parse("") == ()
    assert strategies.parse(FULL) == ("color", "crop", "cutout", "flip", "scale", "rotate")
    assert strategies.parse("crop_scale_rotate45") == ("crop", "scale", "rotate45")
    with pytest.raises(SpecError, match="cutout"):
        strategies.parse("crop_jpeg")


@pytest.mark.parametrize("strategy", [p.augment for p in PROTOCOLS.values()])
def test_every_protocol_names_a_known_strategy(strategy):
    assert all(map(strategies.parse, strategies.stages(strategy)[1]))


def test_stages():
    assert strategies.stages("") == (False, ())
    assert strategies.stages(FULL) == (False, (FULL,))
    assert strategies.stages("batch:flip+crop_scale") == (True, ("flip", "crop_scale"))
    for wrong in ("batch:", "flip+", "+flip", "flip+jpeg", "flip+batch:crop"):
        with pytest.raises(SpecError, match="augment"):
            strategies.stages(wrong)
    with pytest.raises(SpecError, match="operations joined by _"):
        strategies.parse("batch:flip")  # methods draw in ways of their own


def test_together_all_entries_share_the_operation_but_not_its_parameters():
    each = augment.sample(FULL, 50, generator(7))
    shared = augment.sample(FULL, 50, generator(7), together=True)
    assert len(each.op.unique()) > 1 and shared.op.unique().tolist() == [each.op[0].item()]
    assert torch.equal(shared.shift, each.shift) and len(shared.angle.unique()) > 1


def test_no_strategy_leaves_the_images_alone():
    x = batch(4)
    assert augment.apply(x, augment.sample("", 4, generator())) is x


def test_a_draw_comes_from_its_generator_only():
    torch.manual_seed(1)
    first = augment.sample(FULL, 50, generator(7))
    state = torch.random.get_rng_state()
    second = augment.sample(FULL, 50, generator(7))
    augment.apply(batch(50), second)
    assert torch.equal(state, torch.random.get_rng_state())
    assert same(first, second)
    assert not same(first, augment.sample(FULL, 50, generator(8)))


@pytest.mark.parametrize("strategy", [FULL, "crop_scale_rotate45", "flip", ""])
def test_every_strategy_moves_the_stream_on_by_the_same_amount(strategy):
    g, other = generator(3), generator(3)
    augment.sample(strategy, 5, g)
    augment.sample("color", 5, other)
    assert torch.equal(g.get_state(), other.get_state())


def test_parameters_have_the_published_ranges():
    n = 20_000
    draw = augment.sample(FULL, n, generator())
    share = torch.bincount(draw.op, minlength=6) / n
    assert torch.allclose(share, torch.full((6,), 1 / 6), atol=0.015)
    assert abs(draw.mirror.double().mean() - 0.5) < 0.02
    for values, low, high in [
        (draw.stretch, 1 / 1.2, 1.2),
        (draw.angle, -math.pi / 12, math.pi / 12),
        (draw.colour[:, 0], -0.5, 0.5),
        (draw.colour[:, 1], 0, 2),
        (draw.colour[:, 2], 0.5, 1.5),
    ]:
        margin = 0.01 * (high - low)
        assert low <= values.min() < low + margin
        assert high - margin < values.max() <= high
    digits = augment.sample("crop_scale_rotate45", n, generator())
    assert torch.unique(digits.op).tolist() == [1, 4, 5]
    assert 0.99 * math.pi / 4 < digits.angle.max() <= math.pi / 4
    assert 1 / 1.2 <= digits.stretch.min() < 0.84
    assert 1.24 < digits.stretch.max() <= 1 / 0.8


def test_take_and_cat():
    draws = [augment.sample(FULL, 3, generator(s)) for s in (1, 2)]
    both = augment.Draw.cat(draws)
    assert len(both) == 6
    assert same(both.take(torch.arange(3)), draws[0])
    assert same(both.take(torch.tensor([5, 3])), draws[1].take(torch.tensor([2, 0])))


# --- the images -------------------------------------------------------------------------------------


def test_siamese_draws_treat_two_batches_alike():
    x = batch(6)
    draw = augment.sample(FULL, 3, generator(4))
    labels = torch.tensor([0, 1, 2, 2, 1, 0])
    real = augment.apply(x, draw.take(labels))
    synthetic = augment.apply(x[[5, 4]], draw.take(labels[[5, 4]]))
    assert torch.equal(synthetic, real[[5, 4]])


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 7, 10)])
@pytest.mark.parametrize("strategy", [FULL, "crop_scale_rotate45"])
def test_a_batch_equals_its_images_one_at_a_time(shape, strategy):
    x = batch(40, shape)
    draw = augment.sample(strategy, 40, generator(2))
    before = x.clone()
    together = augment.apply(x, draw)
    alone = [augment.apply(x[i : i + 1], draw.take(torch.tensor([i]))) for i in range(len(x))]
    assert torch.equal(x, before)
    assert together.dtype == x.dtype and together.shape == x.shape
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-6, rtol=1e-6)


def test_wrong_length_and_empty_batch():
    with pytest.raises(ValueError, match="3 images"):
        augment.apply(batch(3), augment.sample(FULL, 2, generator()))
    empty = batch(3)[:0]
    assert augment.apply(empty, augment.sample(FULL, 0, generator())).shape == empty.shape


@settings(deadline=None, max_examples=40)
@given(SHAPES, st.integers(0, 10_000))
def test_identity_parameters_change_nothing(shape, seed):
    x = batch(2, shape, seed)
    exact = {
        "color": {"colour": [0.0, 1.0, 1.0]},
        "crop": {"reach": 0.0},
        "flip": {"mirror": False},
        "scale": {"stretch": 1.0},
        "rotate": {"angle": 0.0},
    }
    for op, values in exact.items():
        out = augment.apply(x, draw_of(op, 2, seed, **values))
        tolerance = 0 if op in ("crop", "flip") else 3e-6
        torch.testing.assert_close(out, x, atol=tolerance, rtol=0)


@settings(deadline=None, max_examples=40)
@given(SHAPES, st.integers(0, 10_000), st.sampled_from([0.125, 4 / 28, 0.6]))
def test_shift_against_a_loop(shape, seed, reach):
    n, (_, h, w) = 5, shape
    x = batch(n, shape, seed)
    draw = draw_of("crop", n, seed, reach=reach)
    expected = np.zeros_like(x.numpy())
    for i in range(n):
        most = [math.floor(reach * side + 0.5) for side in (h, w)]
        dy, dx = (math.floor(float(draw.shift[i, a]) * (2 * most[a] + 1)) - most[a] for a in (0, 1))
        assert abs(dy) <= most[0] and abs(dx) <= most[1]
        for y in range(h):
            for z in range(w):
                if 0 <= y - dy < h and 0 <= z - dx < w:
                    expected[i, :, y, z] = x[i, :, y - dy, z - dx]
    assert np.array_equal(augment.apply(x, draw).numpy(), expected)


def test_shift_reaches_both_ends():
    draw = draw_of("crop", 2, reach=0.125)
    ends = torch.tensor([[0.0, 0.0], [1 - 2**-53, 1 - 2**-53]], dtype=torch.float64)
    x = torch.zeros(2, 1, 32, 32)
    x[:, :, 16, 16] = 1
    out = augment.apply(x, dataclasses.replace(draw, shift=ends))
    assert out[:, 0].nonzero().tolist() == [[0, 12, 12], [1, 20, 20]]


@settings(deadline=None, max_examples=40)
@given(SHAPES, st.integers(0, 10_000))
def test_cutout_against_a_loop(shape, seed):
    n, (_, h, w) = 5, shape
    x = batch(n, shape, seed) + 1
    draw = augment.sample("cutout", n, generator(seed))
    expected = x.numpy().copy()
    for i in range(n):
        size = [math.floor(0.5 * side + 0.5) for side in (h, w)]
        # An even square may be centred on either side of each pixel, an odd one on each pixel.
        places = [side + (1 if s % 2 == 0 else 0) for side, s in zip((h, w), size)]
        top, left = (math.floor(float(draw.hole[i, a]) * places[a]) - size[a] // 2 for a in (0, 1))
        for y in range(max(top, 0), min(top + size[0], h)):
            for z in range(max(left, 0), min(left + size[1], w)):
                expected[i, :, y, z] = 0
        assert (expected[i] == 0).any()
    assert np.array_equal(augment.apply(x, draw).numpy(), expected)


def test_flip_is_exact():
    x = batch(64)
    draw = augment.sample("flip", 64, generator())
    mirrored = draw.mirror.numpy()
    expected = np.where(mirrored[:, None, None, None], x.numpy()[..., ::-1], x.numpy())
    assert np.array_equal(augment.apply(x, draw).numpy(), expected)
    assert 0 < mirrored.sum() < 64


def scipy_warp(image, matrix):
    """Source place = matrix @ (y, x) from the centre; bilinear, zeros outside."""
    centre = (np.array(image.shape[1:]) - 1) / 2
    options = {"order": 1, "mode": "grid-constant", "cval": 0.0}
    offset = centre - matrix @ centre
    return np.stack([ndimage.affine_transform(p, matrix, offset, **options) for p in image])


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 14), (1, 1, 5)])
@pytest.mark.parametrize("op", ["scale", "rotate", "rotate45"])
def test_warps_against_scipy(shape, op):
    x = batch(6, shape, dtype=torch.float64)
    draw = augment.sample(op, 6, generator(5))
    out = augment.apply(x, draw).numpy()
    for i in range(6):
        matrix = np.diag(draw.stretch[i].numpy())
        if op != "scale":
            s, c = math.sin(draw.angle[i]), math.cos(draw.angle[i])
            matrix = np.array([[c, s], [-s, c]])
        np.testing.assert_allclose(out[i], scipy_warp(x[i].numpy(), matrix), atol=1e-12)


@pytest.mark.parametrize("quarters", [1, 2, 3, -1])
def test_quarter_turns(quarters):
    x = batch(2, (3, 7, 7))
    out = augment.apply(x, draw_of("rotate", 2, angle=quarters * math.pi / 2))
    # numpy turns counter-clockwise as seen, with rows downwards.
    expected = np.rot90(x.numpy(), quarters, axes=(2, 3))
    np.testing.assert_allclose(out.numpy(), expected, atol=1e-5)


def test_colour_against_numpy():
    x = batch(4, (3, 5, 6), dtype=torch.float64)
    draw = augment.sample("color", 4, generator(9))
    for image, out, (b, s, c) in zip(
        x.numpy(), augment.apply(x, draw).numpy(), draw.colour.numpy()
    ):
        y = image + b
        y = (y - y.mean(0)) * s + y.mean(0)
        y = (y - y.mean()) * c + y.mean()
        np.testing.assert_allclose(out, y, atol=1e-12)


def test_grey_images_have_no_saturation():
    x = batch(3, (1, 4, 4))
    out = augment.apply(x, draw_of("color", 3, colour=[0.0, 1.7, 1.0]))
    torch.testing.assert_close(out, x, atol=1e-6, rtol=0)


# --- gradients --------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", [*strategies.OPERATIONS, "rotate45"])
def test_first_and_second_derivatives(op):
    x = batch(2, (2, 4, 3), dtype=torch.float64).requires_grad_()
    draw = augment.sample(op, 2, generator(6))

    # Cubed: an operation that is linear in the images has no second derivative of its own.
    def cubed(images):
        return augment.apply(images, draw) ** 3

    assert torch.autograd.gradcheck(cubed, x)
    assert torch.autograd.gradgradcheck(cubed, x)


def test_derivatives_of_a_mixed_batch():
    x = batch(7, (1, 3, 3), dtype=torch.float64).requires_grad_()
    draw = augment.Draw.cat(
        [augment.sample(op, 1, generator(6)) for op in (*strategies.OPERATIONS, "")]
    )
    order = torch.tensor([3, 6, 0, 5, 1, 4, 2])
    assert torch.autograd.gradgradcheck(lambda v: augment.apply(v, draw.take(order)) ** 2, x)


def test_gradient_matching_through_augmentation():
    """The use it is made for: a gradient with respect to weights, differentiated by the images."""
    x = batch(6, (1, 4, 4), dtype=torch.float64).requires_grad_()
    w = batch(1, (1, 4, 4), seed=3, dtype=torch.float64)[0].requires_grad_()
    draw = augment.sample(FULL, 6, generator(11))

    def distance(images):
        loss = (augment.apply(images, draw) * w).sum((1, 2, 3)).sin().sum()
        (gradient,) = torch.autograd.grad(loss, w, create_graph=True)
        return gradient.square().sum()

    (found,) = torch.autograd.grad(distance(x), x)
    eps, direction = 1e-6, torch.randn(x.shape, generator=generator(1), dtype=torch.float64)
    change = (distance(x + eps * direction) - distance(x - eps * direction)) / (2 * eps)
    torch.testing.assert_close((found * direction).sum(), change, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("shape", [(3, 2, 8, 8), (2, 3, 7, 5)])
def test_sums_in_a_fixed_order_equal_the_kernel(shape):
    """What a GPU gets in place of the library's kernel; places reach beyond the border."""
    g = generator(3)
    values = torch.randn(shape, generator=g, dtype=torch.float64)
    grid = 2.6 * torch.rand(shape[0], *shape[2:], 2, generator=g, dtype=torch.float64) - 1.3
    grid[0, 0], grid[0, 1], grid[1, 0], grid[1, 1] = 1.0, -1.0, 40.0, 0.0
    modes = (0, 0, False, (True, False))
    kernel = torch.ops.aten.grid_sampler_2d_backward(
        values, torch.zeros(shape).double(), grid, *modes
    )
    found = augment._spread(values, grid, values.shape)
    torch.testing.assert_close(found, kernel[0], atol=1e-13, rtol=1e-13)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_same_on_a_gpu():
    x = batch(40)
    draw = augment.sample(FULL, 40, generator(2))
    out = augment.apply(x.cuda(), draw)
    torch.testing.assert_close(out.cpu(), augment.apply(x, draw), atol=1e-5, rtol=1e-5)
