"""Two cheap estimates of what leave-one-out retraining gives, at the weights trained on all images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from analysis.shared.loo import at_once, repeated, weighted_cross_entropy
from ddcore.data.tensors import Part
from ddcore.nets.network import Network, Weights, select
from ddcore.training.trained import TrainedNets

TOLERANCE = 1e-6  # of the residual, relative to the right-hand side
MOST_STEPS = 500


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

    def __init__(self, network: Network, params: Weights, images: Tensor, labels: Tensor) -> None:
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
            both = torch.func.jvp(partial(few.logits, images=x), (params,), (tangents,))
            logits, grown = both[0], both[1]
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
