"""N = 20 digits networks trained at once against one by one, and against vmap over one network.

python benchmarks/batched_nets.py
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

from benchmarks.machine import describe
from ddcore.base import rng
from ddcore.nets import NetSpec
from ddcore.nets.network import Network
from ddcore.training.chunks import limit_threads, nets_at_once
from ddcore.training.losses import cross_entropy
from ddcore.training.protocols import PROTOCOLS
from ddcore.training.train import train

NETS, REPEATS = 20, 3
NET = NetSpec(width=16, depth=2)


def seconds(function) -> float:
    """Median of repeats after a warm-up."""
    function()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def vmapped(images, labels, recipe) -> None:
    """The same training with torch.func.vmap(grad) over one network's function."""
    single = Network(NET, (1, 8, 8), 10)
    stacked = single.with_nets(NETS).init([rng.generator(s, "init") for s in range(NETS)])
    weights = [w.requires_grad_() for w in stacked.values()]
    optimiser = torch.optim.SGD(
        weights, recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )

    def loss(params):
        return cross_entropy(single.logits({k: w[None] for k, w in params.items()}, images), labels)

    gradient = torch.func.vmap(torch.func.grad(loss))
    for _ in range(recipe.epochs):
        gradients = gradient({k: w.detach() for k, w in stacked.items()})
        for w, g in zip(weights, gradients.values()):
            w.grad = g
        optimiser.step()


def main() -> None:
    """Small, middle and large batches, on one thread as workers do for networks of this size."""
    limit_threads(Network(NET, (1, 8, 8), 10), "cpu")
    print(describe())
    print(f"{NETS} x {NET.label()}, protocol quick with 50 steps; seconds (ratio to ours)\n")
    recipe = PROTOCOLS["quick"].replace(epochs=50)
    print(f"{'images':>7s}{'ours':>9s}{'one by one':>20s}{'all at once':>20s}{'vmap':>20s}")
    for count in (10, 50, 100, 300):
        images = torch.randn(count, 1, 8, 8, generator=rng.generator(0))
        labels = torch.arange(count) % 10
        seeds = list(range(NETS))

        def run(chunk, images=images, labels=labels, seeds=seeds):
            return train(NET, images, labels, 10, recipe, seeds, chunk=chunk)

        chunk = nets_at_once(Network(NET, (1, 8, 8), 10), count, "cpu")
        ours = seconds(lambda run=run: run(None))
        row = [seconds(lambda run=run: run(1)), seconds(lambda run=run: run(NETS))]
        row.append(seconds(lambda x=images, y=labels: vmapped(x, y, recipe)))
        cells = "".join(f"{s:12.2f} ({s / ours:4.1f}x)" for s in row)
        print(f"{count:7d}{ours:9.2f}{cells}   ours trains {min(chunk, NETS)} at a time")


if __name__ == "__main__":
    main()
