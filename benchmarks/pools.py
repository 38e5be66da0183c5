"""Pools of the Agreement page: many networks at once against one plain torch module at a time.

60 networks on small subsets and 12 early-stopped runs that are tested after every iteration, with the
presets' recipe for the digits. Both ways use the same starts and the same batches. In single precision
rounding grows with the iterations where a ReLU sits at its kink, so that it is the same computation is
shown in double precision, on a part of the networks: all outputs must be equal to 1e-5.

Seconds are CPU time on a CPU: other programs on the machine change it little.

    python benchmarks/pools.py
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.machine import describe
from ddcore.base import rng
from ddcore.data import Dataset, ensure, resolve
from ddcore.data.tensors import DeviceData
from ddcore.nets import NetSpec
from ddcore.nets.module import to_module
from ddcore.nets.network import Network, Weights
from ddcore.pools.real import _subsets, train_real
from ddcore.pools.real_spec import EarlyPool, Pool, SubsetPool
from ddcore.tasks import worker
from ddcore.tasks.queue import devices
from ddcore.tasks.store import Store
from ddcore.tasks.testing import SleepyTask
from ddcore.training.chunks import limit_threads, nets_at_once
from ddcore.training.trained import TrainedNets

NET = NetSpec(width=16, depth=2)
SHARE = 0.25  # of the networks that are trained in double precision as well
Rows = Tensor | None


def batched(
    data: DeviceData, pool: Pool, seeds: list[int], rows: Rows, steps: int, watch: bool
) -> Tensor:
    """Outputs (networks, tests, images, classes), trained as many at a time as the pools do."""
    count = len(data.train) if rows is None else rows.shape[1]
    at_once = nets_at_once(Network(NET, data.shape, 10), min(pool.batch, count), data.device)
    found = []
    for first in range(0, len(seeds), at_once):
        part = slice(first, first + at_once)
        seen: list[Tensor] = []

        def test(t: int, nets: TrainedNets, seen: list[Tensor] = seen) -> None:
            if t and (watch or t == steps):
                seen.append(torch.cat(nets.logits_in_batches(data.test), dim=1))

        train_real(
            NET,
            data.train,
            10,
            seeds[part],
            iterations=steps,
            batch=pool.batch,
            lr=pool.lr,
            subsets=None if rows is None else rows[part],
            on_iteration=test,
        )
        found.append(torch.stack(seen, dim=1))
    return torch.cat(found)


def plain(
    data: DeviceData, pool: Pool, seeds: list[int], rows: Rows, steps: int, watch: bool
) -> Tensor:
    """The same with ordinary modules, one network after the other."""
    network = Network(NET, data.shape, 10)
    everything = torch.arange(len(data.train))
    found = []
    for i, seed in enumerate(seeds):
        module = to_module(network, network.init([rng.generator(seed, "init")])).to(data.device)
        optimiser = torch.optim.SGD(module.parameters(), pool.lr, momentum=pool.momentum)
        order = rng.generator(seed, "order")
        own = everything if rows is None else rows[i]
        images, labels = data.train.batch(own), data.train.labels[own.to(data.device)]
        seen, step = [], 0
        while step < steps:
            whole = pool.batch >= len(own)
            places = torch.arange(len(own)) if whole else torch.randperm(len(own), generator=order)
            for index in places.to(data.device).split(pool.batch)[: steps - step]:
                optimiser.zero_grad()
                F.cross_entropy(module(images[index]), labels[index]).backward()
                optimiser.step()
                step += 1
                if watch or step == steps:
                    with torch.no_grad():
                        parts = [module(x) for x, _ in data.test.batches(2000)]
                    seen.append(torch.cat(parts).cpu())
        found.append(torch.stack(seen))
    return torch.stack(found)


def subset_networks(data: DeviceData, way: Callable[..., Tensor], share: float) -> list[Tensor]:
    """60 networks on 1 to 8 images per class."""
    draws = round(10 * share)
    pool = SubsetPool(data=resolve("digits"), net=NET, sizes=(1, 2, 3, 4, 6, 8), draws=draws)
    labels, found = data.dataset.train_labels, []
    for k in pool.sizes:
        seeds = [rng.derive(0, pool.KIND, k, d) for d in range(draws)]
        streams = [rng.derive(0, pool.KIND, "images", d) for d in range(draws)]
        rows = torch.from_numpy(_subsets(labels, 10, streams, k))
        found.append(way(data, pool, seeds, rows, pool.steps(10 * k), False))
    return found


def early_networks(data: DeviceData, way: Callable[..., Tensor], share: float) -> list[Tensor]:
    """12 runs of 120 iterations."""
    pool = EarlyPool(data=resolve("digits"), net=NET, nets=round(12 * share))
    seeds = [rng.derive(0, pool.KIND, i) for i in range(pool.nets)]
    return [way(data, pool, seeds, None, pool.iterations, True)]


JOBS = {"60 subset-trained": subset_networks, "12 early-stopped": early_networks}


def both_ways(
    job: Callable[..., list[Tensor]], data: DeviceData, share: float = 1.0
) -> tuple[list[Tensor], list[float]]:
    """Outputs (networks x tests, images, classes) and seconds of our way and of the plain one."""
    clock = time.process_time if data.device.type == "cpu" else time.perf_counter
    outputs, times = [], []
    for way in (batched, plain):
        start = clock()
        found = job(data, way, share)
        times.append(clock() - start)
        outputs.append(torch.cat([o.flatten(0, 1) for o in found]))
    return outputs, times


@contextmanager
def double_precision() -> Iterator[None]:
    """Data and networks in float64."""
    init = Network.init

    def doubled(self: Network, *args: object) -> Weights:
        return {name: w.double() for name, w in init(self, *args).items()}

    torch.set_default_dtype(torch.float64)
    try:
        with mock.patch.object(Network, "init", doubled):
            yield
    finally:
        torch.set_default_dtype(torch.float32)


def report(dataset: Dataset, device: str) -> None:
    """A line for each pool: seconds of both ways, ratio, equality."""
    limit_threads(Network(NET, dataset.shape, 10), device)
    data = DeviceData(dataset, device)
    train_real(NET, data.train, 10, [0], iterations=3, batch=64, lr=0.01)  # warm-up
    print(f"\n{NET.label()} on digits, {device}")
    print(f"{'':20s}{'ours s':>9s}{'plain s':>9s}{'ratio':>8s}{'same answers':>15s}  float64 equal")
    for name, job in JOBS.items():
        (ours, theirs), (own, loop) = both_ways(job, data)
        same = float((ours.argmax(-1) == theirs.argmax(-1)).float().mean())
        with double_precision():
            exact, count = both_ways(job, DeviceData(dataset, device), SHARE)[0], len(ours)
        apart = float((exact[0] - exact[1]).abs().max())
        print(
            f"{name:20s}{own:9.1f}{loop:9.1f}{loop / own:7.1f}x{100 * same:13.3f} %  "
            f"{'yes' if apart <= 1e-5 else 'NO'}, to {apart:.0e} ({len(exact[0])} of {count} outputs)",
            flush=True,
        )


def main() -> None:
    """Both pools on the CPU, and on a GPU if there is one."""
    print(describe())
    with tempfile.TemporaryDirectory() as folder:
        store, spec = Store(Path(folder)), SleepyTask()
        dataset = ensure(worker.Context(store, store.create(spec), spec, "cpu"), resolve("digits"))
    for device in dict.fromkeys(("cpu", devices()[0])):
        report(dataset, device)


if __name__ == "__main__":
    main()
