"""Leave-one-out retraining as one batched network (`loo_estimates` has two cheap estimates of its outcome).

Network n of a batch minimises a mean over the images left in, given by a row of 0/1 weights. Where a network
treats every image by itself (any norm but batch norm) a weight of 0 is the same as leaving the image out.
Influence is I[j, i] = loss of test image i without distilled image j, minus that with all: positive where j
helps i.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ddcore.base import rng
from ddcore.base.errors import DataError
from ddcore.base.spread import summary
from ddcore.data import ensure
from ddcore.data.tensors import DeviceData, Part
from ddcore.nets.network import Network, Weights
from ddcore.nets.plan import cost
from ddcore.sets.distilled import DistilledSet
from ddcore.training.chunks import CUDA_FLOATS_AT_ONCE, limit_threads
from ddcore.training.trained import TrainedNets

if TYPE_CHECKING:
    from analysis.shared.loo_spec import LeaveOneOut
    from ddcore.tasks.worker import Context

# Activations of the networks trained together: measured on one core, where 8 to 51 networks on 50 digits
# are equally fast and 1 is half as fast; all see the same images, so the first layer is one convolution.
CPU_FLOATS_AT_ONCE = 4 << 20


def weighted_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Each network's mean cross-entropy over its images: logits (N, B, K), labels (B,), weights (N, B)."""
    n, b, k = logits.shape
    each = F.cross_entropy(logits.reshape(n * b, k), labels.repeat(n), reduction="none")
    return (each.view(n, b) * weights).sum(1) / weights.sum(1)


def train_weighted(
    network: Network,
    params: Weights,
    images: Tensor,
    labels: Tensor,
    weights: Tensor,
    *,
    iterations: int,
    lr: float,
    momentum: float,
    on_step: Callable[[int], None] = lambda step: None,
) -> TrainedNets:
    """Full-batch gradient descent with momentum of N networks on shared images (B, C, H, W).

    `weights` (N, B) are 1 for images a network sees and 0 for others; `params` are where they start.
    """
    params = {name: w.detach().clone().requires_grad_() for name, w in params.items()}
    leaves = list(params.values())
    optimiser = torch.optim.SGD(leaves, lr, momentum=momentum)
    for step in range(iterations):
        loss = weighted_cross_entropy(network.logits(params, images), labels, weights).sum()
        for w, g in zip(leaves, torch.autograd.grad(loss, leaves)):
            w.grad = g
        optimiser.step()
        on_step(step + 1)
    trained = {name: w.detach() for name, w in params.items()}
    return TrainedNets(network, trained, network.init_stats(images.device))


def left_in(count: int) -> Tensor:
    """(M + 1, M) weights: row j leaves image j out, the last row nothing."""
    return torch.cat([1 - torch.eye(count), torch.ones(1, count)])


def repeated(params: Weights, count: int) -> Weights:
    """The one network of `params`, `count` times."""
    return {name: w.expand(count, *w.shape[1:]) for name, w in params.items()}


def losses_on(nets: TrainedNets, part: Part) -> tuple[np.ndarray, np.ndarray]:
    """Cross-entropy of every network on every image (N, B) float64, and shares classified rightly (N,)."""
    labels, found, right = part.labels.cpu(), [], []
    start = 0
    for logits in nets.logits_in_batches(part):
        wanted = labels[start : start + logits.shape[1]].expand(len(logits), -1)
        start += logits.shape[1]
        found.append(F.cross_entropy(logits.double().mT, wanted, reduction="none"))
        right.append(logits.argmax(2) == wanted)
    return torch.cat(found, 1).numpy(), torch.cat(right, 1).double().mean(1).numpy()


