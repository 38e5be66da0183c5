"""The generator network, and training it as a teacher."""

import numpy as np
import pytest
import torch

from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.data import resolve
from ddcore.distil.engines import meta
from ddcore.distil.parametrizations import _generator, generator
from ddcore.distil.parametrizations._generator import Generator
from ddcore.distil.settings import make_spec
from ddcore.training.labels import step_major_labels

SMALL = generator.GeneratorKnobs(noise_dim=5, hidden=7, channels=6)


def network(shape=(1, 8, 8), steps=3, classes=4, per_class=6, knobs=SMALL, seed=1):
    labels = step_major_labels(classes, per_class, steps)
    args = (labels, classes, steps, shape, knobs, rng.generator(seed), torch.device("cpu"))
    return Generator(*args)


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (2, 11, 11), (1, 4, 4)])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_shapes_and_range(shape, batch_norm):
    made = network(shape, knobs=SMALL.replace(batch_norm=batch_norm))
    images = made.decode()
    assert images.shape == (24, *shape)
    assert images.abs().max() <= 2 and images.std() > 0.01
    assert len(made.tensors()) == 13 and all(t.requires_grad for t in made.tensors().values())


def test_same_numbers_same_images_other_seeds_others():
    assert torch.equal(network().decode(), network().decode())
    assert not torch.equal(network().decode(), network(seed=2).decode())
    made = network()
    stored = made.decode()
    one, two = (made.fresh(rng.generator(i)) for i in (3, 4))
    assert not torch.equal(one, two) and not torch.equal(one, stored)
    assert torch.equal(made.fresh(rng.generator(3)), one)
    assert torch.equal(made.decode(), stored)


def test_gradients_reach_every_weight_and_only_the_noise_of_the_same_step():
    made = network()
    images = made.decode()
    got = dict(
        zip(made.tensors(), torch.autograd.grad(images[8].square().sum(), made.tensors().values()))
    )
    assert all(g.abs().max() > 0 for g in got.values())
    touched = got["noise"].abs().sum(1) > 0
    assert touched[8:16].all() and not touched[:8].any() and not touched[16:].any()


def test_without_batch_norm_images_do_not_depend_on_each_other():
    made = network(knobs=SMALL.replace(batch_norm=False))
    noise = torch.autograd.grad(made.decode()[8].sum(), made.tensors()["noise"])[0]
    assert (noise.abs().sum(1) > 0).nonzero().tolist() == [[8]]


def test_the_class_is_an_input_and_weights_count_by_direction_only():
    made = network()
    before = made.decode().detach()
    with torch.no_grad():
        for name, tensor in made.tensors().items():
            if name.endswith("direction"):
                tensor *= 3
    assert torch.allclose(made.decode(), before, atol=1e-5)
    made.condition = made.condition.roll(1, 0)
    assert not torch.allclose(made.decode(), before, atol=0.01)


def test_batch_norm_is_that_of_torch_for_each_step():
    made = network()
    x = torch.randn(24, 5 + 4, generator=rng.generator(5))
    ours = made._layer("fc1", x, 3)
    direction = made.tensors()["fc1.direction"]
    weight = direction / direction.norm(dim=1, keepdim=True)
    truth = [
        torch.nn.functional.batch_norm(p @ weight.T, None, None, training=True) for p in x.split(8)
    ]
    assert torch.allclose(ours, torch.cat(truth), atol=1e-5)


def test_rendering_in_parts_gives_the_same_images_and_gradients(monkeypatch):
    made = network()
    tensors = list(made.tensors().values())
    weights = torch.randn(24, 1, 8, 8, generator=rng.generator(6))
    whole = made.decode()
    truth = torch.autograd.grad((whole * weights).sum(), tensors)
    monkeypatch.setattr(_generator, "IMAGES_AT_ONCE", 8)
    parts = made.decode()
    assert torch.allclose(parts, whole, atol=1e-6)
    for a, b in zip(torch.autograd.grad((parts * weights).sum(), tensors), truth):
        assert torch.allclose(a, b, atol=1e-4)


