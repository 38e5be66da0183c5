"""The meta-gradient against full autograd and against finite differences, in float64."""

import pytest
import torch

from ddcore.base import rng
from ddcore.distil.engines.rules import Adam, GradientDescent
from ddcore.distil.engines.unroll import full_autograd, meta_gradient, run
from ddcore.nets import NetSpec
from ddcore.nets.network import Network
from ddcore.training.losses import cross_entropy

STEPS = 6
ALL = range(STEPS)


def problem(net, nets=2, fused=True):
    """Losses, weights, leaves (images and soft labels) and step sizes of a small training."""
    network = Network(net, (1, 8, 8), 10, nets, fused_norm=fused)
    params = network.init([rng.generator(i) for i in range(nets)], dtype=torch.float64)
    names = list(params)
    images = torch.randn(20, 1, 8, 8, dtype=torch.float64, generator=rng.generator(10))
    soft = torch.rand(20, 10, dtype=torch.float64, generator=rng.generator(12)).softmax(1)
    real = torch.randn(30, 1, 8, 8, dtype=torch.float64, generator=rng.generator(11))
    labels = torch.arange(10)

    def inner(t, weights, leaves):
        part = slice(10 * (t % 2), 10 * (t % 2) + 10)
        logits = network.logits(dict(zip(names, weights)), leaves[0][part])
        return cross_entropy(logits, leaves[1][part])

    def outer(weights):
        return cross_entropy(network.logits(dict(zip(names, weights)), real), labels.repeat(3))

    lrs = torch.linspace(0.1, 0.5, STEPS, dtype=torch.float64)
    return inner, outer, tuple(params.values()), (images, soft), lrs


def relative(got, truth):
    return ((got - truth).norm() / truth.norm()).item()


def agree(ours, truth, bound=1e-10):
    """Loss and every derivative."""
    assert relative(ours.loss, truth.loss) < 1e-12
    for name in ("leaves", "hyper"):
        for got, true in zip(getattr(ours, name), getattr(truth, name), strict=True):
            assert relative(got, true) < bound
    flat = [torch.cat([w.flatten() for w in m.state0]) for m in (ours, truth)]
    assert relative(*flat) < bound


NETS = [
    NetSpec(width=4, depth=2),
    NetSpec(width=4, depth=2, norm="batch", pooling="max"),
    NetSpec(width=4, depth=2, norm="layer"),
    NetSpec(width=8, depth=2, norm="group"),
    NetSpec(arch="mlp", width=8, activation="sigmoid"),
]
RULES = {
    "plain": GradientDescent(),
    "momentum": GradientDescent(0.9),
    "momentum and decay": GradientDescent(0.9, 0.05),
    "decay": GradientDescent(0.0, 0.05),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("net", NETS, ids=lambda n: n.label())
def test_equals_full_autograd(net, rule):
    inner, outer, weights, leaves, lrs = problem(net)
    setup = (inner, outer, rule, rule.start(weights), leaves, (lrs,), ALL)
    agree(meta_gradient(*setup), full_autograd(*setup))


@pytest.mark.parametrize("net", NETS[:-1], ids=lambda n: n.label())
def test_library_norms_give_the_derivatives_of_elementary_ones(net):
    """Their second derivatives in plain autograd; what is wrong under torch.func is not used here."""
    found = []
    for fused in (True, False):
        inner, outer, weights, leaves, lrs = problem(net, fused=fused)
        rule = RULES["momentum"]
        found.append(meta_gradient(inner, outer, rule, rule.start(weights), leaves, (lrs,), ALL))
    agree(*found)


def test_intermediate_losses_and_a_learned_momentum():
    inner, outer, weights, leaves, lrs = problem(NETS[0])
    rule, hyper = GradientDescent(0.5), (lrs, torch.tensor(0.7, dtype=torch.float64))
    setup = (inner, outer, rule, rule.start(weights), leaves, hyper, ALL)
    ours, truth = (f(*setup, every=outer) for f in (meta_gradient, full_autograd))
    agree(ours, truth)
    assert ours.loss > meta_gradient(*setup).loss  # more than the last loss


def test_a_window_through_adam():
    """RaT-BPTT: some updates without a graph, then a window with one, moments carried in."""
    inner, outer, weights, leaves, lrs = problem(NETS[0])
    rule, hyper = Adam(), (lrs * 0.05,)
    state = run(inner, rule, rule.start(weights), leaves, hyper, range(2))
    setup = (inner, outer, rule, state, leaves, hyper, range(2, STEPS))
    ours = meta_gradient(*setup)
    agree(ours, full_autograd(*setup), 1e-9)
    assert ours.hyper[0][:2].abs().max() == 0  # before the window


def test_adam_steps_as_torch_does():
    inner, _, weights, leaves, lrs = problem(NETS[0])
    rule = Adam()
    ours = run(inner, rule, rule.start(weights), leaves, (torch.full_like(lrs, 0.01),), ALL)
    theirs = [w.clone().requires_grad_() for w in weights]
    optimiser = torch.optim.Adam(theirs, lr=0.01)
    for t in ALL:
        for w, g in zip(theirs, torch.autograd.grad(inner(t, tuple(theirs), leaves), theirs)):
            w.grad = g
        optimiser.step()
    for got, true in zip(ours, theirs):
        assert relative(got, true.detach()) < 1e-4


def test_constant_weights_are_exact_for_one_step_only():
    """TESLA's approximation: right for the last step's images, wrong for earlier ones."""
    inner, outer, weights, leaves, lrs = problem(NETS[0])
    rule = GradientDescent()
    for steps, exact in ((range(1), True), (ALL, False)):
        setup = (inner, outer, rule, rule.start(weights), leaves, (lrs,), steps)
        ours, truth = meta_gradient(*setup, through_weights=False), meta_gradient(*setup)
        error = relative(ours.leaves[0], truth.leaves[0])
        assert (error < 1e-12) == exact
        cosine = torch.cosine_similarity(ours.leaves[0].flatten(), truth.leaves[0].flatten(), 0)
        assert cosine > 0.5  # an approximation, not nonsense


def test_against_finite_differences():
    """Independent of autograd's second derivatives: train, perturb a pixel or a step size, train."""
    inner, outer, weights, (images, soft), lrs = problem(
        NetSpec(width=4, depth=2, activation="swish")
    )
    rule = GradientDescent(0.9, 0.01)
    ours = meta_gradient(inner, outer, rule, rule.start(weights), (images, soft), (lrs,), ALL)

    def trained_loss(x, rates):
        theta, velocity = list(weights), [torch.zeros_like(w) for w in weights]
        for t in ALL:
            at = [w.detach().requires_grad_() for w in theta]
            gradients = torch.autograd.grad(inner(t, at, (x, soft)), at)
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
        assert slope / (2 * eps) == pytest.approx(ours.hyper[0][t].item(), rel=1e-5)


def test_zero_steps_leave_the_images_without_gradient():
    inner, outer, weights, leaves, lrs = problem(NETS[0])
    rule = GradientDescent()
    ours = meta_gradient(inner, outer, rule, rule.start(weights), leaves, (lrs,), range(0))
    assert ours.leaves[0].abs().max() == 0
    assert ours.loss == outer(tuple(weights))
