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


def gradient(norm, monkeypatch, floats):
    """How many parts real images came in, and the images' derivative."""
    monkeypatch.setattr(match, "CPU_FLOATS", floats)
    settings = {"net.width": "8", "net.depth": "2", "net.norm": norm, "nets": "2"}
    settings |= {"real_batch": "20", "init": "real", "augment": ""}
    spec = make_spec("dm", resolve("digits"), SHAPE, settings=list(settings.items()))
    problem = Problem(spec, FakeData(), "cpu")
    distiller = method("dm").build(problem)
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
