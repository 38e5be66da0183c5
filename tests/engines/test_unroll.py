"""The meta-gradient against full autograd and against finite differences, in float64."""

import pytest
import torch

from ddcore import rng
from ddcore.engines.unroll import full_autograd, meta_gradient
from ddcore.nets import NetSpec
from ddcore.nets.network import Network
from ddcore.training import cross_entropy

STEPS = 6


def problem(net, nets=2):
    network = Network(net, (1, 8, 8), 10, nets, fused_norm=False)
    params = network.init([rng.generator(i) for i in range(nets)], dtype=torch.float64)
    names = list(params)
    images = torch.randn(20, 1, 8, 8, dtype=torch.float64, generator=rng.generator(10))
    real = torch.randn(30, 1, 8, 8, dtype=torch.float64, generator=rng.generator(11))
    labels = torch.arange(10)

    def inner(t, weights, leaves):
        part = slice(10 * (t % 2), 10 * (t % 2) + 10)
        return cross_entropy(network.logits(dict(zip(names, weights)), leaves[0][part]), labels)

    def outer(weights):
        return cross_entropy(network.logits(dict(zip(names, weights)), real), labels.repeat(3))

    lrs = torch.linspace(0.1, 0.5, STEPS, dtype=torch.float64)
    return inner, outer, list(params.values()), [images], lrs


def relative(got, truth):
    return ((got - truth).norm() / truth.norm()).item()


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("weight_decay", [0.0, 0.05])
@pytest.mark.parametrize(
    "net",
    [
        NetSpec(width=4, depth=2),
        NetSpec(width=4, depth=2, norm="batch", pooling="max"),
        NetSpec(arch="mlp", width=8, activation="sigmoid"),
    ],
    ids=lambda n: n.label(),
)
def test_equals_full_autograd(net, momentum, weight_decay):
    setup = problem(net)
    options = {"momentum": momentum, "weight_decay": weight_decay}
    ours, truth = meta_gradient(*setup, **options), full_autograd(*setup, **options)
    assert relative(ours.leaves[0], truth.leaves[0]) < 1e-10
    assert relative(ours.lrs, truth.lrs) < 1e-10
    flat = [torch.cat([w.flatten() for w in m.weights0]) for m in (ours, truth)]
    assert relative(*flat) < 1e-10
    assert relative(ours.loss, truth.loss) < 1e-12


def test_against_finite_differences():
    """Independent of autograd's second derivatives: train, perturb a pixel or a step size, train."""
    inner, outer, weights, (images,), lrs = problem(NetSpec(width=4, depth=2, activation="swish"))
    options = {"momentum": 0.9, "weight_decay": 0.01}
    ours = meta_gradient(inner, outer, weights, [images], lrs, **options)

    def trained_loss(x, rates):
        theta, velocity = list(weights), [torch.zeros_like(w) for w in weights]
        for t in range(STEPS):
            at = [w.detach().requires_grad_() for w in theta]
            gradients = torch.autograd.grad(inner(t, at, (x,)), at)
            velocity = [0.9 * v + g + 0.01 * w for v, g, w in zip(velocity, gradients, theta)]
            theta = [w - rates[t] * v for w, v in zip(theta, velocity)]
        return outer(theta).item()

    eps = 1e-5
    direction = torch.randn(images.shape, generator=rng.generator(3), dtype=torch.float64)
    slope = trained_loss(images + eps * direction, lrs) - trained_loss(
        images - eps * direction, lrs
    )
    assert slope / (2 * eps) == pytest.approx((ours.leaves[0] * direction).sum().item(), rel=1e-5)
    for t in (0, STEPS - 1):
        bump = torch.zeros_like(lrs)
        bump[t] = eps
        slope = trained_loss(images, lrs + bump) - trained_loss(images, lrs - bump)
        assert slope / (2 * eps) == pytest.approx(ours.lrs[t].item(), rel=1e-5)


def test_zero_steps_leave_the_images_without_gradient():
    inner, outer, weights, leaves, lrs = problem(NetSpec(width=4, depth=2))
    ours = meta_gradient(inner, outer, weights, leaves, lrs[:0])
    assert ours.leaves[0].abs().max() == 0
    assert ours.loss == outer(tuple(weights))
