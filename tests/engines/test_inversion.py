"""Inverted networks: statistics against numpy, derivatives against differences, residuals against none."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.data import resolve
from ddcore.distil.contract import method
from ddcore.distil.engines import inversion
from ddcore.distil.engines.selection import Classes
from ddcore.distil.estimate import distillation
from ddcore.distil.problem import Problem
from ddcore.distil.settings import make_spec
from ddcore.nets.architectures import NetSpec
from ddcore.nets.network import Network
from ddcore.pools.estimate import training_seconds
from ddcore.pools.teaching import teaching
from ddcore.training.trained import TrainedNets
from tests.engines.test_match import FakeData

SHAPE = (1, 8, 8)
NORMS = ("batch", "instance", "none")


def trained(norm, count=2, dtype=torch.float32):
    """Random networks of two layers, with statistics of their own where norms keep them."""
    network = Network(NetSpec(width=4, depth=2, norm=norm), SHAPE, 10, count)
    weights = network.init(rng.generator(4), dtype=dtype)
    stats, generator = {}, rng.generator(5)
    for name, value in network.init_stats().items():
        stats[name] = (value + 0.5 * torch.rand(value.shape, generator=generator)).to(dtype)
    return TrainedNets(network, weights, stats)


def layers_by_hand(nets, which, images, norm):
    """What enters both norms of one network (B, C, H, W), and its outputs, by single-network calls."""
    w = {name: value[which] for name, value in nets.params.items()}
    s = {name: value[which] for name, value in nets.stats.items()}
    x, seen = images, []
    for conv in (0, 4):  # convolution, norm, activation, pooling
        x = F.conv2d(x, w[f"{conv}.weight"], w[f"{conv}.bias"], padding=1)
        seen.append(x)
        if norm == "batch":
            mean, var = s[f"{conv + 1}.mean"], s[f"{conv + 1}.var"]
            x = F.batch_norm(x, mean, var, w[f"{conv + 1}.weight"], w[f"{conv + 1}.bias"])
        elif norm == "instance":
            x = F.instance_norm(x, weight=w[f"{conv + 1}.weight"], bias=w[f"{conv + 1}.bias"])
        x = F.avg_pool2d(x.relu(), 2)
    return seen, x.flatten(1) @ w["8.weight"].T + w["8.bias"]


@pytest.mark.parametrize("norm", NORMS)
def test_the_loss_is_that_of_numpy_network_by_network(norm):
    nets, data = trained(norm), FakeData()
    images = torch.randn(6, *SHAPE, generator=rng.generator(6))
    classes = torch.tensor([0, 1, 2, 0, 1, 2])
    groups = torch.tensor([0, 0, 0, 1, 1, 1])
    if norm == "batch":
        known = inversion.remembered(nets, None)  # no real image is needed
    else:
        known = inversion.measured(nets, data.images.split(7))
    terms = inversion.Terms(statistics=0.3, first=10.0, variation=0.2, square=0.1)
    held = nets.params, nets.stats or None
    found = inversion.objective(nets.network, terms, held, known, images, classes, groups, 2)
    each = []
    for n in range(2):
        seen, logits = layers_by_hand(nets, n, images, norm)
        real, _ = layers_by_hand(nets, n, data.images, norm)
        loss = sum(
            F.cross_entropy(logits[groups == g], classes[groups == g]).item() for g in (0, 1)
        )
        for layer in range(2):
            if norm == "batch":
                name = (1, 5)[layer]
                mean, var = (nets.stats[f"{name}.{k}"][n].numpy() for k in ("mean", "var"))
            else:
                mean, var = (f(real[layer].numpy(), (0, 2, 3)) for f in (np.mean, np.var))
            for g in range(2):
                part = seen[layer][groups == g].numpy()
                far = np.linalg.norm(part.mean((0, 2, 3)) - mean)
                far += np.linalg.norm(part.var((0, 2, 3)) - var)
                loss += 0.3 * (10, 1)[layer] * far
        each.append(loss)
    varied = 0.0
    for image in images[:, 0].tolist():
        for y in range(8):
            for x in range(8):
                varied += abs(image[y][x] - image[y][x + 1]) if x < 7 else 0
                varied += abs(image[y][x] - image[y + 1][x]) if y < 7 else 0
    truth = np.mean(each) + 0.2 * varied / (3 * 64) + 0.1 * 2 * np.mean(images.numpy() ** 2)
    assert math.isclose(found.item(), truth, rel_tol=2e-5)


def test_total_variation_of_a_ramp_and_of_colours():
    ramp = torch.arange(5.0).expand(2, 3, 4, 5)
    assert inversion.total_variation(ramp).tolist() == pytest.approx([4 / 5] * 2)
    assert inversion.total_variation(ramp.mT).tolist() == pytest.approx([4 / 5] * 2)
    assert inversion.total_variation(torch.ones(1, 3, 4, 4)).item() == 0


@pytest.mark.parametrize("norm", NORMS)
def test_the_derivative_is_that_of_finite_differences(norm):
    nets = trained(norm, dtype=torch.float64)
    smooth = NetSpec(width=4, depth=2, norm=norm, activation="swish")
    network = Network(smooth, SHAPE, 10, 2)
    generator = rng.generator(7)
    images = torch.randn(4, *SHAPE, dtype=torch.float64, generator=generator)
    real = torch.randn(9, *SHAPE, dtype=torch.float64, generator=generator)
    nets = TrainedNets(network, nets.params, nets.stats)
    known = inversion.remembered(nets, None) if nets.stats else inversion.measured(nets, [real])
    terms = inversion.Terms(statistics=0.3, first=10.0, variation=0.2, square=0.1)
    classes, groups = torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1])

    def loss(x):
        held = nets.params, nets.stats or None
        return inversion.objective(network, terms, held, known, x, classes, groups, 2)

    assert torch.autograd.gradcheck(loss, images.clone().requires_grad_(), atol=1e-6)
    flat = [moment for pair in known for moment in pair]
    held = network.in_order(nets.params, nets.stats)
    value, gradient = inversion.descent(network, terms, 2, *held, *flat, images, classes, groups)
    (by,) = torch.autograd.grad(loss(x := images.clone().requires_grad_()), x)
    assert torch.equal(gradient, by) and value == loss(images)


def test_what_networks_without_norms_are_watched_at():
    network = Network(NetSpec(arch="mlp", width=6, depth=2), SHAPE, 10, 3)
    weights = network.init(rng.generator(8))
    images = torch.randn(5, *SHAPE, generator=rng.generator(9))
    logits, seen = network.watched(weights, images)
    assert [layer.shape for layer in seen.values()] == [(3, 5, 6, 1, 1)] * 2
    first = torch.einsum("nof,bf->nbo", weights["0.weight"], images.flatten(1))
    torch.testing.assert_close(
        next(iter(seen.values()))[..., 0, 0], first + weights["0.bias"][:, None]
    )
    assert torch.equal(logits, network.logits(weights, images, training=False))


def built(monkeypatch, name, ipc=2, norm="batch", **settings):
    """A distiller on made-up images with a teacher of five random networks."""
    texts = {"net.width": "4", "net.depth": "2", "net.norm": norm, "iterations": "40", "roll": "1"}
    if name == "fadrm":
        texts |= {"crops": "3", "candidates": "5"}
    spec = make_spec(
        name, resolve("digits"), SHAPE, ipc=ipc, settings=list((texts | settings).items())
    )
    nets = trained(norm, 5)
    monkeypatch.setattr(inversion, "load", lambda *given: nets)
    monkeypatch.setattr("ddcore.pools.bank.load", lambda *given: nets)
    data = FakeData()
    monkeypatch.setattr(inversion, "remembered", _remembered(data), raising=True)
    return method(name).build(Problem(spec, data, "cpu", lambda wanted: None))


def _remembered(data, known=inversion.remembered):
    def of(nets, given):
        return known(nets, given) if nets.stats else inversion.measured(nets, [data.images])

    return of


def run(distiller, iterations=40):
    """Losses of so many iterations, as the runner drives them."""
    found = []
    for t in range(iterations):
        distiller.optimiser.param_groups[0]["lr"] = distiller.params.lr * distiller.lr_factor(t)
        found.append(distiller.step(t)["loss"])
        distiller.optimiser.step()
        distiller.project()
    return found


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", ["sre2l", "fadrm"])
def test_the_loss_falls_and_step_sizes_end_at_nothing(monkeypatch, name, norm):
    """Most of it are statistics: random networks are sure of nothing."""
    more = {"blend": "0"} if name == "fadrm" else {}
    distiller = built(monkeypatch, name, norm=norm, statistics="100", **more)
    losses = run(distiller)
    assert np.mean(losses[-5:]) < 0.7 * losses[0]
    assert distiller.lr_factor(0) == 1 and distiller.lr_factor(20) == pytest.approx(0.5)
    assert distiller.lr_factor(39) < 0.01


def test_groups_are_of_images_of_all_classes(monkeypatch):
    """One image of each class in a group, two of each, or all of them."""
    for together, wanted in (("1", [0, 1, 2]), ("2", [0, 0, 1]), ("0", [0, 0, 0])):
        distiller = built(monkeypatch, "sre2l", ipc=3, together=together)
        assert distiller.groups.tolist() == wanted * 10


@pytest.mark.parametrize("ipc", [3, 4])
def test_groups_may_come_in_parts(monkeypatch, ipc):
    whole = built(monkeypatch, "sre2l", ipc=ipc, together="2", statistics="1")
    monkeypatch.setattr("ddcore.distil.methods.sre2l.FLOATS", 1)
    parts = built(monkeypatch, "sre2l", ipc=ipc, together="2", statistics="1")
    assert (len(whole.parts), len(parts.parts)) == (1, 2)
    assert whole.step(0)["loss"] == pytest.approx(parts.step(0)["loss"], rel=1e-5)
    (one,), (two,) = whole.tensors().values(), parts.tensors().values()
    torch.testing.assert_close(one.grad, two.grad, rtol=1e-4, atol=1e-7)


def test_without_a_share_of_patches_it_is_plain_inversion_bit_for_bit(monkeypatch):
    plain = built(monkeypatch, "sre2l")
    mixed = built(monkeypatch, "fadrm", blend="0")
    half = built(monkeypatch, "fadrm")
    (ours,), (theirs,), (halved,) = (d.tensors().values() for d in (plain, mixed, half))
    with torch.no_grad():
        ours.copy_(theirs)
    assert run(plain) == run(mixed) != run(half)
    assert torch.equal(ours, theirs) and not torch.equal(ours, halved)


def test_patches_are_medium_crops_and_return_between_stages(monkeypatch):
    distiller = built(monkeypatch, "fadrm", blend="0.25", stages="4")
    problem, residuals = distiller.problem, distiller.residuals
    assert distiller.mixed_at == {10, 20, 30}
    classes = Classes(problem.data, distiller.teacher, residuals.patches, problem.spec.seed)
    (images,) = distiller.tensors().values()
    assert torch.equal(images, distiller.patches)
    # Of five images of a class, those in the second and third place.
    for c in range(10):
        every, medium = classes.chosen(c, c, 5), classes.chosen(c, c, 2, medium=True)
        assert torch.equal(every.scores, every.scores.sort()[0])
        assert torch.equal(medium.scores, every.scores[1:3])
        assert torch.equal(distiller.patches[2 * c : 2 * c + 2], every.images[1:3])
    with torch.no_grad():
        images.zero_()
    before = distiller.step(9)
    assert images.abs().max() == 0 and math.isfinite(before["loss"])
    distiller.step(10)
    torch.testing.assert_close(images.detach(), 0.25 * distiller.patches)


def test_soft_labels_are_of_the_images_as_they_are(monkeypatch):
    distiller = built(monkeypatch, "sre2l", labels="soft", init="noise")
    run(distiller, 3)
    made = distiller.current()
    logits = torch.cat(distiller.teacher.logits_in_batches(torch.from_numpy(made.images)), 1)
    np.testing.assert_allclose(made.labels, logits.double().softmax(2).mean(0), atol=1e-6)
    hard = built(monkeypatch, "sre2l", labels="hard", init="noise")
    assert hard.current().labels.tolist() == [c for c in range(10) for _ in range(2)]


def test_what_cannot_be_is_refused():
    def asked(name, ipc=1, **settings):
        return make_spec(name, resolve("digits"), SHAPE, ipc=ipc, settings=list(settings.items()))

    with pytest.raises(SpecError, match=r"nets = 6 .*at most 5"):
        asked("sre2l", nets="6")
    with pytest.raises(SpecError, match=r"candidates = 2 .*at least 3"):
        asked("fadrm", ipc=3, candidates="2")
    with pytest.raises(SpecError, match=r"preprocess = 'zca'"):
        asked("sre2l", **{"data.preprocess": "zca"})
    asked("sre2l", **{"data.preprocess": "zca", "roll": "0"})
    with pytest.raises(SpecError, match=r"preprocess = 'zca'"):
        asked("fadrm", **{"data.preprocess": "zca", "roll": "0"})


@pytest.mark.parametrize(
    ("name", "settings"),
    [("sre2l", {}), ("bptt", {"labels": "soft"}), ("rded", {"labels": "hard"})],
)
def test_an_estimate_counts_the_teacher_until_it_is_there(store, compute, name, settings):
    small = {"net.width": "4", "net.depth": "1", **settings}
    spec = make_spec(name, resolve("digits"), SHAPE, settings=list(small.items()))
    teacher = teaching(spec.data, spec.net, "")
    training = training_seconds(teacher, store, SHAPE, 10)
    before = distillation(spec, store, SHAPE, 10).seconds
    compute(teacher)
    assert training_seconds(teacher, store, SHAPE, 10) == 0 < training
    # With the bank's own speed known, others may be guessed otherwise: only much less is left.
    assert distillation(spec, store, SHAPE, 10).seconds < before - training / 2
