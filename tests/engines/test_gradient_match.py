"""Gradient matching against plain loops over classes and networks, and against finite differences."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.data import resolve
from ddcore.distil.contract import method
from ddcore.distil.engines.gradient_match import DISTANCES, Matching, chunks, group_gradients
from ddcore.distil.problem import Problem
from ddcore.distil.settings import make_spec
from ddcore.nets import NetSpec
from ddcore.nets.module import to_module
from ddcore.nets.network import Network

SHAPE = (1, 8, 8)
CLASSES = 10
NETS = [
    NetSpec(width=4, depth=2),
    NetSpec(width=4, depth=2, norm="group", activation="swish", pooling="max"),
    NetSpec(arch="mlp", width=8),
]


def noise(*size, seed=0):
    return torch.randn(*size, generator=rng.generator(seed, "noise"), dtype=torch.float64)


class FakeData:
    """What a problem asks of its data, in float64; six images of each class."""

    def __init__(self):
        self.shape, self.num_classes, self.device = SHAPE, CLASSES, torch.device("cpu")
        self.images = noise(6 * CLASSES, *SHAPE)
        self.labels = torch.arange(CLASSES).repeat_interleave(6)
        self.class_indices = torch.arange(6 * CLASSES).split(6)
        self.preprocessing = SimpleNamespace(forward=lambda pixels: 2 * pixels - 1)

    def batch(self, index):
        return self.images[index]

    def sample_per_class(self, n, generator):
        index = (
            torch.randint(6, (CLASSES, n), generator=generator) + 6 * torch.arange(CLASSES)[:, None]
        )
        return self.images[index.flatten()], self.labels[index.flatten()]

    def minibatch(self, n, generator):
        index = torch.randint(len(self.images), (n,), generator=generator)
        return self.images[index], self.labels[index]


def engine(name, ipc=1, **settings):
    """A method at work in float64."""
    small = {"net.width": "4", "net.depth": "2", "real_batch": "5", "init": "real"}
    settings = {**small, **{k: str(v) for k, v in settings.items()}}
    spec = make_spec(name, resolve("digits"), SHAPE, ipc=ipc, settings=list(settings.items()))
    made = method(name).build(Problem(spec, FakeData(), "cpu"))
    made.state = tuple(s.double() for s in made.state)
    decoder = made.synthetic.decoder
    decoder.images = decoder.images.detach().double().requires_grad_()
    return made


def looped(network, weights, images, labels):
    """Gradients of torch's own modules, one network and one group at a time: [net][group][name]."""
    found = []
    for net in range(network.num_nets):
        module = to_module(network, weights, index=net)
        row = []
        for x, y in zip(images, labels):
            loss = F.cross_entropy(module(x), y)
            made = torch.autograd.grad(loss, list(module.parameters()))
            row.append(dict(zip((n for n, _ in module.named_parameters()), made)))
        found.append(row)
    return found


# --- gradients ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("net", NETS, ids=lambda n: n.label())
def test_gradients_of_all_classes_and_networks_equal_a_loop(net, fused, groups):
    network = Network(net, SHAPE, CLASSES, 2, fused_norm=fused)
    weights = network.init([rng.generator(i) for i in range(2)], dtype=torch.float64)
    images = noise(groups, 4, *SHAPE)
    labels = torch.arange(groups * 4).view(groups, 4) % CLASSES
    got = group_gradients(network, weights, images, labels, list(weights))
    truth = looped(network, weights, images, labels)
    for name, gradient in zip(weights, got, strict=True):
        for n in range(2):
            for g in range(groups):
                assert (gradient[n, g] - truth[n][g][name]).abs().max() < 1e-10
    assert all(not w.requires_grad for w in weights.values())


@pytest.mark.parametrize("at_once", [1, 7, 30, 10_000])
@pytest.mark.parametrize("collective", [False, True])
def test_parts_of_any_size_give_the_same(at_once, collective):
    made = engine("dc", nets=2)
    real, images = noise(CLASSES, 7, *SHAPE), noise(CLASSES, 2, *SHAPE, seed=1)
    truth = made.match(real, images, collective=collective)
    made.images_at_once = made.real_at_once = at_once
    got = made.match(real, images, collective=collective)
    for ours, theirs in zip(got, truth):
        assert torch.allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_chunks_cover_everything_once_and_evenly():
    for count in (1, 10, 257):
        for most in (0, 1, 3, 256, 1000):
            parts = list(chunks(count, most))
            assert [i for p in parts for i in range(p.start, p.stop)] == list(range(count))
            sizes = {p.stop - p.start for p in parts}
            assert max(sizes) <= max(most, 1)
    assert [p.stop for p in chunks(64, 48)] == [32, 64]


# --- distances ----------------------------------------------------------------------------------------


