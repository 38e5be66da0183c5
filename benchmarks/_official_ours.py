"""Our side of `official.py`: the same computation by the engines, in a process of its own."""

from __future__ import annotations

import contextlib
import json
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from safetensors.torch import save_file

from benchmarks import second_device
from benchmarks._official_marks import (
    BATCH,
    CLASSES,
    COUNTING,
    MOVE,
    SHAPE,
    STRATEGY,
    Enough,
    Marks,
    Setting,
)
from benchmarks.official import PROTOCOL, net_of, spec_of
from ddcore.base import execution, rng
from ddcore.data.dataset import Dataset
from ddcore.data.tensors import DeviceData
from ddcore.distil.contract import method
from ddcore.distil.problem import Problem
from ddcore.nets.network import Network
from ddcore.pools.trajectory import file_name, train_experts
from ddcore.pools.trajectory_spec import TrajectoryTask
from ddcore.tasks.process import same_every_time
from ddcore.training.chunks import limit_threads, nets_at_once
from ddcore.training.train import train

Run = Callable[[], None]


def random_data(setting: Setting) -> DeviceData:
    """Random images; the test images are half in the validation, half in the test part."""
    numbers = np.random.default_rng(0)

    def part(count: int) -> tuple[np.ndarray, np.ndarray]:
        images = numbers.integers(0, 256, (count, *SHAPE), dtype=np.uint8)
        return images, np.arange(count) % CLASSES

    half = setting.test // 2
    parts = [array for n in (setting.train, half, setting.test - half) for array in part(n)]
    mean, std = (np.full(SHAPE[0], value, np.float32) for value in (0.5, 0.29))
    names = tuple(f"class {c}" for c in range(CLASSES))
    dataset = Dataset(*parts, names, mean, std, "random images", spec_of(setting, "dm").data)
    return DeviceData(dataset, setting.device)


# --- the comparisons ----------------------------------------------------------------------------------


def distilling(setting: Setting) -> tuple[Marks, Run]:
    """Iterations as the runner takes them: dm, dc, dsa, mtt."""
    every = setting.matches if setting.name in ("dc", "dsa") else 1
    marks = Marks(setting, setting.iterations, every=every)
    spec, data = spec_of(setting, setting.name), random_data(setting)
    problem = Problem(spec, data, setting.device, lambda task: random_expert(setting))
    limit_threads(problem.network(1), setting.device)
    distiller = method(setting.name).build(problem)

    def run() -> None:
        for t in range(every * (setting.iterations + 1)):
            distiller.step(t)
            distiller.optimiser.step()
            distiller.project()
            if not all(bool(x.isfinite().all()) for x in distiller.tensors().values()):
                sys.exit("the images are not finite")
            marks()

    return marks, run


def random_expert(setting: Setting) -> types.SimpleNamespace:
    """In place of a finished task of experts: one expert's file, of random moves."""
    network = Network(net_of(setting), SHAPE, CLASSES)
    start = {name: w[0] for name, w in network.init(rng.generator(0)).items()}
    epochs = setting.max_start + setting.expert_epochs
    moves = {f"moves.{k}": (MOVE * torch.randn(epochs, *w.shape)).half() for k, w in start.items()}
    file = f"{file_name(0)}.safetensors"
    save_file({f"start.{k}": w.contiguous() for k, w in start.items()} | moves, file)
    return types.SimpleNamespace(spec_as=lambda cls: types.SimpleNamespace(nets=1), checked=Path)


def experts(setting: Setting) -> tuple[Marks, Run]:
    """As many experts at once as the task trains; an iteration is an epoch of all, with their tests."""
    network = Network(net_of(setting), SHAPE, CLASSES)
    limit_threads(network, setting.device)
    together = min(nets_at_once(network, BATCH, setting.device), setting.nets)
    marks = Marks(setting, setting.iterations, every=setting.batches, parts=together)
    spec = TrajectoryTask(
        data=spec_of(setting, "dm").data,
        net=net_of(setting),
        nets=together,
        epochs=setting.iterations + 1,
        batch=BATCH,
        augment=STRATEGY,
        precision=setting.precision,
    )
    data = random_data(setting)
    return marks, lambda: train_experts(spec, data, range(together), lambda step, total: marks())


def evaluation(setting: Setting) -> tuple[Marks, Run]:
    """All networks by one call, and their accuracies."""
    marks = Marks(setting, setting.iterations, parts=setting.nets)
    data, net = random_data(setting), net_of(setting)
    images = torch.randn(setting.images, *SHAPE).to(setting.device)
    labels = (torch.arange(setting.images) % CLASSES).to(setting.device)
    recipe = PROTOCOL[setting.name].replace(epochs=setting.epochs, precision=setting.precision)
    limit_threads(Network(net, SHAPE, CLASSES), setting.device)

    def evaluate(nets: int, epochs: int) -> None:
        seeds = [rng.derive(0, i) for i in range(nets)]
        found = train(net, images, labels, CLASSES, recipe.replace(epochs=epochs), seeds)
        found.accuracy(data.val)
        found.accuracy(data.test)
        marks()

    def run() -> None:
        evaluate(setting.nets, min(3, setting.epochs))  # warm-up
        for _ in range(setting.iterations):
            evaluate(setting.nets, setting.epochs)

    return marks, run


def matmul(setting: Setting) -> None:
    """Leaves in `result.json` the multiply-adds per second of one large matrix product.

    On a GPU in TF32, in which torch computes convolutions of single precision there.
    """
    torch.backends.cuda.matmul.allow_tf32 = True
    side, repeats = (8192, 20) if setting.device == "cuda" else (1024, 20)
    a = torch.randn(side, side, device=setting.device)
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        a @ a
        if setting.device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    Path("result.json").write_text(json.dumps({"rate": side**3 / min(times)}))


CASES: dict[str, Callable[[Setting], tuple[Marks, Run]]] = {
    "dm": distilling,
    "dc": distilling,
    "dsa": distilling,
    "mtt": distilling,
    "experts": experts,
    "evaluate-dc": evaluation,
    "evaluate-dsa": evaluation,
}


if __name__ == "__main__":
    given = Setting.read()
    if given.device == COUNTING:
        second_device.load()
    if given.device != "cpu":
        same_every_time()  # as workers do
    if given.name == "matmul":
        matmul(given)
    else:
        marks, work = CASES[given.name](given)
        ways = execution.Ways()
        with execution.noted(ways), contextlib.suppress(Enough):
            work()
        marks.write(compiling=ways.seconds)
