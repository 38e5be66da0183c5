"""Kernels of infinitely wide networks against wide finite ones; KIP's loss and Label Solve."""

import itertools
import math

import numpy as np
import pytest
import torch

from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.kernels import ntk
from ddcore.kernels.ntk import fc_kernels
from ddcore.kernels.ridge import kernel_predict

NETS, CHUNK = 400, 40  # of finite networks: altogether, and at once


def draw(*shape, seed=0):
    return torch.randn(shape, generator=rng.generator(seed, shape), dtype=torch.float64)


def points(n=4, d=6):
    """Some at small, some at large angles, of different lengths."""
    x = draw(n, d)
    x[1] = 1.5 * x[0] + 0.1 * x[1]
    x[2] = -x[0] + 0.2 * x[2]
    return x


def finite_kernels(x, width, depth, w_var, b_var, seed):
    """Both kernels (CHUNK, n, n) of random networks, by automatic differentiation.

    Parameters are standard normal and scaled in the forward pass.
    """
    generator = rng.generator(seed, "finite")

    def normal(*shape):
        drawn = torch.randn(CHUNK, *shape, generator=generator, dtype=torch.float64)
        return drawn.requires_grad_()

    sizes, parameters = [x.shape[1]] + [width] * depth + [1], []
    last = outputs = x.expand(CHUNK, *x.shape)
    for i, (fan_in, out) in enumerate(itertools.pairwise(sizes)):
        weight, bias = normal(fan_in, out), normal(1, out)
        parameters += [weight, bias]
        last = outputs.relu() if i else last
        outputs = math.sqrt(w_var / fan_in) * last @ weight + math.sqrt(b_var) * bias
    gradients = [
        torch.autograd.grad(outputs[:, i].sum(), parameters, retain_graph=True)
        for i in range(len(x))
    ]
    gradients = torch.stack([torch.cat([p.flatten(1) for p in g], 1) for g in gradients], 1)
    last = last.detach()
    return w_var * last @ last.mT / last.shape[2] + b_var, gradients @ gradients.mT


