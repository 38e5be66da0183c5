"""Accuracy with convolutions in 16 bits against 32: the same seeds with both, differences in pairs.

A protocol trains a network for each seed on the same random real images (`--ipc` of each class) with either
precision. For dm a set is distilled for each seed with either, and networks are trained on both in 32 bits.
Accuracies are in per cent of the test images (the first `--test` of them).

    python benchmarks/precision.py [digits mnist cifar10] [--case t300 --case dm] [--width 32] [--seeds 5]
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

from benchmarks.machine import describe
from ddcore.base import rng
from ddcore.data import ensure, resolve
from ddcore.data.tensors import DeviceData
from ddcore.distil.contract import method
from ddcore.distil.problem import Problem
from ddcore.distil.settings import make_spec
from ddcore.nets.architectures import NetSpec
from ddcore.nets.plan import small
from ddcore.nets.precision import BFLOAT16, FLOAT32
from ddcore.tasks import worker
from ddcore.tasks.store import Store
from ddcore.tasks.testing import SleepyTask
from ddcore.training.protocols import PROTOCOLS, Protocol
from ddcore.training.train import train

Measured = Callable[[str, range], list[float]]  # precision, seeds -> accuracies
JUDGES = 4  # networks trained on each distilled set
DSA = "color_crop_cutout_scale_rotate"
CASES = {
    "quick": PROTOCOLS["quick"],
    "t300": PROTOCOLS["dc"],
    "dsa, 300 epochs": PROTOCOLS["dc"].replace(augment=DSA),
}
DM = "dm"


def open_data(name: str, tested: int) -> DeviceData:
    """A dataset with some of its test images."""
    with tempfile.TemporaryDirectory() as folder:
        store, spec = Store(Path(folder)), SleepyTask()
        found = ensure(worker.Context(store, store.create(spec), spec, "cpu"), resolve(name))
    images, labels = found.test_images[:tested], found.test_labels[:tested]
    return DeviceData(dataclasses.replace(found, test_images=images, test_labels=labels), "cpu")


def trained(net: NetSpec, data: DeviceData, recipe: Protocol, ipc: int) -> Measured:
    """Accuracies of networks on random real images."""
    images, labels = data.sample_per_class(ipc, rng.generator(0, "images"))

    def accuracies(precision: str, seeds: range) -> list[float]:
        asked = recipe.replace(precision=precision)
        return train(net, images, labels, data.num_classes, asked, seeds).accuracy(data.test)

    return accuracies


def distilled(name: str, net: NetSpec, data: DeviceData, ipc: int, iterations: int) -> Measured:
    """Mean accuracies of networks on sets of dm."""

    def judged(precision: str, seed: int) -> float:
        settings = {"iterations": str(iterations), "precision": precision}
        spec = make_spec(
            "dm", resolve(name), data.shape, ipc=ipc, seed=seed, settings=list(settings.items())
        ).replace(net=net)
        distiller = method("dm").build(Problem(spec, data, "cpu"))
        for t in range(iterations):
            distiller.step(t)
            distiller.optimiser.step()
            distiller.project()
        images, labels = distiller.synthetic.final()
        seeds = [rng.derive(seed, "judge", i) for i in range(JUDGES)]
        nets = train(net, images, labels, data.num_classes, PROTOCOLS["quick"], seeds)
        return statistics.mean(nets.accuracy(data.test))

    return lambda precision, seeds: [judged(precision, seed) for seed in seeds]


def line(name: str, case: str, accuracies: Measured, seeds: int) -> None:
    """One row: means, mean difference with its standard error, over n pairs."""
    found = {p: [100 * share for share in accuracies(p, range(seeds))] for p in (FLOAT32, BFLOAT16)}
    apart = [b - a for a, b in zip(found[FLOAT32], found[BFLOAT16])]
    error = statistics.stdev(apart) / len(apart) ** 0.5
    means = "".join(f"{statistics.mean(x):11.2f}" for x in found.values())
    print(
        f"{name:10s}{case:18s}{means}{statistics.mean(apart):+12.2f} ± {error:.2f}{seeds:5d}",
        flush=True,
    )


def main() -> None:
    """All datasets and cases."""
    known = [*CASES, DM]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", nargs="*", default=["digits"], metavar="DATASET")
    parser.add_argument("--case", action="append", choices=known, help="all, if none is named")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--ipc", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5, help="at least 2: pairs")
    parser.add_argument("--test", type=int, default=1000, help="test images")
    parser.add_argument("--iterations", type=int, default=200, help="of dm")
    options = parser.parse_args()
    if options.seeds < 2:
        sys.exit(f"--seeds is {options.seeds}: a standard error needs at least 2.")
    torch.set_num_threads(1)
    print(describe())
    print(f"ConvNet of width {options.width}, {options.ipc} images of each class\n")
    print(f"{'':28s}{FLOAT32:>11s}{BFLOAT16:>11s}{'difference':>19s}{'n':>5s}")
    for name in options.datasets:
        data = open_data(name, options.test)
        net = NetSpec(width=options.width, depth=2 if small(data.shape) else 3)
        for case in options.case or known:
            if case == DM:
                accuracies = distilled(name, net, data, options.ipc, options.iterations)
            else:
                accuracies = trained(net, data, CASES[case], options.ipc)
            line(name, case, accuracies, options.seeds)
    print(f"\n{time.process_time():.0f} s of a processor")


if __name__ == "__main__":
    main()
