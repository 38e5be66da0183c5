"""Seconds per outer step of every method: ours against a plain loop, in the same run.

Ours computes all networks and classes as one and takes gradients through training at the memory of one
update. The plain loop takes one network and one class at a time in ordinary torch modules, as the
published code does, and unrolls training into one graph, which needs one pass less per inner step and
memory that grows with every one. It leaves out what a parametrization or a generator adds (memories, gtn,
textures) and intermediate losses (gtn).

    python benchmarks/methods.py [METHOD ...] [--dataset digits] [--ipc 1] [--steps 5]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
import torch.nn.functional as F
from torch.func import functional_call

from benchmarks.machine import describe
from ddcore.data import ensure, resolve
from ddcore.data.tensors import DeviceData
from ddcore.distil.contract import method, methods
from ddcore.distil.engines.gradient_match import GradientMatching, channel_cosines
from ddcore.distil.engines.match import FeatureMatching
from ddcore.distil.engines.meta import MetaLearning
from ddcore.distil.engines.trajectory_match import TrajectoryMatching
from ddcore.distil.problem import Distiller, Problem
from ddcore.distil.settings import make_spec
from ddcore.nets.module import to_module
from ddcore.tasks import worker
from ddcore.tasks.queue import devices
from ddcore.tasks.store import Store
from ddcore.training.chunks import limit_threads


def ours(distiller: Distiller, iteration: int) -> None:
    """One outer step as the runner takes it."""
    distiller.step(iteration)
    distiller.optimiser.step()


# --- plain loops ------------------------------------------------------------------------------------


class Plain:
    """What a plain loop needs: modules, images as a leaf, real data."""

    def __init__(self, distiller: Distiller) -> None:
        self.problem, self.params = distiller.problem, distiller.problem.spec.params
        images, _ = distiller.synthetic.final()
        self.images = images.detach().clone().requires_grad_()
        self.labels = distiller.synthetic.classes_of(distiller.synthetic.decoder.final())
        self.nets = getattr(self.params, "nets", 1)
        self.distiller = distiller

    def module(self, iteration: int, net: int) -> torch.nn.Module:
        """A fresh network."""
        network = self.problem.network(1)
        weights = network.init(self.problem.generator("plain", iteration, net))
        return to_module(network, weights).to(self.problem.device)

    def real(self, iteration: int, per_class: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Real images of every class."""
        generator = self.problem.generator("real", iteration)
        return self.problem.data.sample_per_class(per_class, generator)


def features(plain: Plain, iteration: int) -> None:
    """DM: class by class, network by network."""
    real, classes = plain.real(iteration, plain.params.real_batch)
    loss = 0.0
    for net in range(plain.nets):
        body = plain.module(iteration, net)[:-1]
        for c in range(plain.problem.classes):
            with torch.no_grad():
                target = body(real[classes == c]).flatten(1).mean(0)
            loss = (
                loss
                + (body(plain.images[plain.labels == c]).flatten(1).mean(0) - target).square().sum()
            )
    loss.backward()


def gradients(plain: Plain, iteration: int) -> None:
    """DC: class by class, network by network, a second derivative for each."""
    real, classes = plain.real(iteration, plain.params.real_batch)
    for net in range(plain.nets):
        module = plain.module(iteration, net)
        weights = list(module.parameters())
        loss = 0.0
        for c in range(plain.problem.classes):
            x, y = real[classes == c], classes[classes == c]
            target = torch.autograd.grad(F.cross_entropy(module(x), y), weights)
            x, y = plain.images[plain.labels == c], plain.labels[plain.labels == c]
            made = torch.autograd.grad(F.cross_entropy(module(x), y), weights, create_graph=True)
            loss = loss + channel_cosines([g[None] for g in target], [g[None] for g in made]).sum()
        loss.backward()


