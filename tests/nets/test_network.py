"""Networks: N at once against torch's own layers, one by one, and derivatives against differences."""

import pytest
import torch

from ddcore.base import rng
from ddcore.nets import ARCHITECTURES, NetSpec, cost
from ddcore.nets.module import to_module
from ddcore.nets.network import Network, select
from ddcore.nets.precision import PRECISIONS

SMALL = {
    "convnet": (NetSpec(width=8, depth=2), (1, 8, 8)),
    "lenet": (NetSpec(arch="lenet"), (1, 28, 28)),
    "alexcifarnet": (NetSpec(arch="alexcifarnet"), (3, 16, 16)),
    "mlp": (NetSpec(arch="mlp", width=16), (1, 8, 8)),
    "resnet18": (NetSpec(arch="resnet18", width=4), (3, 16, 16)),
    "resnet34": (NetSpec(arch="resnet34", width=2, norm="instance"), (3, 16, 16)),
    "resnet18at224": (NetSpec(arch="resnet18at224", width=4), (3, 40, 40)),
    "resnet34at224": (NetSpec(arch="resnet34at224", width=2), (3, 40, 40)),
    "vgg11": (NetSpec(arch="vgg11"), (3, 32, 32)),
    "alexnet": (NetSpec(arch="alexnet"), (3, 8, 8)),
    "alexnet224": (NetSpec(arch="alexnet224", width=4), (3, 70, 70)),
}


def seeds(n):
    return [rng.generator(i, "init") for i in range(n)]


def test_published_parameter_counts():
    for shape, classes, count in (
        ((3, 32, 32), 10, 320_010),
        ((1, 28, 28), 10, 317_706),
        ((3, 32, 32), 100, 504_420),
    ):
        assert cost(NetSpec().plan(shape, classes), shape).parameters == count


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_batched_networks_equal_torch_modules(arch):
    net, shape = SMALL[arch]
    network = Network(net, shape, 10, 3)
    params, stats = network.init(seeds(3), dtype=torch.float64), network.init_stats()
    shared = torch.randn(5, *shape, generator=rng.generator(0), dtype=torch.float64)
    own = torch.randn(3, 5, *shape, generator=rng.generator(1), dtype=torch.float64)
    stats = {k: v.double() + 0.1 * torch.rand(v.shape) for k, v in stats.items()}
    for images in (shared, own):
        got = network.logits(params, images, stats, training=False)
        for i in range(3):
            x = images if images.ndim == 4 else images[i]
            torch.testing.assert_close(
                got[i], to_module(network, params, stats, i)(x), rtol=1e-4, atol=1e-5
            )


def test_half_precision_is_that_of_the_librarys_autocast():
    """Rounded where the library rounds, but for norms and the last layer; all that is kept has 32 bits."""
    net, shape = NetSpec(width=16, depth=3), (3, 16, 16)
    params = Network(net, shape, 10).init(seeds(1))
    images = torch.randn(8, *shape, generator=rng.generator(0))

    def gradients(logits, by):
        return torch.cat([g.flatten() for g in torch.autograd.grad(logits.square().mean(), by)])

    module = to_module(Network(net, shape, 10), params)
    with torch.autocast("cpu", torch.bfloat16):
        library = gradients(module(images), list(module.parameters()))
    found = {}
    for precision in PRECISIONS:
        network = Network(net, shape, 10, precision=precision)
        by = [w.requires_grad_() for w in params.values()]
        found[precision] = gradients(network.logits(params, images), by)
        assert found[precision].dtype == torch.float32
    exact, half = found.values()
    ours, theirs = (float((x - exact).norm() / exact.norm()) for x in (half, library))
    assert 1e-4 < ours < 1.5 * theirs and theirs < 0.1


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_plan_counts_what_the_network_has(arch):
    net, shape = SMALL[arch]
    network = Network(net, shape, 10)
    params = network.init(seeds(1))
    facts = cost(network.plan, shape)
    assert facts.parameters == sum(w.numel() for w in params.values())
    assert network.names == tuple(params)
    assert network.stat_names == tuple(network.init_stats())
    features = network.features(params, torch.zeros(2, *shape))
    assert features.shape == (1, 2, facts.features)


@pytest.mark.parametrize("norm", ["none", "instance", "batch", "layer", "group"])
@pytest.mark.parametrize("pooling", ["none", "avg", "max"])
def test_fused_and_elementary_norms_agree(norm, pooling):
    net = NetSpec(width=8, depth=2, norm=norm, pooling=pooling, activation="swish")
    x = torch.randn(4, 1, 8, 8, generator=rng.generator(0))
    fused = Network(net, (1, 8, 8), 10, 2)
    plain = Network(net, (1, 8, 8), 10, 2, fused_norm=False)
    params = fused.init(seeds(2))
    torch.testing.assert_close(
        fused.logits(params, x), plain.logits(params, x), rtol=1e-4, atol=1e-5
    )


def test_batch_norm_statistics_follow_torch():
    network = Network(NetSpec(width=4, depth=1, norm="batch"), (1, 8, 8), 3, 2)
    params, stats = network.init(seeds(2)), network.init_stats()
    module = to_module(network, params, stats, 1).train()
    for step in range(3):
        x = torch.randn(6, 1, 8, 8, generator=rng.generator(step))
        network.logits(params, x, stats)
        module(x)
    torch.testing.assert_close(stats["1.mean"][1], module[1].running_mean)
    torch.testing.assert_close(stats["1.var"][1], module[1].running_var)


def test_a_network_does_not_depend_on_its_neighbours():
    network = Network(NetSpec(width=8, depth=2), (1, 8, 8), 10, 4)
    many = network.init(seeds(4))
    alone = network.with_nets(1).init([rng.generator(2, "init")])
    assert all(torch.equal(alone[k], select(many, 2)[k]) for k in alone)


@pytest.mark.parametrize("norm", ["none", "instance", "batch", "layer", "group"])
def test_hessian_vector_product_against_finite_differences(norm):
    """Every composition used for curvature: double backward, forward over reverse, and it vmapped."""
    net = NetSpec(width=4, depth=2, norm=norm, activation="swish")
    network = Network(net, (1, 8, 8), 3, fused_norm=False)
    params = network.init(seeds(1), dtype=torch.float64)
    names = list(params)
    sizes = [w.numel() for w in params.values()]
    x = torch.randn(5, 1, 8, 8, generator=rng.generator(0), dtype=torch.float64)
    y = torch.tensor([0, 1, 2, 0, 1])

    def loss(flat):
        parts = flat.split(sizes)
        weights = {n: p.view_as(params[n]) for n, p in zip(names, parts)}
        return torch.nn.functional.cross_entropy(network.logits(weights, x)[0], y)

    theta = torch.cat([w.flatten() for w in params.values()])
    vectors = torch.randn(2, len(theta), generator=rng.generator(1), dtype=torch.float64)
    gradient = torch.func.grad(loss)
    eps = 1e-5
    truth = torch.stack(
        [(gradient(theta + eps * v) - gradient(theta - eps * v)) / (2 * eps) for v in vectors]
    )
    at = theta.clone().requires_grad_()
    (g,) = torch.autograd.grad(loss(at), at, create_graph=True)
    double = torch.stack([torch.autograd.grad(g, at, v, retain_graph=True)[0] for v in vectors])

    def forward_over_reverse(v):
        return torch.func.jvp(gradient, (theta,), (v,))[1]

    vmapped = torch.func.vmap(forward_over_reverse)(vectors)
    for got in (double, vmapped):
        torch.testing.assert_close(got, truth, rtol=1e-5, atol=1e-7)
