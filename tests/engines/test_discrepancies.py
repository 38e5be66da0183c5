"""Kernel and characteristic discrepancies against sums over all pairs, numpy and finite differences."""

import cmath
import math

import numpy as np
import pytest
import torch

from ddcore.base import rng
from ddcore.data import resolve
from ddcore.distil.contract import method
from ddcore.distil.engines.discrepancies import Characteristic, KernelMean, squared_distances
from ddcore.distil.engines.match import Means
from ddcore.distil.estimate import distillation
from ddcore.distil.problem import Problem
from ddcore.distil.settings import make_spec
from ddcore.tasks.store import Store
from tests.engines.test_match import FakeData

SHAPE = (1, 8, 8)
NETS, CLASSES, FEATURES = 2, 3, 5
KINDS = [
    Means(),
    KernelMean("linear", 1.0),
    KernelMean("gaussian", 0.7),
    Characteristic(11, 0.5, 3.0),
    Characteristic(11, 0.8, 3.0),
    Characteristic(11, 0.1, 3.0),
]


def sample(per_class, label, *, mixed=False):
    """Features (N, B, F) in float64, classes (B,)."""
    classes = torch.arange(CLASSES).repeat_interleave(per_class)
    generator = rng.generator(3, label)
    if mixed:
        classes = classes[torch.randperm(len(classes), generator=generator)]
    features = torch.randn(NETS, len(classes), FEATURES, generator=generator, dtype=torch.float64)
    return features + 0.3 * classes[:, None], classes


def found(kind, real, mine):
    """The discrepancy between two samples."""
    drawn = kind.draw(real[0], rng.generator(5))
    return kind.loss(kind.summary(*real, CLASSES, *drawn), *mine, *drawn)


def every_pair(kernel, one, other):
    """Mean of a kernel over all pairs of two lists of vectors."""
    return np.mean([[kernel(x, y) for y in other] for x in one])


def test_gaussian_discrepancy_is_the_sum_over_all_pairs():
    real, mine, kind = sample(6, "real"), sample(2, "mine", mixed=True), KernelMean("gaussian", 0.7)
    total = 0.0
    for n in range(NETS):
        for c in range(CLASSES):
            a, b = (f[n, k == c].numpy() for f, k in (real, mine))
            square = 0.49 * every_pair(lambda x, y: ((x - y) ** 2).sum(), a, a)

            def kernel(x, y, square=square):
                return math.exp(-((x - y) ** 2).sum() / (2 * square))

            gap = every_pair(kernel, a, a) + every_pair(kernel, b, b) - 2 * every_pair(kernel, a, b)
            total += square * gap
    assert found(kind, real, mine).item() == pytest.approx(total / NETS, rel=1e-10)


def test_a_linear_kernel_and_a_wide_one_are_plain_mean_matching():
    real, mine = sample(6, "real"), sample(2, "mine", mixed=True)
    means = found(Means(), real, mine).item()
    assert found(KernelMean("linear", 1.0), real, mine).item() == pytest.approx(means, rel=1e-10)
    assert found(KernelMean("gaussian", 1000.0), real, mine).item() == pytest.approx(
        means, rel=1e-4
    )
    assert abs(found(KernelMean("gaussian", 1.0), real, mine).item() / means - 1) > 0.05


def test_a_gaussian_kernel_sees_a_spread_that_means_do_not():
    features, classes = sample(40, "real")
    centre = features.unflatten(1, (CLASSES, -1)).mean(2, keepdim=True)
    narrow = (centre + 0.3 * (features.unflatten(1, (CLASSES, -1)) - centre)).flatten(1, 2)
    real, mine = (features, classes), (narrow, classes)
    assert found(Means(), real, mine).item() == pytest.approx(0, abs=1e-20)
    assert found(KernelMean("linear", 1.0), real, mine).item() == pytest.approx(0, abs=1e-12)
    assert found(KernelMean("gaussian", 1.0), real, mine).item() > 0.1


@pytest.mark.parametrize("amplitude", [0.0, 0.3, 0.5, 1.0])
def test_characteristic_functions_are_means_of_complex_exponentials(amplitude):
    real, mine = sample(6, "real"), sample(2, "mine", mixed=True)
    kind = Characteristic(7, amplitude, 3.0)
    (t,) = kind.draw(real[0], rng.generator(5))
    total = 0.0
    for n in range(NETS):
        for c in range(CLASSES):
            for frequency in t.numpy():
                r, s = (
                    np.mean(
                        [
                            cmath.exp(1j * (frequency @ x) / np.linalg.norm(x))
                            for x in f[n, k == c].numpy()
                        ]
                    )
                    for f, k in (real, mine)
                )
                first = (abs(r) - abs(s)) ** 2
                second = 2 * (abs(r) * abs(s) - (r * s.conjugate()).real)
                total += 3 * math.sqrt(amplitude * first + (1 - amplitude) * second) / len(t)
    assert found(kind, real, mine).item() == pytest.approx(total / NETS, rel=1e-9)


