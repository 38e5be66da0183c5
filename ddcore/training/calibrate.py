"""Measuring a machine: plain training of a tiny, a middling and a large network, a product of matrices."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch.nn.functional import cross_entropy

from ddcore.base import rng
from ddcore.nets.architectures import NetSpec, image_macs
from ddcore.nets.network import Network
from ddcore.tasks.worker import Context
from ddcore.training.chunks import limit_threads

# Images of digits in the CPU's set-up, of 32 pixels in the narrow network of Quick, and as published.
CASES = (
    (NetSpec(width=16, depth=2), (1, 8, 8), 100),
    (NetSpec(width=32, depth=3), (3, 32, 32), 64),
    (NetSpec(width=128, depth=3), (3, 32, 32), 64),
)
CLASSES = 10
SIDE = 768  # of the matrices
LEAST_S = 0.6  # that each case is repeated for


def run(context: Context) -> None:
    """Task `speed`: see `ddcore.training.speed.Calibration`."""
    device = context.device
    points = []
    for number, (net, shape, batch) in enumerate(CASES):
        context.progress(number, len(CASES) + 1)
        network = Network(net, shape, CLASSES)
        threads = torch.get_num_threads()
        limit_threads(network, device)
        macs = image_macs(net, shape, CLASSES)
        seconds = repeated(training_step(network, batch, device), device)
        torch.set_num_threads(threads)
        points.append([macs, 3 * batch * macs / seconds])
    matrix = torch.randn(SIDE, SIDE, dtype=torch.float64, generator=rng.generator(0, "speed")).to(
        device
    )
    seconds = repeated(lambda: matrix @ matrix, device)
    context.progress(len(CASES) + 1, len(CASES) + 1)
    context.save_result(
        {
            "points": points,
            "matrix": SIDE**3 / seconds,
            "device": device.split(":")[0],
            "seconds": context.seconds,
        }
    )


def training_step(network: Network, batch: int, device: str) -> Callable[[], object]:
    """A function that takes one gradient of one network on random images."""
    generator = rng.generator(0, "speed")
    params = network.init(generator, device)
    stats = network.init_stats(device)
    images = torch.randn(1, batch, *network.shape, generator=generator).to(device)
    labels = torch.zeros(batch, dtype=torch.long, device=device)
    for value in params.values():
        value.requires_grad_()

    def step() -> object:
        loss = cross_entropy(network.logits(params, images, stats)[0], labels)
        return torch.autograd.grad(loss, list(params.values()))

    return step


def repeated(work: Callable[[], object], device: str) -> float:
    """Seconds of one call, the fastest of several; those in which others had the processor do not count."""
    work()
    best, start = float("inf"), time.perf_counter()
    while time.perf_counter() - start < LEAST_S:
        _wait(device)
        before = _clock(device)
        work()
        _wait(device)
        best = min(best, _clock(device) - before)
    return best


def _clock(device: str) -> float:
    """Seconds of a thread that computed all the time."""
    if device != "cpu":
        return time.perf_counter()
    return time.process_time() / torch.get_num_threads()


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
