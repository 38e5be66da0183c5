"""Everything computes on a device that is not the CPU, and hardly ever waits for it.

Without a graphics card a device of its own stands in for one (benchmarks/second_device): it refuses to
compute with tensors that were left on the CPU, and counts what a graphics card would have to wait for.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis import analyses
from analysis.single.race import RaceTask
from benchmarks import official, second_device
from benchmarks._official_marks import COUNTING
from benchmarks.second_device import DEVICE
from ddcore.base.placing import placed, placed_together
from ddcore.data import resolve
from ddcore.distil import runner
from ddcore.distil.contract import parametrizations
from ddcore.measure.changes import ChangesTask
from ddcore.measure.spec import default_evaluation
from ddcore.nets.architectures import NetSpec
from ddcore.pools import bank
from ddcore.sets.distilled import DistilledSet
from ddcore.tasks import process, worker
from ddcore.tasks.store import Store, Task
from ddcore.training import augment
from ddcore.training.protocols import PROTOCOLS
from tests.analysis.conftest import sets_for, smallest
from tests.test_augment import FULL
from tests.test_official_benchmark import MAIN, SETTING, repository
from tests.test_runner import VARIANTS, tiny

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not second_device.can_be_built(), reason="needs a C++ compiler and ninja"),
]

# Linear algebra and selection look at what they found; these take an iteration or a few in all.
CLOSED_FORM = ("krr-exact", "label-solve", "kip", "frepo", "rfad", "rded")
WAITS = 3  # per iteration: the loss, whether the set is finite, and one more
HOST_ONLY = ("pixels",)  # analyses that compute nothing on a device
STARTED = {"seconds", "cpu_seconds", "versions", "device"}  # not what was computed


@pytest.fixture(autouse=True)
def device():
    """The second device with nothing counted yet, asked for what workers ask of a GPU."""
    second_device.load()
    second_device.counts()
    process.same_every_time()
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    yield
    torch.use_deterministic_algorithms(False)


def on(folder: Path, device: str, made) -> Task:
    """A task computed on a device, in a store of its own; `made(store)` is its spec."""
    store = Store(folder / device.replace(":", "-"), gallery=None)
    wanted = made(store)
    task = store.create(wanted)
    second_device.counts()
    worker.run_task(store, task, wanted, device)
    if device == DEVICE and wanted.KIND not in HOST_ONLY:
        assert second_device.operations(second_device.counts()) > 0
    return task


def test_it_refuses_what_was_left_behind():
    here, there = torch.ones(3), torch.ones(3).to(DEVICE)
    with pytest.raises(RuntimeError, match="cpu"):
        here + there
    with pytest.raises(RuntimeError, match="cpu"):
        torch.nn.functional.conv2d(there.view(1, 1, 1, 3), torch.ones(1, 1, 1, 1))
    assert float((there * torch.tensor(2.0)).sum()) == 6.0  # a lone number may be anywhere
    counted = second_device.counts()
    assert second_device.waits(counted) == 2  # .to(DEVICE), float()


def test_placed_together():
    generator = torch.Generator().manual_seed(0)
    tensors = [
        torch.randn(3, 5, generator=generator),
        torch.arange(7),
        torch.randn(2, 2, 2, generator=generator).transpose(0, 2),
        torch.randn((), generator=generator),
        torch.tensor([True, False]),
        torch.empty(0, 4),
    ]
    found = placed_together(tensors, DEVICE)
    counted = second_device.counts()
    assert counted["to_device_ahead"] == 3  # a copy for each kind
    assert second_device.waits(counted) == 0
    for before, after in zip(tensors, found):
        assert after.device == torch.device(DEVICE)
        assert torch.equal(before, after.cpu())
    assert torch.equal(placed(tensors[1], DEVICE).cpu(), tensors[1])
    # One may change while another waits for its derivative.
    kept = found[0].requires_grad_()
    loss = (kept * found[2].sum()).square().sum()
    found[3].add_(1)
    loss.backward()
    assert kept.grad.shape == (3, 5)


def test_augmentation():
    x = torch.randn(12, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    draw = augment.sample(FULL, 12, torch.Generator().manual_seed(1))
    c = torch.randn(x.shape, generator=torch.Generator().manual_seed(2))

    def derivatives(device: str) -> list[torch.Tensor]:
        images = x.to(device).requires_grad_()
        out = augment.apply(images, draw)
        (g,) = torch.autograd.grad((out**3 * c.to(device)).sum(), images, create_graph=True)
        (h,) = torch.autograd.grad((g * c.to(device)).sum(), images)
        return [y.detach().cpu() for y in (out, g, h)]

    for here, there in zip(derivatives("cpu"), derivatives(DEVICE)):
        torch.testing.assert_close(there, here, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_methods(name, settings, tmp_path, monkeypatch):
    waited = []
    advance = runner._Run.advance

    def counting(run):
        second_device.counts()
        metrics = advance(run)
        run.finite()
        waited.append(second_device.waits(second_device.counts()))
        return metrics

    monkeypatch.setattr(runner._Run, "advance", counting)
    # A teacher that has learned for long is another one after other rounding.
    moment = bank.whole_protocol(1).replace(epochs=1)
    monkeypatch.setattr(bank, "whole_protocol", lambda images: moment)
    spec = tiny(name, iterations=3, **settings)
    here, there = (
        DistilledSet.from_task(on(tmp_path, d, lambda store: spec)).images for d in ("cpu", DEVICE)
    )
    # Rounding may turn Adam's first step around where a gradient is all but 0.
    assert np.isclose(here, there, atol=1e-3).mean() > 0.98
    assert np.abs(here - there).max() < 0.2
    if name not in CLOSED_FORM:
        assert max(waited[-spec.params.iterations + 1 :]) <= WAITS


@pytest.mark.parametrize("shape", sorted({*parametrizations()} - {"generator"}))  # that is gtn's
def test_parametrizations(shape, tmp_path):
    spec = tiny("dm", iterations=3, parametrization=shape)
    here, there = (
        DistilledSet.from_task(on(tmp_path, d, lambda store: spec)).images for d in ("cpu", DEVICE)
    )
    np.testing.assert_allclose(there, here, atol=1e-4)


def test_evaluation(tmp_path):
    archs = (
        NetSpec(width=8, depth=2),
        NetSpec(arch="mlp"),
        NetSpec(arch="alexcifarnet"),
        NetSpec(arch="resnet18", width=8),
        NetSpec(arch="alexnet"),
    )

    def rows(device: str) -> list[dict]:
        store = Store(tmp_path / device.replace(":", "-"), gallery=None)
        spec = tiny("dm", iterations=1)
        worker.run_task(store, store.create(spec), spec, device)
        short = PROTOCOLS["dsa-digits"].replace(epochs=3)
        task = default_evaluation(spec.key, spec, protocol=short, nets=2).replace(archs=archs)
        worker.run_task(store, store.create(task), task, device)
        return store.task(task).result()["rows"]

    for here, there in zip(rows("cpu"), rows(DEVICE)):
        assert there["mean"] == pytest.approx(here["mean"], abs=0.05)


def test_other_uses_of_a_run(tmp_path):
    def rows(device: str) -> list[dict]:
        store = Store(tmp_path / device.replace(":", "-"), gallery=None)
        spec = tiny("dd2018", iterations=2, setting="unknown")
        worker.run_task(store, store.create(spec), spec, device)
        other = ChangesTask(run_key=spec.key, nets=2)
        worker.run_task(store, store.create(other), other, device)
        return store.task(other).result()["rows"]

    for here, there in zip(rows("cpu"), rows(DEVICE)):
        assert there["mean"] == pytest.approx(here["mean"], abs=0.02)


def test_race(tmp_path):
    spec = RaceTask(data=resolve("digits"), iterations=20, looks=4)
    here, there = (on(tmp_path, d, lambda store: spec).result() for d in ("cpu", DEVICE))
    assert there["weight_error"] < 1e-9
    compare(here["ceilings"], there["ceilings"])


@pytest.mark.parametrize("name", list(analyses()))
def test_analyses(name, tmp_path):
    here, there = (
        on(tmp_path, d, lambda store: smallest(store, name, sets_for(store, name))).result()
        for d in ("cpu", DEVICE)
    )
    compare(here, there)


def compare(here: object, there: object, path: str = "") -> None:
    """Two results are the same but for rounding and what it turns over."""
    if isinstance(here, dict):
        assert here.keys() == there.keys(), path
        for key in here.keys() - STARTED:
            compare(here[key], there[key], f"{path}.{key}")
    elif isinstance(here, list):
        assert len(here) == len(there), path
        for i, (a, b) in enumerate(zip(here, there)):
            compare(a, b, f"{path}[{i}]")
    elif isinstance(here, float):
        assert there == pytest.approx(here, rel=0.02, abs=0.02), path
    elif isinstance(here, int) and not isinstance(here, bool):
        assert abs(here - there) <= 2 + 0.02 * abs(here), path
    else:
        assert here == there, path


def test_the_official_side_is_counted(tmp_path):
    folder = repository(tmp_path)
    found = []
    for looks in ("", "images.sum().item(); " * 2):
        script = MAIN.replace("3, width, 3)", '3, width, 3).to("cuda")')
        script = script.replace("requires_grad=True", 'requires_grad=True, device="cuda"')
        script = script.replace("for_images.step()", f"{looks}for_images.step()")
        Path(folder, "main.py").write_text(
            "import torch\nassert torch.cuda.is_available()\n" + script
        )
        setting = replace(SETTING, device=COUNTING, repository=folder)
        found.append(official.measure("theirs", setting, official.surroundings("second", 1)))
    few, many = found
    assert few["seconds"] > 10  # operations of an iteration
    assert many["seconds"] == few["seconds"] + 2  # the sums
    assert (few["peak"], many["peak"]) == (0, 2)  # waits
    assert few["images"] == many["images"] == 20
