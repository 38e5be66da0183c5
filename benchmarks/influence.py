"""Exact leave-one-out on digits: ours against ordinary modules trained one after the other.

Real images in place of a set, since the cost is the same: 5 per class, so 51 networks of 300 full-batch
steps each. Both ways start from the same weights; the largest difference of their test losses is printed
beside their means, which differ by rounding. `--small` is 3 per class with 100 steps.

    python benchmarks/influence.py [--small]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from analysis.shared import loo
from benchmarks.machine import describe
from ddcore.base import rng
from ddcore.data import ensure, resolve
from ddcore.data.tensors import DeviceData
from ddcore.nets import NetSpec
from ddcore.nets.module import to_module
from ddcore.nets.network import Network, Weights
from ddcore.tasks import worker
from ddcore.tasks.queue import devices
from ddcore.tasks.store import Store
from ddcore.tasks.testing import SleepyTask
from ddcore.training.chunks import limit_threads

NET = NetSpec(width=16, depth=2)
LR, MOMENTUM = 0.01, 0.9


def batched(
    data: DeviceData, images: Tensor, labels: Tensor, start: Weights, steps: int
) -> np.ndarray:
    """Test losses (M + 1, N) as the task `leave_one_out` computes them."""
    count, network = len(images), Network(NET, data.shape, data.num_classes)
    weights = loo.left_in(count).to(data.device)
    found = []
    for part in weights.split(loo.at_once(network, count, data.device)):
        nets = loo.train_weighted(
            network.with_nets(len(part)),
            loo.repeated(start, len(part)),
            images,
            labels,
            part,
            iterations=steps,
            lr=LR,
            momentum=MOMENTUM,
        )
        found.append(loo.losses_on(nets, data.test)[0])
    return np.concatenate(found)


def plain(
    data: DeviceData, images: Tensor, labels: Tensor, start: Weights, steps: int
) -> np.ndarray:
    """The same with ordinary modules on the images left in."""
    count, network = len(images), Network(NET, data.shape, data.num_classes)
    found = []
    for row in loo.left_in(count).bool():
        keep = row.to(data.device)
        module = to_module(network, start).to(data.device)
        optimiser = torch.optim.SGD(module.parameters(), LR, momentum=MOMENTUM)
        x, y = images[keep], labels[keep]
        for _ in range(steps):
            optimiser.zero_grad()
            F.cross_entropy(module(x), y).backward()
            optimiser.step()
        with torch.no_grad():
            parts = [
                F.cross_entropy(module(b).double(), c, reduction="none")
                for b, c in data.test.batches(2000)
            ]
        found.append(torch.cat(parts).cpu().numpy())
    return np.stack(found)


def main() -> None:
    """On the CPU, and on a GPU if there is one."""
    ipc, steps = (3, 100) if "--small" in sys.argv[1:] else (5, 300)
    with tempfile.TemporaryDirectory() as folder:
        store, spec = Store(Path(folder)), SleepyTask()
        dataset = ensure(worker.Context(store, store.create(spec), spec, "cpu"), resolve("digits"))
    network = Network(NET, dataset.shape, 10)
    for device in dict.fromkeys(("cpu", devices()[0])):
        limit_threads(network, device)
        data = DeviceData(dataset, device)
        images, labels = data.sample_per_class(ipc, rng.generator(0, "images"))
        start = network.init([rng.generator(0, "init")], device)
        batched(data, images[:10], labels[:10], start, 3)  # warm-up
        plain(data, images[:10], labels[:10], start, 3)
        if device == "cpu":
            print(describe())
        print(
            f"\n{len(images) + 1} x {NET.label()} on {len(images)} digits, {steps} steps, {device}"
        )
        times, losses = [], []
        for name, way in (("ours", batched), ("plain", plain)):
            begin, cpu = time.perf_counter(), time.process_time()
            losses.append(way(data, images, labels, start, steps))
            times.append(time.perf_counter() - begin)
            cpu = time.process_time() - cpu
            print(
                f"{name:8s}{times[-1]:8.1f} s ({cpu:.1f} s of processor), mean test loss "
                f"{losses[-1].mean():.6f}",
                flush=True,
            )
        ours, theirs = losses
        influence = [v[:-1] - v[-1] for v in losses]
        rank = np.corrcoef(influence[0].ravel(), influence[1].ravel())[0, 1]
        print(
            f"ratio {times[1] / times[0]:.1f}x, largest difference of a loss "
            f"{np.abs(ours - theirs).max():.1e}, correlation of influences {rank:.6f}"
        )


if __name__ == "__main__":
    main()