def test_frequencies_are_standard_normal_and_new_in_every_iteration():
    kind, features = Characteristic(4000, 0.5, 1.0), sample(2, "real")[0]
    (one,), (two,) = (kind.draw(features, rng.generator(5, i)) for i in range(2))
    assert one.shape == (4000, FEATURES) and one.dtype == torch.float64
    assert not torch.equal(one, two)
    assert abs(one.mean()) < 0.03 and abs(one.std() - 1) < 0.03


@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_equal_samples_are_no_distance_apart(kind):
    real = sample(4, "real")
    order = torch.randperm(len(real[1]), generator=rng.generator(1))
    features = real[0][:, order].clone().requires_grad_()
    loss = found(kind, real, (features, real[1][order]))
    assert loss.item() == pytest.approx(0, abs=1e-6)
    (slope,) = torch.autograd.grad(loss, features)
    assert slope.isfinite().all() and slope.abs().max() < 1e-6


@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_derivatives_are_finite_differences(kind):
    real, (features, classes) = sample(6, "real"), sample(2, "mine", mixed=True)
    assert torch.autograd.gradcheck(
        lambda x: found(kind, real, (x, classes)), features.requires_grad_(), eps=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_a_class_counts_the_same_however_many_images_it_has(kind):
    real, (features, classes) = sample(6, "real"), sample(2, "mine")
    twice = features.repeat(1, 2, 1), classes.repeat(2)
    loss = found(kind, real, (features, classes)).item()
    assert loss == pytest.approx(found(kind, real, twice).item(), rel=1e-9)


def test_squared_distances_do_not_fall_below_zero():
    x = torch.full((1, 4, 3), 1e4) + torch.arange(4.0)[:, None] * 1e-3
    assert (squared_distances(x, x) >= 0).all()


class Double(FakeData):
    def __init__(self):
        super().__init__()
        self.images = self.images.double()


def built(name, **more):
    """A method's distiller on made-up images, in float64."""
    settings = {"net.width": "4", "net.depth": "2", "nets": "2", "real_batch": "6", "init": "real"}
    settings |= {"augment": "", "parametrization": "pixels", **more}
    spec = make_spec(name, resolve("digits"), SHAPE, ipc=2, settings=list(settings.items()))
    distiller = method(name).build(Problem(spec, Double(), "cpu"))
    draw = distiller.drawn
    distiller.drawn = lambda i: {k: w.double() for k, w in draw(i).items()}
    return distiller


def test_m3d_with_a_linear_kernel_is_dm():
    """Loss and derivative of whole iterations, in the same networks on the same real images."""
    plain, linear = built("dm"), built("m3d", embedding="linear")
    for iteration in range(3):
        one, two = plain.step(iteration)["loss"], linear.step(iteration)["loss"]
        assert two == pytest.approx(one, rel=1e-9)
        (mine,), (theirs,) = (d.tensors().values() for d in (plain, linear))
        torch.testing.assert_close(theirs.grad, mine.grad, rtol=1e-8, atol=1e-12)


def test_what_is_compared_is_part_of_the_work(tmp_path):
    """Of ncfm with more frequencies, and of m3d beside dm: multiply-adds, counted by hand."""
    store = Store(tmp_path, gallery=None)
    one, two = (
        make_spec("ncfm", resolve("digits"), SHAPE, settings=[("frequencies", str(t))])
        for t in (100, 300)
    )
    costs = [method("ncfm").cost(spec, SHAPE, 10) for spec in (one, two)]
    p, features = one.params, 16 * 2 * 2
    seen = p.nets * 10 * (p.real_batch + 3)
    assert costs[1].macs - costs[0].macs == p.iterations * seen * 200 * features
    assert distillation(two, store, SHAPE, 10).memory > distillation(one, store, SHAPE, 10).memory
    dm, m3d = (make_spec(name, resolve("digits"), SHAPE, ipc=2) for name in ("dm", "m3d"))
    more = method("m3d").cost(m3d, SHAPE, 10).macs - method("dm").cost(dm, SHAPE, 10).macs
    p = m3d.params
    pairs = p.real_batch**2 + 3 * p.real_batch * 2 + 3 * 2**2
    assert more == p.iterations * p.nets * 10 * pairs * features
