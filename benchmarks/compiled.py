"""Steps compiled against eager, in turns in one process: processor seconds, and how far results lie apart.

Each step is a function that the engines hand over (`ddcore.base.execution`): training in float32 and in
bfloat16, features, gradient matching (two derivatives); `hessian` are products with ten directions, which
share a first derivative where they are eager. Compiling is left out of the ratio and told beside it.

    python benchmarks/compiled.py [training bfloat16 features matching hessian] [--width 32] [--images 64]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from torch import Tensor

from analysis.shared import hessian
from benchmarks.machine import describe
from ddcore.base import execution, rng
from ddcore.distil.engines import gradient_match
from ddcore.nets import NetSpec
from ddcore.nets.network import Network
from ddcore.nets.precision import BFLOAT16, FLOAT32
from ddcore.training import steps

SHAPE, CLASSES = (3, 32, 32), 10
DIRECTIONS = 10
Call = Callable[[], tuple[Tensor, ...]]
CASES = ("training", "bfloat16", "features", "matching", "hessian")


def case(name: str, width: int, images: int) -> tuple[execution.PureStep, tuple[Tensor, ...]]:
    """A step and what it is called with."""
    generator = rng.generator(0)
    precision = BFLOAT16 if name == "bfloat16" else FLOAT32
    twice = name in ("matching", "hessian")
    net = NetSpec(width=width, depth=3)
    network = Network(net, SHAPE, CLASSES, fused_norm=not twice, precision=precision)
    weights = tuple(network.init(generator).values())
    x, y = torch.randn(images, *SHAPE, generator=generator), torch.arange(images) % CLASSES
    if name == "features":
        return execution.step(steps.fresh_features, network), (*weights, x)
    if name == "matching":
        target = gradient_match.class_gradients(network, network.names, *weights, x[None], y[None])
        step = execution.step(gradient_match.distances, network, "dc", network.names)
        return step, (*weights, *target, y[None], -x[None])
    return execution.step(steps.gradients, network, "ce"), (*weights, x, y)


def products(width: int, images: int) -> tuple[Call, Call]:
    """Of a Hessian with some directions, as `curvature` takes them: eager and compiled."""
    network = Network(NetSpec(width=width, depth=3), SHAPE, CLASSES, fused_norm=False)
    weights, generator = network.init(rng.generator(0)), rng.generator(1)
    x, y = torch.randn(images, *SHAPE, generator=generator), torch.arange(images) % CLASSES
    size = sum(w.numel() for w in weights.values())
    vectors = torch.randn(DIRECTIONS, 1, size, generator=generator)

    def way(compile: str) -> tuple[Tensor]:
        os.environ["DD_COMPILE"] = compile
        return (hessian.hvp(network, weights, vectors, hessian.Images(x, y), chunk=images),)

    return (lambda: way("0")), (lambda: way("1"))


def ways(name: str, width: int, images: int) -> tuple[Call, Call]:
    """Eager and compiled."""
    if name == "hessian":
        return products(width, images)
    step, tensors = case(name, width, images)
    return (lambda: step.eager(*tensors)), (lambda: step(*tensors))


def seconds(work: Callable[[], object]) -> float:
    """Of the processor."""
    start = time.process_time()
    work()
    return time.process_time() - start


def measure(name: str, width: int, images: int, repeats: int) -> None:
    """One line."""
    both, times, noted = ways(name, width, images), ([], []), execution.Ways()
    with execution.noted(noted), torch.set_grad_enabled(name != "features"):
        for _ in range(repeats + 1):
            for way, found in zip(both, times):
                found.append(seconds(way))
        pairs = list(zip(*(way() for way in both)))
    if not noted.facts():
        sys.exit("nothing can be compiled here")
    eager, own = (statistics.median(t[1:]) for t in times)
    # Biases before a norm have no derivative but rounding: apart beside the largest tensor.
    largest = max(float(a.norm()) for a, _ in pairs)
    apart = max(float((a - b).norm()) for a, b in pairs) / largest
    images *= DIRECTIONS if name == "hessian" else 1
    print(
        f"{name:10s}{images / eager:10.0f}{images / own:10.0f}{eager / own:8.2f}x{apart:10.0e}"
        f"{noted.seconds:12.0f}",
        flush=True,
    )


def main() -> None:
    """All cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    for name in options.cases:
        if name not in CASES:
            sys.exit(f"{name} is none of {', '.join(CASES)}.")
    os.environ["DD_COMPILE"] = "1"
    torch.set_num_threads(1)
    print(describe())
    print(f"ConvNet-3 w{options.width}, {options.images} images of 3x32x32, one thread\n")
    columns = ("eager/s", "compiled/s", "ratio", "apart", "compiling s")
    print(f"{'images':10s}" + "".join(f"{c:>10s}" for c in columns))
    for name in options.cases or CASES:
        measure(name, options.width, options.images, options.repeats)


if __name__ == "__main__":
    main()
