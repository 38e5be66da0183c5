"""Leave-one-out retraining as one batched network, and two cheap estimates of its outcome.

Network n of a batch minimises a mean over the images left in, given by a row of 0/1 weights. Where a network
treats every image by itself (any norm but batch norm) a weight of 0 is the same as leaving the image out.
Influence is I[j, i] = loss of test image i without distilled image j, minus that with all: positive where j
helps i.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ddcore.base import rng
from ddcore.base.errors import DataError
from ddcore.base.spread import summary
from ddcore.data import ensure
from ddcore.data.tensors import DeviceData, Part
from ddcore.nets.network import Network, Params, select
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
TOLERANCE = 1e-6  # of the residual, relative to the right-hand side
MOST_STEPS = 500


# --- exact: retraining ----------------------------------------------------------------------------


def weighted_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Each network's mean cross-entropy over its images: logits (N, B, K), labels (B,), weights (N, B)."""
    n, b, k = logits.shape
    each = F.cross_entropy(logits.reshape(n * b, k), labels.repeat(n), reduction="none")
    return (each.view(n, b) * weights).sum(1) / weights.sum(1)


def train_weighted(
    network: Network,
    params: Params,
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


def repeated(params: Params, count: int) -> Params:
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


def run(context: Context) -> None:
    """Task `leave_one_out`: see `LeaveOneOut`. Goes on after the last finished group of networks."""
    spec: LeaveOneOut = context.spec
    made = DistilledSet.from_task(context.need_key(spec.run_key))
    data = DeviceData(ensure(context, spec.data), context.device)
    network = Network(spec.net, data.shape, data.num_classes)
    limit_threads(network, context.device)
    kind = torch.float64 if spec.precision == "double" else torch.float32
    images = torch.from_numpy(made.images).to(context.device, kind)
    labels = torch.from_numpy(made.hard_labels).to(context.device)
    count = len(images)
    weights = left_in(count).to(images)
    chunk = at_once(network, count, context.device)
    starts = [(r, first) for r in range(spec.inits) for first in range(0, count + 1, chunk)]
    losses = np.zeros((spec.inits, count + 1, len(data.test)), np.float32)
    accuracy = np.zeros((spec.inits, count + 1), np.float32)
    full = network.with_nets(spec.inits).init([_stream(spec, r) for r in range(spec.inits)])
    done = 0
    if resumed := context.load_checkpoint():
        arrays, meta = resumed
        done, losses, accuracy = meta["groups"], arrays["losses"].copy(), arrays["accuracy"].copy()
        full = {name: torch.from_numpy(arrays[f"full.{name}"].copy()) for name in full}
    for place in range(done, len(starts)):
        r, first = starts[place]
        rows = slice(first, min(first + chunk, count + 1))
        few = network.with_nets(rows.stop - rows.start)

        def on_step(step: int, place: int = place) -> None:
            share = (place + step / spec.iterations) / len(starts)
            context.progress(round(1000 * share), 1000)

        nets = train_weighted(
            few,
            repeated(network.init([_stream(spec, r)], context.device, kind), few.num_nets),
            images,
            labels,
            weights[rows],
            iterations=spec.iterations,
            lr=spec.lr,
            momentum=spec.momentum,
            on_step=on_step,
        )
        nets = TrainedNets(few, {name: w.float() for name, w in nets.params.items()}, {})
        losses[r, rows], accuracy[r, rows] = losses_on(nets, data.test)
        if rows.stop == count + 1:
            for name, w in nets.params.items():
                full[name][r] = w[-1].cpu()
        if context.checkpoint_due():
            arrays = {f"full.{name}": w.numpy() for name, w in full.items()}
            arrays |= {"losses": losses, "accuracy": accuracy}
            context.save_checkpoint(place, arrays, {"groups": place + 1})
    if not np.isfinite(losses).all():
        raise DataError("Networks trained on this set diverged: choose a smaller step size.")
    context.save_arrays({name: w.numpy() for name, w in full.items()}, name="weights")
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
            "tests": len(data.test),
            "network": spec.net.label(),
            "work": spec.work(data.shape, data.num_classes, len(data.test)),
            "device": context.device,
            "seconds": context.seconds,
            "cpu_seconds": context.cpu_seconds,
        }
    )


def _stream(spec: LeaveOneOut, r: int) -> torch.Generator:
    """Where initialisation r comes from: the same for every set."""
    return rng.generator(rng.derive(spec.seed, spec.KIND, r), "init")