def at_once(network: Network, images: int, device: str | torch.device) -> int:
    """How many networks to train together on a shared batch of so many images."""
    most = CPU_FLOATS_AT_ONCE if torch.device(device).type == "cpu" else CUDA_FLOATS_AT_ONCE
    return max(1, most // (cost(network.plan, network.shape).activations * images))


def run(context: Context[LeaveOneOut]) -> None:
    """Task `leave_one_out`: see `LeaveOneOut`. Goes on after the last finished group of networks."""
    spec = context.spec
    job = _Retraining(context)
    for place in range(job.done, len(job.groups)):
        job.train(place)
        if context.checkpoint_due():
            job.keep(place)
    losses, accuracy, count = job.losses, job.accuracy, job.count
    if not np.isfinite(losses).all():
        raise DataError("Networks trained on this set diverged: choose a smaller step size.")
    context.save_arrays({name: w.numpy() for name, w in job.full.items()}, name="weights")
    context.save_arrays(
        {
            # Half precision is 0.05 % of a value, far below what two initialisations differ by.
            "influence": (losses[:, :count] - losses[:, count:]).astype(np.float16),
            "loss": losses[:, count],
            "accuracy": accuracy,
        }
    )
    context.progress(1000, 1000)
    context.save_result(
        {
            "accuracy": summary(accuracy[:, count].tolist()),
            "images": count,
            "tests": losses.shape[2],
            "network": spec.net.label(),
            "work": spec.work(job.network.shape, job.network.classes, losses.shape[2]),
            "device": context.device,
            "seconds": context.seconds,
            "cpu_seconds": context.cpu_seconds,
        }
    )


class _Retraining:
    """Groups of networks that are trained together, and what is known of those that are finished.

    For M images and R initialisations: `losses` (R, M + 1, N) on the test images, `accuracy` (R, M + 1), the
    last with all images, and `full`, weights of R networks that saw all. The first `done` groups are known.
    """

    def __init__(self, context: Context[LeaveOneOut]) -> None:
        self.context = context
        spec = context.spec
        self.spec = spec
        made = DistilledSet.from_task(context.need_key(spec.run_key))
        data = DeviceData(ensure(context, spec.data), context.device)
        self.test, self.count = data.test, len(made.images)
        self.network = Network(spec.net, data.shape, data.num_classes)
        limit_threads(self.network, context.device)
        self.kind = torch.float64 if spec.precision == "double" else torch.float32
        self.images = torch.from_numpy(made.images).to(context.device, self.kind)
        self.labels = torch.from_numpy(made.hard_labels).to(context.device)
        self.weights = left_in(self.count).to(self.images)
        chunk, rows = at_once(self.network, self.count, context.device), range(self.count + 1)
        self.groups = [(r, rows[i : i + chunk]) for r in range(spec.inits) for i in rows[::chunk]]
        self.losses = np.zeros((spec.inits, len(rows), len(self.test)), np.float32)
        self.accuracy = np.zeros((spec.inits, len(rows)), np.float32)
        streams = [_stream(spec, r) for r in range(spec.inits)]
        self.full = self.network.with_nets(spec.inits).init(streams)
        self.done = 0
        if resumed := context.load_checkpoint():
            arrays, meta = resumed
            self.done = meta["groups"]
            self.losses, self.accuracy = arrays["losses"].copy(), arrays["accuracy"].copy()
            self.full = {k: torch.from_numpy(arrays[f"full.{k}"].copy()) for k in self.full}

    def train(self, place: int) -> None:
        """Train and test the networks of a group."""
        r, numbers = self.groups[place]
        rows = slice(numbers.start, numbers.stop)
        few, spec = self.network.with_nets(len(numbers)), self.spec

        def on_step(step: int) -> None:
            share = (place + step / spec.iterations) / len(self.groups)
            self.context.progress(round(1000 * share), 1000)

        start = self.network.init([_stream(spec, r)], self.context.device, self.kind)
        trained = train_weighted(
            few,
            repeated(start, few.num_nets),
            self.images,
            self.labels,
            self.weights[rows],
            iterations=spec.iterations,
            lr=spec.lr,
            momentum=spec.momentum,
            on_step=on_step,
        )
        nets = TrainedNets(few, {name: w.float() for name, w in trained.params.items()}, {})
        self.losses[r, rows], self.accuracy[r, rows] = losses_on(nets, self.test)
        if rows.stop == self.count + 1:
            for name, w in nets.params.items():
                self.full[name][r] = w[-1].cpu()

    def keep(self, place: int) -> None:
        """A checkpoint after the group at `place`."""
        arrays = {f"full.{name}": w.numpy() for name, w in self.full.items()}
        arrays |= {"losses": self.losses, "accuracy": self.accuracy}
        self.context.save_checkpoint(place, arrays, {"groups": place + 1})


def _stream(spec: LeaveOneOut, r: int) -> torch.Generator:
    """Where initialisation r comes from: the same for every set."""
    return rng.generator(rng.derive(spec.seed, spec.KIND, r), "init")
