"""Shared bases: decoding, the budget, the start."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from ddcore.base import rng
from ddcore.base.errors import SpecError
from ddcore.data import DataSpec, resolve
from ddcore.distil.contract import DistillSpec
from ddcore.distil.parametrizations import bases
from ddcore.distil.parametrizations._bases import SharedBases, start, xavier
from ddcore.distil.settings import make_spec, presets_of

SHAPES = {"digits": (1, 8, 8), "mnist": (1, 28, 28), "cifar10": (3, 32, 32)}


def spec_of(ipc=1, method="bptt", steps=None, **knobs):
    spec = DistillSpec(method=method, ipc=ipc, parametrization="bases", knobs=knobs)
    return spec if steps is None else spec.replace(params=spec.params.replace(steps=steps))


def floats(spec, shape, classes):
    """Numbers stored, counted from the tensors that would be made."""
    count = bases.count(spec, shape, classes)
    rows = bases.per_class(spec, shape, classes)
    small = bases.small(spec, shape)
    return count * shape[0] * small[0] * small[1] + classes * rows * count


def test_decoding_is_the_sum_of_bases_enlarged():
    b = torch.randn(3, 2, 4, 4, generator=rng.generator(1))
    a = torch.randn(5, 3, generator=rng.generator(2))
    made = SharedBases(b.clone(), a.clone(), torch.arange(5), (8, 8))
    images = made.decode()
    for i in range(5):
        small = sum(a[i, k] * b[k] for k in range(3))
        truth = F.interpolate(small[None], scale_factor=2, mode="bilinear", align_corners=False)
        assert torch.allclose(images[i], truth[0], atol=1e-5)
    of_bases, of_rows = torch.autograd.grad(images[1].sum(), [made.bases, made.coefficients])
    assert (of_bases.flatten(1).abs().sum(1) > 0).all()  # all bases are shared,
    assert (of_rows.abs().sum(1) > 0).tolist() == [False, True, False, False, False]  # rows are not


def test_the_defaults_use_the_budget_and_never_more():
    sizes = itertools.product([2, 10, 100], SHAPES.values(), [1, 2, 10, 50], [1, 1.5, 2, 3])
    for classes, shape, ipc, scale in sizes:
        spec, size = spec_of(ipc=ipc, scale=scale), (classes, shape, ipc, scale)
        rows, budget = bases.per_class(spec, shape, classes), ipc * classes * math.prod(shape)
        used = floats(spec, shape, classes)
        assert rows >= 1, size
        assert used <= budget, size
        row = classes * bases.count(spec, shape, classes)
        assert budget - used < row + shape[0] * math.prod(bases.small(spec, shape)), size


def test_published_sizes():
    """CIFAR-10 with one image per class: 16 bases of half the size leave 115 rows for each class."""
    assert bases.per_class(spec_of(bases=16), (3, 32, 32), 10) == 115
    assert bases.per_class(spec_of(ipc=10, bases=64), (3, 32, 32), 10) == 403


def test_too_many_bases_are_refused_with_the_largest_number_that_fits():
    most = 640 // (16 + 10)
    assert bases.per_class(spec_of(bases=most), (1, 8, 8), 10) == 1
    with pytest.raises(SpecError, match=f"bases = {most + 1} .*at most {most}"):
        bases.per_class(spec_of(bases=most + 1), (1, 8, 8), 10)


@pytest.mark.parametrize("classes", [2, 3, 10, 100])
@pytest.mark.parametrize("shape", SHAPES.values())
def test_presets_fit_data_of_any_number_of_classes(classes, shape):
    own = DataSpec(name="folder", source="folder", path="/pictures", fingerprint="0" * 64)
    for ipc, preset in itertools.product((1, 2, 10, 50), presets_of("memories", own.name, shape)):
        spec = make_spec("memories", own, shape, ipc=ipc, preset=preset)
        assert spec.images_per_class(shape, classes) >= 1, (ipc, preset)


def test_presets_for_ten_classes_have_the_number_of_bases_they_had():
    """So that runs which are there already are found."""
    for data, shape, ipc, preset, number in (
        ("digits", (1, 8, 8), 1, "quick", 10),
        ("digits", (1, 8, 8), 10, "quick", 0),
        ("cifar10", (3, 32, 32), 1, "paper", 16),
        ("cifar10", (3, 32, 32), 2, "paper", 64),
    ):
        fields = presets_of("memories", data, shape, ipc)[preset]
        assert fields["knobs"].get("bases", 0) == number, (data, ipc)


def test_steps_get_the_same_number_of_rows_each():
    spec = spec_of(method="dd2018", ipc=3, steps=3)
    rows = bases.per_class(spec, (1, 8, 8), 10)
    assert rows % 3 == 0 and rows >= 3
    with pytest.raises(SpecError, match=r"steps = 100 .*no room"):
        bases.count(spec_of(method="dd2018", ipc=100, steps=100), (1, 1, 1), 10)


def device_data(store):
    from ddcore.data import ensure
    from ddcore.data.tensors import DeviceData
    from ddcore.tasks.worker import Context

    spec = make_spec("memories", resolve("digits"), (1, 8, 8))
    return DeviceData(ensure(Context(store, store.create(spec), spec, "cpu"), spec.data))


def test_the_start_is_the_nearest_combination_of_so_many_pictures(store):
    from ddcore.distil.decoder import initial_images

    data, labels = device_data(store), torch.arange(10).repeat_interleave(4)
    images = initial_images("mean", labels, data, rng.generator(4))
    errors = []
    for count in (2, 6, 10, 40, 64):
        b, a = start("mean", labels, count, (8, 8), data, rng.generator(4))
        assert b.shape == (count, 1, 8, 8) and a.shape == (40, count)
        made = SharedBases(b, a, labels, (8, 8)).decode().detach()
        errors.append((made - images).norm().item() / images.norm().item())
    _, values, _ = torch.linalg.svd(images.flatten(1))
    best = [(values[k:].norm() / values.norm()).item() for k in (2, 6, 10)]  # Eckart & Young
    assert errors[:3] == pytest.approx(best, rel=1e-3)
    assert errors[3] < 1e-4 and errors[4] < 1e-4
    assert b.detach()[40:].abs().max() > 0  # bases beyond the rank can still be learned
    assert b.detach()[:40].std().item() == pytest.approx(images.std().item(), rel=0.35)


def test_noise_is_xavier_uniform(store):
    data = device_data(store)
    b, a = start(
        "noise", torch.arange(10).repeat_interleave(20), 40, (4, 4), data, rng.generator(5)
    )
    bound = math.sqrt(6 / (200 + 40))
    assert a.abs().max() <= bound and a.std() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    torch.nn.init.xavier_uniform_(truth := torch.empty(40, 1, 4, 4))
    assert b.abs().max() <= math.sqrt(6 / (41 * 16)) and truth.abs().max() <= math.sqrt(
        6 / (41 * 16)
    )
    assert xavier((40, 1, 4, 4), rng.generator(1)).std() == pytest.approx(
        truth.std().item(), rel=0.1
    )


def test_a_run_stores_bases_and_coefficients_and_trains_on_the_images(compute):
    from ddcore.sets.distilled import DistilledSet

    settings = [
        ("iterations", "3"),
        ("net.width", "4"),
        ("inner_steps", "3"),
        ("val_nets", "1"),
        ("validations", "1"),
    ]
    settings += [("real_batch", "8"), ("bases", "8"), ("scale", "2")]
    spec = make_spec("memories", resolve("digits"), (1, 8, 8), settings=settings)
    made = DistilledSet.from_task(compute(spec))
    assert made.stored["bases"].shape == (8, 1, 4, 4)
    assert made.stored["coefficients"].shape == (60, 8)
    assert made.floats == 8 * 16 + 60 * 8 <= 640
    again = SharedBases(
        torch.from_numpy(made.stored["bases"]),
        torch.from_numpy(made.stored["coefficients"]),
        torch.from_numpy(made.labels),
        (8, 8),
    ).decode()
    assert torch.equal(again.detach(), torch.from_numpy(made.images))


def test_ordered_sets_with_more_images_than_the_budget_meet_baselines_of_the_budget(compute):
    """Rows are not images of the budget: a baseline has its own number of images and labels."""
    from ddcore.measure.spec import default_evaluation

    settings = [("parametrization", "bases"), ("bases", "8"), ("iterations", "2")]
    settings += [("net.width", "4"), ("passes", "10"), ("real_batch", "16"), ("val_nets", "1")]
    spec = make_spec("dd2018", resolve("digits"), (1, 8, 8), settings=settings)
    compute(spec)
    rows = compute(default_evaluation(spec.key, spec, nets=3)).result()["rows"]
    mean = {r["subject"]: r["mean"] for r in rows}
    assert spec.images_per_class((1, 8, 8), 10) == 6
    assert mean["class_mean"] > 0.4  # wrong labels would be near 0.1