def unrolled(plain: Plain, iteration: int) -> None:
    """Meta-learning: network by network, all of training in one graph."""
    d: MetaLearning = plain.distiller
    steps = d._window(iteration)
    for net in range(plain.nets):
        module = plain.module(iteration, net)
        theta = {k: w.detach().requires_grad_() for k, w in module.named_parameters()}
        parts = plain.problem.spec.steps
        size = len(plain.images) // parts
        for t in range(steps.stop):
            part = slice((t % parts) * size, (t % parts + 1) * size)
            x, y = plain.images[part], plain.labels[part]
            loss = F.cross_entropy(functional_call(module, theta, x), y)
            graph = t in steps  # before the window of RaT-BPTT there is none
            found = torch.autograd.grad(loss, list(theta.values()), create_graph=graph)
            theta = {k: w - d.inner.lr * g for (k, w), g in zip(theta.items(), found)}
        x, y = d._real(iteration)
        F.cross_entropy(functional_call(module, theta, x), y).backward()


def trajectories(plain: Plain, iteration: int) -> None:
    """MTT: expert by expert, all of training in one graph."""
    p = plain.params
    for net in range(plain.nets):
        module = plain.module(iteration, net)
        start = {k: w.detach() for k, w in module.named_parameters()}
        target = {k: w + 0.01 * torch.randn_like(w) for k, w in start.items()}
        theta = {k: w.clone().requires_grad_() for k, w in start.items()}
        for _ in range(p.inner_steps):
            loss = F.cross_entropy(functional_call(module, theta, plain.images), plain.labels)
            found = torch.autograd.grad(loss, list(theta.values()), create_graph=True)
            theta = {k: w - p.lr0 * g for (k, w), g in zip(theta.items(), found)}
        far = sum((theta[k] - target[k]).square().sum() for k in theta)
        (far / sum((start[k] - target[k]).square().sum() for k in theta)).backward()


PLAIN: dict[type, Callable[[Plain, int], None]] = {
    FeatureMatching: features,
    GradientMatching: gradients,
    MetaLearning: unrolled,
    TrajectoryMatching: trajectories,
}


# --- measuring --------------------------------------------------------------------------------------


def seconds(function: Callable[[int], None], steps: int, device: str) -> float:
    """Median seconds per call after a warm-up."""
    times = []
    for iteration in range(steps + 1):
        start = time.perf_counter()
        function(iteration)
        if device != "cpu":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def measure(name: str, dataset: str, ipc: int, steps: int, device: str, store: Store) -> None:
    """One line: ours, plain, ratio."""
    context = _context(store, device)
    data_spec = resolve(dataset)
    data = DeviceData(ensure(context, data_spec), device)
    spec = make_spec(name, data_spec, data.shape, ipc=ipc)
    problem = Problem(spec, data, device, context.need)
    limit_threads(problem.network(1), device)
    distiller = method(name).build(problem)
    kind = next((k for k in PLAIN if isinstance(distiller, k)), None)
    if kind is None:
        print(f"{name:10s} has no plain loop here")
        return
    plain = Plain(distiller)
    own = seconds(lambda t: ours(distiller, t), steps, device)
    loop = seconds(lambda t: PLAIN[kind](plain, t), steps, device)
    nets = getattr(spec.params, "nets", 1)
    print(f"{name:10s}{nets:6d}{1e3 * own:12.1f}{1e3 * loop:12.1f}{loop / own:11.1f}x", flush=True)


def _context(store: Store, device: str) -> worker.Context:
    from ddcore.tasks.testing import SleepyTask

    spec = SleepyTask()
    return worker.Context(store, store.create(spec), spec, device)


def main() -> None:
    """Every method on the CPU, and on a GPU if there is one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("methods", nargs="*", default=list(methods()))
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--ipc", type=int, default=1)
    parser.add_argument("--steps", type=int, default=5)
    options = parser.parse_args()
    print(describe())
    for device in dict.fromkeys(("cpu", devices()[0])):
        print(f"\n{options.dataset}, {options.ipc} per class, preset quick, on {device}")
        print(f"{'':10s}{'nets':>6s}{'ours ms':>12s}{'plain ms':>12s}{'plain/ours':>12s}")
        with tempfile.TemporaryDirectory() as folder:
            store = Store(Path(folder))
            for name in options.methods:
                measure(name, options.dataset, options.ipc, options.steps, device, store)


if __name__ == "__main__":
    main()