def pair():
    """Gradients of two networks: a convolution, its bias, a linear layer."""
    sizes = [(2, 4, 3, 3, 3), (2, 4), (2, 5, 6)]
    return [noise(*s, seed=1) for s in sizes], [noise(*s, seed=2) for s in sizes]


def test_dc_distance_is_that_of_every_output_channel_and_leaves_biases_out():
    real, synthetic = pair()
    got = DISTANCES["dc"](real, synthetic)
    for net in range(2):
        truth = 0.0
        for g, h in ((real[0][net], synthetic[0][net]), (real[2][net], synthetic[2][net])):
            for a, b in zip(g, h):  # output channels
                a, b = a.flatten(), b.flatten()
                truth += 1 - (a @ b) / (a.norm() * b.norm() + 1e-6)
        assert got[net].item() == pytest.approx(truth.item(), rel=1e-12)
    synthetic[1] *= 100
    assert torch.equal(DISTANCES["dc"](real, synthetic), got)


def test_other_distances():
    real, synthetic = pair()
    for net in range(2):
        g, h = (torch.cat([t[net].flatten() for t in side]) for side in (real, synthetic))
        truth = {
            "mse": ((g - h) ** 2).sum(),
            "l1": (g - h).abs().sum(),
            "cos": 1 - g @ h / (g.norm() * h.norm() + 1e-6),
        }
        for name, value in truth.items():
            assert DISTANCES[name](real, synthetic)[net].item() == pytest.approx(value.item())


@pytest.mark.parametrize("name", DISTANCES)
def test_a_gradient_of_zero_has_a_finite_derivative(name):
    """Dead channels are common."""
    real, synthetic = pair()
    synthetic[0][:, 1] = 0
    synthetic = [h.requires_grad_() for h in synthetic]
    value = DISTANCES[name](real, synthetic).sum()
    found = torch.autograd.grad(value, synthetic, allow_unused=True)
    assert all(g is None or g.isfinite().all() for g in found)


# --- what is compared ---------------------------------------------------------------------------------


def class_gradients(made, real):
    """[net][class] gradients of `real` (K, R, C, H, W) in the engine's networks."""
    labels = torch.arange(CLASSES)[:, None].expand(real.shape[:2])
    return looped(made.network, made.weights, real, labels)


def stacked(rows, names):
    """Distances' argument from one dict per network."""
    return [torch.stack([row[name] for row in rows]) for name in names]


def test_loss_is_the_sum_over_classes_and_the_mean_over_networks():
    made = engine("dc", nets=2)
    real, images = noise(CLASSES, 5, *SHAPE), noise(CLASSES, 2, *SHAPE, seed=1)
    target, ours = class_gradients(made, real), class_gradients(made, images)
    distances = [
        DISTANCES["dc"](stacked([target[n][c]], made.names), stacked([ours[n][c]], made.names))
        for n in range(2)
        for c in range(CLASSES)
    ]
    loss, _ = made.match(real, images)
    assert loss.item() == pytest.approx(sum(distances).item() / 2, rel=1e-9)


def test_collective_compares_mean_gradients():
    made = engine("dcc", nets=2)
    real, images = noise(CLASSES, 5, *SHAPE), noise(CLASSES, 2, *SHAPE, seed=1)
    means = [
        [{k: sum(g[k] for g in row) / CLASSES for k in made.names} for row in found]
        for found in (class_gradients(made, real), class_gradients(made, images))
    ]
    truth = DISTANCES["dc"](*(stacked(rows, made.names) for rows in means)).mean()
    loss, gradient = made.match(real, images, collective=True)
    assert loss.item() == pytest.approx(truth.item(), rel=1e-9)
    assert gradient.shape == images.shape and gradient.abs().amax((1, 2, 3, 4)).min() > 0


def test_convolutions_only_leave_everything_else_out():
    made = engine("idc", distance="mse", nets=2, factor=1)
    assert made.compared == ["0.weight", "4.weight"]
    real, images = noise(CLASSES, 5, *SHAPE), noise(CLASSES, 2, *SHAPE, seed=1)
    target, ours = class_gradients(made, real), class_gradients(made, images)
    truth = sum(
        (target[n][c][name] - ours[n][c][name]).square().sum()
        for n in range(2)
        for c in range(CLASSES)
        for name in made.compared
    )
    assert made.match(real, images)[0].item() == pytest.approx(truth.item() / 2, rel=1e-9)


def test_schedule_of_dcc():
    never, always = Matching(), Matching(collective=(0, 0))
    published = Matching(collective=(250, 10))
    assert not never.is_collective(10**6, 10**6) and always.is_collective(0, 0)
    assert not published.is_collective(249, 9)
    assert published.is_collective(250, 0) and published.is_collective(0, 10)