@pytest.mark.parametrize(
    ("width", "depth", "w_var", "b_var", "sharp"),
    [(2048, 1, 2.0, 0.01, 0.004), (128, 2, 2.0, 0.01, 0.02), (128, 3, 1.5, 0.3, 0.02)],
)
def test_wide_finite_networks_are_the_truth(width, depth, w_var, b_var, sharp):
    x = points()
    setting = (width, depth, w_var, b_var)
    runs = [finite_kernels(x, *setting, seed) for seed in range(NETS // CHUNK)]
    exact = fc_kernels(x, depth=depth, w_var=w_var, b_var=b_var)
    for kernel, samples in zip(exact, zip(*runs)):
        samples = torch.cat(samples)
        scale = kernel.diagonal().outer(kernel.diagonal()).sqrt()
        error = (samples.mean(0) - kernel).abs() / scale
        spread = samples.std(0) / math.sqrt(NETS) / scale
        assert spread.max() < sharp  # or the comparison would say little
        assert (error < 4 * spread + depth / width).all()  # finite width shifts the mean a little


def test_of_one_point_in_closed_form():
    x = draw(1, 6)
    variance = 2 * x.square().mean().item() + 0.01
    nngp = tangent = variance
    for _ in range(
        3
    ):  # a ReLU halves the variance, weights double it; its slope is 1 half the time
        nngp = nngp + 0.01
        tangent = nngp + tangent
    found = fc_kernels(x, depth=3)
    assert found.nngp.item() == pytest.approx(nngp, rel=1e-13)
    assert found.ntk.item() == pytest.approx(tangent, rel=1e-13)


def test_opposite_points_and_no_layer():
    x = torch.tensor([[1.0, 0.0], [-2.0, 0.0]], dtype=torch.float64)
    found = fc_kernels(x, b_var=0.0)
    assert found.nngp[0, 1] == pytest.approx(0, abs=1e-15)
    assert found.ntk[0, 1] == pytest.approx(0, abs=1e-15)
    y = draw(3, 2)
    linear = fc_kernels(x, y, depth=0)
    torch.testing.assert_close(linear.ntk, x @ y.T + 0.01)
    assert linear.nngp is linear.ntk


def test_kernels_are_positive_definite_and_consistent():
    x = points(12)
    for whole in fc_kernels(x, depth=2):
        torch.testing.assert_close(whole, whole.T, rtol=1e-12, atol=1e-12)
        assert torch.linalg.eigvalsh(whole).min() > 0
    for part, whole in zip(fc_kernels(x[:5], x[3:], depth=2), fc_kernels(x, depth=2)):
        torch.testing.assert_close(part, whole[:5, 3:], rtol=1e-6, atol=0)


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("same", [False, True], ids=["two sets", "one set"])
def test_gradients_agree_with_finite_differences(depth, same):
    x, y, h = points(3), draw(2, 6, seed=1), 1e-5

    def loss(a):
        kernels = fc_kernels(a, None if same else y, depth=depth)
        return sum((k * draw(*k.shape, seed=i)).sum() for i, k in enumerate(kernels))

    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(leaf), leaf)
    for i in range(4):
        v = draw(3, 6, seed=10 + i)
        slope = (loss(x + h * v) - loss(x - h * v)) / (2 * h)
        assert (gradient * v).sum().item() == pytest.approx(slope.item(), rel=1e-6)


@pytest.mark.parametrize("b_var", [0.01, 0.0])
def test_gradients_are_finite_where_points_coincide_oppose_or_vanish(b_var):
    x = points(4)
    x[1], x[2], x[3] = x[0], -x[0], 0
    x.requires_grad_()
    kernels = fc_kernels(x, depth=2, b_var=b_var)
    (gradient,) = torch.autograd.grad(sum(k.square().sum() for k in kernels), x)
    assert gradient.isfinite().all()
    assert all(k.isfinite().all() for k in kernels)
    with torch.no_grad():  # what clamping the cosine would get wrong by 4.5e-6
        diagonal = fc_kernels(x, b_var=b_var).ntk.diagonal()
        single = torch.cat([fc_kernels(p[None], b_var=b_var).ntk[0] for p in x])
    torch.testing.assert_close(diagonal, single, rtol=1e-12, atol=1e-12)


def support(m=6, n=40):
    x, y = draw(m, 8), draw(n, 8, seed=1)
    return fc_kernels(x).ntk, fc_kernels(y, x).ntk, draw(n, 3, seed=2)


def test_kip_loss_is_its_formula():
    k_ss, k_ts, wanted = support()
    labels = draw(6, 3)
    k, t = k_ss.numpy(), k_ts.numpy()
    inverse = np.linalg.inv(k + 1e-6 * np.trace(k) / 6 * np.eye(6))
    truth = 0.5 * np.mean((t @ inverse @ labels.numpy() - wanted.numpy()) ** 2)
    assert ntk.kip_loss(k_ss, k_ts, labels, wanted).item() == pytest.approx(truth, rel=1e-9)


def test_kip_loss_falls_along_its_gradient():
    real, wanted = draw(60, 8, seed=3), draw(60, 3, seed=4)
    wanted = wanted + real[:, :3].abs()
    images, labels, losses = draw(5, 8), draw(5, 3), []
    for _ in range(40):
        images.requires_grad_()
        loss = ntk.kip_loss(fc_kernels(images).ntk, fc_kernels(real, images).ntk, labels, wanted)
        (gradient,) = torch.autograd.grad(loss, images)
        images = (images - 0.1 * gradient / gradient.norm()).detach()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_label_solve_is_the_least_squares_solution():
    k_ss, k_ts, wanted = support()
    labels = ntk.label_solve(k_ss, k_ts, wanted)
    # By brute force: the loss is quadratic in the labels, so its matrix can be read off column by column.
    k, t = k_ss.numpy(), k_ts.numpy()
    ridge = 1e-6 * np.trace(k) / 6
    columns = [t @ np.linalg.solve(k + ridge * np.eye(6), unit) for unit in np.eye(6)]
    truth = np.linalg.lstsq(np.stack(columns, 1), wanted.numpy(), rcond=None)[0]
    np.testing.assert_allclose(labels.numpy(), truth, rtol=1e-6, atol=1e-8)

    free = labels.clone().requires_grad_()
    loss = ntk.kip_loss(k_ss, k_ts, free, wanted)
    (gradient,) = torch.autograd.grad(loss, free)
    start = labels.detach() * 1.01
    start.requires_grad_()
    (elsewhere,) = torch.autograd.grad(ntk.kip_loss(k_ss, k_ts, start, wanted), start)
    assert gradient.norm() < 1e-7 * elsewhere.norm()
    for seed in range(5):
        other = labels + 0.01 * draw(6, 3, seed=seed)
        assert ntk.kip_loss(k_ss, k_ts, other, wanted) > loss


@pytest.mark.parametrize("features", [8, 144])
def test_fewer_features_than_images_are_solved_in_single_precision(features):
    """Rounding makes every one of these kernels indefinite."""
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        rows = torch.randn(600, features, generator=generator).relu() + 0.5
        support, targets = rows[:500], rows[500:]
        labels = (support @ torch.randn(features, 3, generator=generator) / features).tanh()
        kernel = support @ support.T
        with pytest.raises(torch.linalg.LinAlgError):
            torch.linalg.cholesky(kernel + ntk.ridge_of(kernel) * torch.eye(500))
        found = kernel_predict(targets @ support.T, kernel, labels, ntk.ridge_of(kernel))
        left, right = support.double(), labels.double()
        ridge = ntk.ridge_of(kernel).double() * torch.eye(features)
        weights = torch.linalg.solve(left.T @ left + ridge, left.T @ right)
        wanted = targets.double() @ weights
        assert (found - wanted).norm() < 0.05 * wanted.norm()


def test_a_network_without_features_predicts_nothing():
    kernel = torch.zeros(2, 10, 10, requires_grad=True)
    labels = torch.ones(10, 3)
    found = kernel_predict(torch.zeros(2, 5, 10), kernel, labels, ntk.ridge_of(kernel))
    (derivative,) = torch.autograd.grad(found.sum(), kernel)
    assert not found.any() and torch.isfinite(derivative).all()


def test_a_negative_depth_is_refused():
    with pytest.raises(SpecError, match="depth"):
        fc_kernels(points(), depth=-1)