# --- cheap: estimates at the weights of the network trained on all ---------------------------------


class Curvature(Protocol):
    """Derivatives of the mean loss of M images at trained weights; J directions of P weights at once."""

    count: int

    def gradients(self) -> Tensor:
        """(M, P): the gradient of each image's own loss."""

    def product(self, v: Tensor) -> Tensor:
        """(J, P): the Hessian of the mean loss times each row of `v`."""

    def along(self, v: Tensor, part: Part) -> Tensor:
        """(J, B): how fast the loss of each image of a part grows along each row of `v`."""


class LastLayer:
    """A softmax classifier on fixed features (M, F); its Hessian is known in closed form and convex.

    `features_of` maps preprocessed images to features (B, F). P = K (F + 1): weights and biases.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        features: Tensor,
        labels: Tensor,
        features_of: Callable[[Tensor], Tensor],
    ) -> None:
        self.theta = torch.cat([weight, bias[:, None]], 1).double()  # (K, F + 1)
        self.x, self.count = _with_one(features), len(features)
        self.features_of = features_of
        self.p = (self.x @ self.theta.T).softmax(1)
        self.residual = self.p - F.one_hot(labels, len(bias)).double()

    def gradients(self) -> Tensor:
        """(M, P)."""
        return torch.einsum("mk,mf->mkf", self.residual, self.x).flatten(1)

    def product(self, v: Tensor) -> Tensor:
        """(J, P)."""
        scores = torch.einsum("jkf,mf->jmk", v.view(-1, *self.theta.shape), self.x)
        inner = self.p * (scores - (self.p * scores).sum(2, keepdim=True))
        return torch.einsum("jmk,mf->jkf", inner, self.x).flatten(1) / self.count

    def along(self, v: Tensor, part: Part) -> Tensor:
        """(J, B)."""
        v, found = v.view(-1, *self.theta.shape), []
        for images, labels in part.batches(2000):
            x = _with_one(self.features_of(images))
            residual = (x @ self.theta.T).softmax(1) - F.one_hot(labels, len(self.theta)).double()
            found.append(torch.einsum("jbk,bk->jb", torch.einsum("jkf,bf->jbk", v, x), residual))
        return torch.cat(found, 1)


def _with_one(features: Tensor) -> Tensor:
    return torch.cat([features.double(), features.new_ones(len(features), 1).double()], 1)


class AllWeights:
    """A whole network in float64. J directions are J copies of it, differentiated together.

    Hessian products are double backward passes through norms written from elementary operations; losses
    along a direction are forward-mode derivatives, so no gradient of a test image is ever formed.
    """

    def __init__(self, network: Network, params: Params, images: Tensor, labels: Tensor) -> None:
        self.network = Network(network.net, network.shape, network.classes, fused_norm=False)
        self.params = {name: w.double() for name, w in params.items()}
        self.images, self.labels, self.count = images.double(), labels, len(images)

    def gradients(self) -> Tensor:
        """(M, P)."""
        eye = torch.eye(self.count, dtype=torch.float64, device=self.images.device)
        chunk = at_once(self.network, self.count, self.images.device)
        return torch.cat([self._gradient(own)[0].detach() for own in eye.split(chunk)])

    def product(self, v: Tensor) -> Tensor:
        """(J, P)."""
        chunk = at_once(self.network, self.count, self.images.device)
        found = []
        for part in v.split(chunk):
            gradient, leaves = self._gradient(self.images.new_ones(len(part), self.count))
            found.append(_flat(torch.autograd.grad((gradient * part).sum(), leaves)))
        return torch.cat(found)

    def along(self, v: Tensor, part: Part) -> Tensor:
        """(J, B)."""
        chunk = at_once(self.network, 2 * self.count, self.images.device)
        return torch.cat([self._along(few, part) for few in v.split(chunk)])

    def _gradient(self, weights: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Flat gradients (J, P) of the losses that `weights` (J, M) describe, and what they depend on."""
        few = self.network.with_nets(len(weights))
        params = {
            k: w.clone().requires_grad_() for k, w in repeated(self.params, len(weights)).items()
        }
        logits = few.logits(params, self.images)
        loss = weighted_cross_entropy(logits, self.labels, weights).sum()
        leaves = list(params.values())
        return _flat(torch.autograd.grad(loss, leaves, create_graph=True)), leaves

    def _along(self, v: Tensor, part: Part) -> Tensor:
        few = self.network.with_nets(len(v))
        params = {k: w.contiguous() for k, w in repeated(self.params, len(v)).items()}
        sizes = [w[0].numel() for w in self.params.values()]
        tangents = {
            name: t.reshape(params[name].shape) for name, t in zip(params, v.split(sizes, 1))
        }
        found = []
        for images, labels in part.batches(max(1, 2 * self.count)):
            x = images.double()
            logits, grown = torch.func.jvp(lambda p, x=x: few.logits(p, x), (params,), (tangents,))
            residual = logits.softmax(2) - F.one_hot(labels, logits.shape[2])
            found.append((residual * grown).sum(2))
        return torch.cat(found, 1)