def test_dcc_takes_its_thresholds_from_the_parameters(monkeypatch):
    made = engine("dcc", matches=4, outer_warmup=2, inner_warmup=3)
    asked = []
    match = type(made).match

    def noted(self, real, images, *, collective):
        asked.append(collective)
        return match(self, real, images, collective=collective)

    monkeypatch.setattr(type(made), "match", noted)
    for t in range(9):
        made.step(t)
    assert asked == [False, False, False, True] * 2 + [True]


# --- whole steps --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("dc", {}),
        ("dc", {"distance": "cos"}),
        ("dsa", {"augment": "color_crop_cutout_scale_rotate"}),
        ("dcc", {"outer_warmup": 0, "variant": "dsac"}),
        ("idc", {"distance": "mse", "mode": "multi", "augment": "color_crop_cutout"}),
    ],
)
def test_gradient_of_a_step_against_finite_differences(name, settings):
    """Through decoding, augmentation and the gradient itself, down to what is stored."""
    made = engine(name, ipc=2, nets=2, **{"net.activation": "swish", **settings})
    stored = made.synthetic.decoder.images
    made.step(0)
    direction = noise(*stored.shape, seed=3)
    slope = (stored.grad * direction).sum().item()
    start, eps, losses = stored.detach().clone(), 1e-5, []
    for sign in (1, -1):
        with torch.no_grad():
            stored.copy_(start + sign * eps * direction)
        losses.append(made.step(0)["loss"])
    rows = 1 if name == "dcc" else CLASSES  # the loss is reported per comparison
    assert rows * (losses[0] - losses[1]) / (2 * eps) == pytest.approx(slope, rel=1e-5)


def test_real_and_synthetic_images_of_a_class_share_their_augmentation():
    """With the same images on both sides nothing is left to match, whatever was drawn."""
    made = engine("dsa", ipc=3, real_batch=3, distance="mse", augment="crop_scale_rotate")
    data = made.problem.data
    stored = made.synthetic.decoder.images
    data.sample_per_class = lambda n, g: (stored.detach(), made.synthetic.classes)
    for t in range(5):
        assert made.step(t)["loss"] < 1e-20
    data.sample_per_class = lambda n, g: (stored.detach().flip(3), made.synthetic.classes)
    assert made.step(0)["loss"] > 1e-6


def sgd(made, batches, momentum=0.0, decay=0.0):
    """The engine's first network after torch's own SGD on `batches` of (images, labels)."""
    network = made.network
    fresh = network.init(made.problem.generator("net", 0), dtype=torch.float64)
    module = to_module(network, fresh).train()
    optimiser = torch.optim.SGD(
        module.parameters(), made.inner.recipe.lr, momentum=momentum, weight_decay=decay
    )
    for x, y in batches:
        optimiser.zero_grad()
        F.cross_entropy(module(x), y).backward()
        optimiser.step()
    return dict(module.named_parameters())


def same(weights, truth):
    return all(torch.allclose(weights[k][0], truth[k], rtol=1e-4, atol=1e-6) for k in truth)


def test_between_comparisons_the_networks_are_trained_on_the_set_as_it_is_then():
    made = engine("dc", matches=3, inner_epochs=4, inner_lr=0.1, nets=2)
    made.step(0)
    with torch.no_grad():  # the runner's step
        made.synthetic.decoder.images.add_(0.3)
    made.step(1)
    batch = made.synthetic.decoder.images.detach(), made.synthetic.classes
    assert same(made.weights, sgd(made, [batch] * 4))
    made.step(2)
    assert same(made.weights, sgd(made, [batch] * 8))
    made.step(3)  # fresh networks
    fresh = made.network.init(made.problem.generator("net", 1), dtype=torch.float64)
    assert all(torch.equal(made.weights[k], w) for k, w in fresh.items())


def test_idc_trains_on_real_images_and_keeps_its_momentum():
    made = engine(
        "idc",
        matches=3,
        inner_images=7,
        inner_batch=7,
        inner_momentum=0.9,
        inner_decay=0.01,
        inner_lr=0.1,
        cutmix=0,
        augment="",
    )
    for t in range(3):
        made.step(t)
    data, problem = made.problem.data, made.problem
    batches = [data.minibatch(7, problem.generator("training", t, 0)) for t in (1, 2)]
    assert same(made.weights, sgd(made, batches, 0.9, 0.01))


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("dc", {"net.norm": "batch"}, "net.norm = 'batch'"),
        ("idc", {"net.arch": "mlp"}, "net.arch = 'mlp'"),
        ("dsa", {"labels": "soft"}, "one class"),
        ("dc", {"distance": "l2"}, "one of dc, mse, l1, cos"),
        ("dcc", {"augment": "crop"}, "dsac"),
    ],
)
def test_what_does_not_go_together_is_refused(name, settings, words):
    with pytest.raises(SpecError, match=words):
        engine(name, **settings)
