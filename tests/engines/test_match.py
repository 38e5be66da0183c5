"""Feature matching: real images may come in parts, unless the network looks at the whole batch."""

from types import SimpleNamespace

import pytest
import torch

from ddcore.base import rng
from ddcore.data import resolve
from ddcore.distil.contract import method
from ddcore.distil.engines import match
from ddcore.distil.problem import Problem
from ddcore.distil.settings import make_spec
from ddcore.nets.precision import PRECISIONS

SHAPE = (1, 8, 8)


class FakeData:
    """What a problem asks of its data: random images."""

    def __init__(self):
        self.shape, self.num_classes, self.device = SHAPE, 10, torch.device("cpu")
        self.images = torch.randn(60, *SHAPE, generator=rng.generator(0))
        self.labels = torch.arange(10).repeat_interleave(6)
        self.class_indices = torch.arange(60).split(6)
        self.preprocessing = SimpleNamespace(forward=lambda pixels: 2 * pixels - 1)

    def batch(self, index):
        return self.images[index]

    def sample_per_class(self, n, generator):
        index = torch.randint(6, (10, n), generator=generator) + 6 * torch.arange(10)[:, None]
        return self.images[index.flatten()], self.labels[index.flatten()]


def asked(norm="instance", **more):
    """A small run."""
    settings = {"net.width": "8", "net.depth": "2", "net.norm": norm, "nets": "2"}
    settings |= {"real_batch": "20", "init": "real", "augment": "", **more}
    return make_spec("dm", resolve("digits"), SHAPE, settings=list(settings.items()))


def gradient(norm, monkeypatch, floats):
    """How many parts real images came in, and the images' derivative."""
    monkeypatch.setattr(match, "CPU_FLOATS", floats)
    distiller = method("dm").build(Problem(asked(norm), FakeData(), "cpu"))
    sizes, features = [], distiller.network.features

    def counted(weights, images):
        sizes.append(len(images))
        return features(weights, images)

    monkeypatch.setattr(distiller.network, "features", counted)
    distiller.step(0)
    (images,) = distiller.tensors().values()
    assert sum(sizes) == 200 + 10
    return len(sizes) - 1, images.grad


@pytest.mark.parametrize("norm", ["instance", "layer", "none"])
def test_parts_of_real_images_change_nothing(norm, monkeypatch):
    one, whole = gradient(norm, monkeypatch, 10**9)
    many, parts = gradient(norm, monkeypatch, 60_000)
    assert one == 1 and many > 3
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-6)


def test_a_batch_norm_sees_the_whole_batch(monkeypatch):
    assert gradient("batch", monkeypatch, 1)[0] == 1


@pytest.mark.parametrize("augment", ["", "color_crop_cutout_scale_rotate"])
def test_in_16_bits_all_but_convolutions_is_of_32(augment, monkeypatch):
    """As in 32 bits, to roundings of 2**-8: a smooth network does not make them larger."""
    smooth = {"augment": augment, "net.activation": "swish"}
    seen, means = set(), match.class_means

    def noted(features, *rest):
        seen.add(features.dtype)
        return means(features, *rest)

    monkeypatch.setattr(match, "class_means", noted)
    found = []
    for precision in PRECISIONS:
        problem = Problem(asked(precision=precision, **smooth), FakeData(), "cpu")
        distiller = method("dm").build(problem)
        loss = distiller.step(0)["loss"]
        (images,) = distiller.tensors().values()
        found.append((loss, images.grad))
    assert seen == {torch.float32} == {images.dtype, images.grad.dtype}
    (loss, exact), (other, half) = found
    assert 0 < abs(other - loss) < 2**-8 * loss
    assert 1e-4 < float((half - exact).norm() / exact.norm()) < 4 * 2**-8


def test_a_run_without_16_bits_keeps_its_key():
    plain, half = asked(), asked(precision="bfloat16")
    assert "precision" not in plain.to_dict()["params"]
    assert half.to_dict()["params"]["precision"] == "bfloat16" and plain.key != half.key
    assert type(plain).from_dict(half.to_dict()) == half