def _flat(gradients: tuple[Tensor, ...]) -> Tensor:
    """Gradients of stacked weights as rows (J, P)."""
    return torch.cat([g.flatten(1) for g in gradients], 1)


@dataclass(frozen=True)
class Solved:
    """Rows x with (A + damping) x = b, their largest relative residual, steps, and rows given up."""

    x: Tensor
    residual: float
    steps: int
    given_up: int  # rows that met a direction of non-positive curvature: left where they were


def conjugate_gradient(
    product: Callable[[Tensor], Tensor],
    b: Tensor,
    damping: float,
    *,
    tolerance: float = TOLERANCE,
    most: int = MOST_STEPS,
    on_step: Callable[[], None] = lambda: None,
) -> Solved:
    """Solve for all rows of b (J, P) at once; each stops by its own residual, so nothing is 0 / 0.

    `product` maps (J, P) to (J, P), row by row, by a symmetric A. Damping must outweigh negative
    eigenvalues of A; a row that meets one keeps its last solution and is counted.
    """
    x, r = torch.zeros_like(b), b.clone()
    p, rr = r.clone(), (r * r).sum(1)
    goal = tolerance**2 * rr
    active, bad, steps = rr > goal, torch.zeros(len(b), dtype=torch.bool, device=b.device), 0
    while bool(active.any()) and steps < most:
        rows = active.nonzero()[:, 0]
        q = product(p[rows]) + damping * p[rows]
        curvature = (p[rows] * q).sum(1)
        good = curvature > 0
        bad[rows[~good]] = True
        rows, q, curvature = rows[good], q[good], curvature[good]
        step = (rr[rows] / curvature)[:, None]
        x[rows] += step * p[rows]
        r[rows] -= step * q
        new = (r[rows] * r[rows]).sum(1)
        p[rows] = r[rows] + (new / rr[rows])[:, None] * p[rows]
        rr[rows] = new
        active = (rr > goal) & ~bad
        steps += 1
        on_step()
    size = (b * b).sum(1)
    relative = (rr[size > 0] / size[size > 0]).sqrt()
    return Solved(x, float(relative.max()) if len(relative) else 0.0, steps, int(bad.sum()))


def last_layer(nets: TrainedNets, images: Tensor, labels: Tensor) -> LastLayer:
    """The classifier of the first of the networks, on its own features."""
    network, params = nets.network.with_nets(1), select(nets.params, 0)
    name = f"{len(network.plan) - 1}."

    def features_of(x: Tensor) -> Tensor:
        with torch.no_grad():
            return network.features(params, x)[0]

    weight, bias = params[name + "weight"][0], params[name + "bias"][0]
    return LastLayer(weight, bias, features_of(images), labels, features_of)


@dataclass(frozen=True)
class Estimates:
    """Two estimates of influence (M, B), each up to a positive factor for `dot`, and how `cg` was solved."""

    dot: np.ndarray
    cg: np.ndarray
    solved: Solved


def estimates(
    curvature: Curvature,
    tests: Part,
    damping: float,
    on_step: Callable[[], None] = lambda: None,
) -> Estimates:
    """Gradient dot product g_j . g_i (Pruthi et al. 2020, one checkpoint), and the influence function
    g_j . (H + damping)^-1 g_i / M (Koh & Liang 2017) by conjugate gradients.
    """
    own = curvature.gradients()
    solved = conjugate_gradient(curvature.product, own, damping, on_step=on_step)
    dot = curvature.along(own, tests).cpu().numpy()
    cg = curvature.along(solved.x, tests).cpu().numpy() / curvature.count
    return Estimates(dot, cg, solved)