def test_counted_operations_are_those_of_the_layers():
    knobs = generator.GeneratorKnobs()
    convolutions = 14 * 14 * 9 * 128 * 64 + 28 * 28 * 9 * 64
    full = 138 * 1024 + 1024 * 7 * 7 * 128
    assert generator.macs(knobs, (1, 28, 28), 10) == full + convolutions


# --- the method -----------------------------------------------------------------------------------


def gtn(ipc=4, **settings):
    small = {"iterations": "4", "net.width": "4", "passes": "1", "real_batch": "16", "nets": "1"}
    small |= {"val_nets": "2", "validations": "1", **settings}
    return make_spec("gtn", resolve("digits"), (1, 8, 8), ipc=ipc, settings=list(small.items()))


def test_the_artefact_is_an_ordered_set_with_noise_weights_step_sizes_and_momentum(compute):
    from ddcore.sets.distilled import DistilledSet

    spec = gtn(steps="4", passes="2")
    made = DistilledSet.from_task(compute(spec))
    assert (made.steps, len(made.images), len(made.lrs)) == (4, 40, 8)
    assert made.labels.tolist() == [*range(10)] * 4
    assert 0 < made.momentum < 1 and made.momentum != pytest.approx(0.5, abs=1e-6)
    assert made.stored["noise"].shape == (40, spec.knobs.noise_dim)
    assert made.floats == sum(a.size for a in made.stored.values()) > made.images.size
    assert made.protocol.ordered


def distiller(compute, store, **settings):
    from ddcore.data import ensure
    from ddcore.data.tensors import DeviceData
    from ddcore.distil.contract import method
    from ddcore.distil.problem import Problem
    from ddcore.tasks.worker import Context

    spec = gtn(**settings)
    dataset = ensure(Context(store, store.create(spec), spec, "cpu"), spec.data)
    return method("gtn").build(Problem(spec, DeviceData(dataset), "cpu"))


def test_curricula(compute, store):
    """Learned: each update its own part. Shuffled: each part once in a pass. None: new noise."""
    learned = distiller(compute, store, steps="4", passes="2")
    assert learned._parts(8, rng.generator(0)) == [0, 1, 2, 3] * 2
    shuffled = distiller(compute, store, steps="4", passes="2", curriculum="shuffled")
    parts = shuffled._parts(8, rng.generator(0))
    assert sorted(parts[:4]) == sorted(parts[4:]) == [0, 1, 2, 3] and parts != [0, 1, 2, 3] * 2
    for made, noise_learns in ((learned, True), (shuffled, True)):
        made.step(0)
        assert (made.tensors()["noise"].grad.abs().max() > 0) == noise_learns
    none = distiller(compute, store, steps="4", curriculum="none")
    none.step(0)
    assert none.tensors()["noise"].grad.abs().max() == 0  # stored only to show images
    assert none.tensors()["fc1.direction"].grad.abs().max() > 0
    with pytest.raises(SpecError, match="curriculum = 'none'"):
        gtn(steps="4", curriculum="none", parametrization="pixels")


def test_step_sizes_fall_along_half_a_cosine_to_the_floor(compute, store):
    made = distiller(compute, store, iterations="100", floor="0.1")
    factors = np.array([made.lr_factor(t) for t in range(101)])
    assert factors[[0, 50, 100]] == pytest.approx([1, 0.55, 0.1])
    assert (np.diff(factors) < 0).all()


def test_losses_after_every_step_count(compute, store, monkeypatch):
    looks = []
    real = meta.MetaLearning._outer_losses

    def counted(self, iteration):
        parts = real(self, iteration)
        return [lambda theta, p=p: looks.append(1) or p(theta) for p in parts]

    monkeypatch.setattr(meta.MetaLearning, "_outer_losses", counted)
    distiller(compute, store, steps="4", passes="2").step(0)
    assert len(looks) == 8
    looks.clear()
    distiller(compute, store, steps="4", passes="2", intermediate="false").step(0)
    assert len(looks) == 1


def test_steps_divide_the_images():
    with pytest.raises(SpecError, match=r"steps = 3 .*a divisor of ipc = 4"):
        gtn(steps="3")
