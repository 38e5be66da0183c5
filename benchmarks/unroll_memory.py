"""Peak memory of the exact meta-gradient from 10 to 100 inner steps: ours against full autograd.

Each case runs in a process of its own, so that its peak resident memory is its own. Growth is compared
with the bytes of the weights that have to be stored. The C library is told to give every larger block
back at once: with its default, freed blocks linger between the stored ones and blur the measurement.

    python benchmarks/unroll_memory.py
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

STEPS = (10, 100)
WIDTH, DEPTH, IMAGES, NETS = 32, 3, 10, 1


def case(kind: str, steps: int) -> None:
    """One meta-gradient; prints peak resident MB above the set-up, and seconds."""
    import torch

    from ddcore.base import rng
    from ddcore.distil.engines.rules import GradientDescent
    from ddcore.distil.engines.unroll import full_autograd, meta_gradient
    from ddcore.nets import NetSpec
    from ddcore.nets.network import Network
    from ddcore.training.losses import cross_entropy

    network = Network(NetSpec(width=WIDTH, depth=DEPTH), (3, 32, 32), 10, NETS, fused_norm=False)
    params = network.init(rng.generator(0))
    names = list(params)
    images = torch.randn(IMAGES, 3, 32, 32, generator=rng.generator(1))
    labels = torch.arange(IMAGES) % 10

    def loss(_, weights, leaves):
        return cross_entropy(network.logits(dict(zip(names, weights)), leaves[0]), labels)

    def outer(weights):
        return loss(0, weights, (images,))

    function = meta_gradient if kind == "ours" else full_autograd
    rule = GradientDescent(momentum=0.9)
    setup = (loss, outer, rule, rule.start(tuple(params.values())), (images,))
    function(*setup, (torch.full((1,), 0.01),), range(1))  # allocators and kernels warm
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    function(*setup, (torch.full((steps,), 0.01),), range(steps))
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    weights = sum(w.numel() * 4 for w in params.values())
    print((peak - before) / 1024, seconds, weights / 2**20)


def main() -> None:
    """All cases, then the growth."""
    from benchmarks.machine import describe

    print(describe())
    print(f"ConvNet-{DEPTH} w{WIDTH}, {IMAGES} images of 32x32, momentum 0.9\n")
    print(f"{'':14s}{'steps':>6s}{'peak MB':>10s}{'seconds':>9s}")
    found = {}
    for kind in ("ours", "full autograd"):
        for steps in STEPS:
            line = subprocess.run(
                [sys.executable, __file__, kind, str(steps)],
                capture_output=True,
                text=True,
                check=True,
                env=dict(os.environ, MALLOC_MMAP_THRESHOLD_="65536", GOMP_SPINCOUNT="1000"),
            ).stdout
            peak, seconds, weights = map(float, line.split())
            found[kind, steps] = peak
            print(f"{kind:14s}{steps:6d}{peak:10.1f}{seconds:9.2f}")
    stored = 2 * weights * (STEPS[1] - STEPS[0])  # weights and, with momentum, velocities
    growth = {k: found[k, STEPS[1]] - found[k, STEPS[0]] for k in ("ours", "full autograd")}
    print(f"\nstored weights and velocities of {STEPS[1] - STEPS[0]} more steps: {stored:.1f} MB")
    for kind, mb in growth.items():
        print(f"growth, {kind}: {mb:.1f} MB = {mb / stored:.2f} x the stored weights")
    ratio = found["full autograd", STEPS[1]] / found["ours", STEPS[1]]
    print(f"peak at {STEPS[1]} steps, full autograd : ours = {ratio:.1f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        case(sys.argv[1], int(sys.argv[2]))
    else:
        main()
