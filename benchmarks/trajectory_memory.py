"""Peak memory of trajectory matching's exact gradient over the number of inner steps: ours against one
graph of all steps, as published code has it.

Each case runs in a process of its own, so that its peak resident memory is its own. The C library is told
to give every larger block back at once, as in `unroll_memory.py`. Full unrolling at the defaults takes
about 500 MB per step.

    python benchmarks/trajectory_memory.py
    python benchmarks/trajectory_memory.py --width 32 --steps 5 20 --full 5 20
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

OURS, TESLA, FULL = "ours", "ours, tesla", "full unrolling"


def case(kind: str, steps: int, width: int, images: int) -> None:
    """One gradient of a ConvNet-3; prints peak resident MB above the set-up, seconds, MB of weights."""
    import torch

    from ddcore.base import rng
    from ddcore.distil.engines.rules import GradientDescent
    from ddcore.distil.engines.trajectory_match import squared_distance
    from ddcore.distil.engines.unroll import full_autograd, meta_gradient
    from ddcore.nets import NetSpec
    from ddcore.nets.network import Network
    from ddcore.training.losses import cross_entropy

    network = Network(NetSpec(width=width, depth=3), (3, 32, 32), 10, fused_norm=False)
    params = network.init(rng.generator(0))
    names, start = list(params), tuple(params.values())
    target = tuple(w + 0.01 * torch.randn(w.shape, generator=rng.generator(2)) for w in start)
    length = squared_distance(start, target)
    pictures = torch.randn(images, 3, 32, 32, generator=rng.generator(1))
    classes = torch.arange(images) % 10

    def inner(_, weights, leaves):
        logits = network.logits(dict(zip(names, weights)), leaves[0])
        return cross_entropy(logits, classes[: len(leaves[0])])

    def outer(weights):
        return (squared_distance(weights, target) / length).sum()

    def gradient(count, pictures):
        setup = (inner, outer, GradientDescent(), start, (pictures,))
        setup = (*setup, (torch.full((count,), 0.01),), range(count))
        if kind == FULL:
            return full_autograd(*setup)
        return meta_gradient(*setup, through_weights=kind != TESLA)

    gradient(1, pictures[:1])  # allocators and kernels warm, on one image
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.perf_counter()
    gradient(steps, pictures)
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print((peak - before) / 1024, seconds, sum(w.numel() * 4 for w in start) / 2**20)


def main() -> None:
    """All cases, then what a step more costs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--steps", type=int, nargs="+", default=[5, 10, 20, 50])
    parser.add_argument(
        "--full", type=int, nargs="*", default=[5, 10, 20], help="steps to unroll fully"
    )
    parser.add_argument("--case", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        case(options.case[0], int(options.case[1]), options.width, options.images)
        return

    from benchmarks.machine import describe

    print(describe())
    print(f"ConvNet-3 w{options.width}, {options.images} images of 32x32, plain gradient descent\n")
    print(f"{'':16s}{'steps':>6s}{'peak MB':>10s}{'seconds':>9s}")
    found: dict[tuple[str, int], float] = {}
    for kind, counts in ((OURS, options.steps), (TESLA, options.steps), (FULL, options.full)):
        for steps in counts:
            arguments = ["--width", str(options.width), "--images", str(options.images)]
            line = subprocess.run(
                [sys.executable, __file__, *arguments, "--case", kind, str(steps)],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
                env=dict(os.environ, MALLOC_MMAP_THRESHOLD_="65536", GOMP_SPINCOUNT="1000"),
            ).stdout
            found[kind, steps], seconds, weights = map(float, line.split())
            print(f"{kind:16s}{steps:6d}{found[kind, steps]:10.1f}{seconds:9.2f}", flush=True)
    print(f"\none network's weights: {weights:.2f} MB")
    for kind, counts in ((OURS, options.steps), (TESLA, options.steps), (FULL, options.full)):
        if len(counts) > 1:
            first, last = min(counts), max(counts)
            growth = (found[kind, last] - found[kind, first]) / (last - first)
            print(
                f"growth per step, {kind}: {growth:.2f} MB = {growth / weights:.1f} x the weights"
            )
    for steps in sorted(set(options.steps) & set(options.full)):
        ratio = found[FULL, steps] / found[OURS, steps]
        print(f"peak at {steps} steps, full unrolling : ours = {ratio:.1f}")


if __name__ == "__main__":
    main()
