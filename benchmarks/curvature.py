"""Hessian trace: many probes at once against a plain loop, one probe at a time, in the same run.

The loop is what is usually written: an ordinary torch module, the gradient with its graph and one more
backward pass for every probe, all images at once. Both use the same weights and the same probes, so they
must give the same value with the same standard error; the ratio is of the time alone.

    python benchmarks/curvature.py [--dataset digits] [--width 16] [--probes 50] [--images 1000]
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
import torch.nn.functional as F

from analysis.shared.hessian import Images, MeanLoss, Trace, rademacher, trace
from benchmarks.machine import describe
from ddcore.data import ensure, resolve
from ddcore.data.tensors import DeviceData
from ddcore.nets.module import to_module
from ddcore.nets.network import Network
from ddcore.nets.words import network
from ddcore.pools.real import train_real
from ddcore.tasks import worker
from ddcore.tasks.queue import devices
from ddcore.tasks.store import Store
from ddcore.tasks.testing import SleepyTask
from ddcore.training.chunks import limit_threads


def plain(loss: MeanLoss, probes: int, seed: int) -> Trace:
    """One probe after the other through torch's own layers."""
    module = to_module(loss.network, loss.weights).to(loss.device)
    weights, source = list(module.parameters()), loss.source
    samples = []
    for i in range(probes):
        vector = rademacher(seed, range(i, i + 1), loss.size, loss.device)[0]
        parts = vector.split([w.numel() for w in weights])
        direction = [v.view_as(w) for v, w in zip(parts, weights)]
        value = F.cross_entropy(module(source.images), source.labels)
        gradient = torch.autograd.grad(value, weights, create_graph=True)
        product = torch.autograd.grad(gradient, weights, direction)
        samples.append(sum(float((h * v).sum()) for h, v in zip(product, direction)))
    return Trace(torch.tensor(samples, dtype=torch.float64), math.nan)


def measure(loss: MeanLoss, probes: int, repeats: int) -> None:
    """One line: median seconds of both ways in turns, ratio, both values with their standard errors."""
    ways, times = (trace, plain), ([], [])
    found = [way(loss, 2, 0) for way in ways]  # warm-up
    for _ in range(repeats):
        for i, way in enumerate(ways):
            start = time.perf_counter()
            found[i] = way(loss, probes, 0)  # ends on the CPU, so a GPU has finished
            times[i].append(time.perf_counter() - start)
    own, loop = map(statistics.median, times)
    values = [f"{t.value:.3f} ± {t.error:.3f}" for t in found]
    apart = float((found[0].samples - found[1].samples).abs().max())
    print(
        f"{len(loss.source):8d}{own:10.2f}{loop:10.2f}{loop / own:8.1f}x"
        f"{values[0]:>20s}{values[1]:>20s}{apart:12.1e}",
        flush=True,
    )


def main() -> None:
    """Sets of 10, 100 and many images on the CPU, and on a GPU if there is one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--probes", type=int, default=50)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store, spec = Store(Path(folder)), SleepyTask()
        context = worker.Context(store, store.create(spec), spec, "cpu")
        dataset = ensure(context, resolve(options.dataset))
    net = network("width", f"convnet-{options.width}", dataset.shape, dataset.num_classes)
    curved = Network(net, dataset.shape, dataset.num_classes, fused_norm=False)
    for device in dict.fromkeys(("cpu", devices()[0])):
        limit_threads(curved, device)
        data = DeviceData(dataset, device)
        nets = train_real(net, data.train, data.num_classes, [0], iterations=50, batch=64, lr=0.01)
        if device == "cpu":
            print(describe())
        print(
            f"\n{net.label()} on {options.dataset}, {options.probes} probes, 50 iterations, {device}"
        )
        print(
            f"{'images':>8s}{'ours s':>10s}{'plain s':>10s}{'ratio':>9s}{'ours':>20s}{'plain':>20s}"
            f"{'apart':>12s}"
        )
        for images in (10, 100, options.images):
            rows = torch.arange(min(images, len(data.train)))
            source = Images(data.train.batch(rows), data.train.labels[rows.to(data.device)])
            measure(
                MeanLoss(curved, nets.params, source, nets.stats), options.probes, options.repeats
            )


if __name__ == "__main__":
    main()
