"""Gradient matching on graphs (Jin et al. 2022, algorithm 1) with a linear inner model in closed form.

One iteration of the loop is an epoch: a fresh network, `outer` changes of the set, and between them `inner`
steps of the network on the set. The last change of an epoch is left to the loop.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ddcore.base import rng
from ddcore.graphs import closed_form
from ddcore.graphs.pairs import PairPerceptron, dense_propagation
from ddcore.graphs.params import GCondParams, MatchingParams
from ddcore.graphs.problem import GraphProblem


class GraphMatching:
    """What the loop drives: features, and a perceptron that makes edges where the method has one."""

    def __init__(self, problem: GraphProblem) -> None:
        params = problem.params
        assert isinstance(params, MatchingParams)
        self.problem, self.params = problem, params
        self.device = torch.device(problem.device)
        self.notes: dict[str, Any] = {}
        self.labels = problem.labels().to(self.device)
        self.features = problem.first_features().to(self.device).requires_grad_()
        self.pairs = self._perceptron()
        groups = [{"params": [self.features], "lr": params.lr_features}]
        if self.pairs and isinstance(params, GCondParams):
            groups += [{"params": list(self.pairs.weights.values()), "lr": params.lr_edges}]
        self.optimiser: torch.optim.Optimizer = torch.optim.Adam(groups, fused=True)
        self.real = problem.real_parts()
        self.classes = sorted(problem.counts)
        counts = [problem.counts[c] for c in self.classes]
        self.shares = torch.tensor(counts).to(self.features) / max(counts)
        self._exact = None if params.neighbours else self._real_rows(self.real.exact())

    def _perceptron(self) -> PairPerceptron | None:
        if not isinstance(self.params, GCondParams):
            return None
        generator = rng.generator(self.problem.seed, "pairs")
        width = self.features.shape[1]
        return PairPerceptron(width, self.params.hidden, generator).to(self.device)

    # --- what the loop asks for -----------------------------------------------------------------

    def tensors(self) -> dict[str, Tensor]:
        """Learnable tensors by name."""
        edges = self.pairs.weights if self.pairs else {}
        return {"features": self.features, **{f"pairs.{k}": w for k, w in edges.items()}}

    def buffers(self) -> dict[str, Tensor]:
        """None: every epoch has a fresh network."""
        return {}

    def lr_factor(self, iteration: int) -> float:
        """Constant step sizes."""
        return 1.0

    def project(self) -> None:
        """Features and weights are free."""

    def step(self, iteration: int) -> dict[str, float]:
        """An epoch but for its last change, whose gradients are left on the tensors."""
        p = self.params
        net, adam = self._network(iteration)
        adjacency, h = self._seen()
        looks = []
        for change in range(p.outer):
            loss = self._match(iteration, change, h, net)
            looks.append(loss)
            if not math.isfinite(loss) or change == p.outer - 1:
                break
            self.optimiser.step()
            adjacency, h = self._seen()
            for _ in range(p.inner):
                net.grad = torch.cat(closed_form.gradient(h.detach(), self.labels, *parts(net)))
                adam.step()
        return {"loss": float(np.mean(looks)), "edges": float(adjacency.detach().mean())}

    # --- one change -----------------------------------------------------------------------------

    def adjacency(self) -> Tensor:
        """A' (n, n); without a perceptron no edges."""
        if self.pairs:
            return self.pairs.adjacency(self.features)
        return torch.zeros(len(self.features), len(self.features)).to(self.features)

    def _seen(self) -> tuple[Tensor, Tensor]:
        """A' (n, n) and P'P'X' (n, d) of the set as it is."""
        a = self.adjacency()
        if not self.pairs:
            return a, self.features
        p = dense_propagation(a)
        return a, p @ (p @ self.features)

    def _match(self, iteration: int, change: int, h: Tensor, net: Tensor) -> float:
        """Put the gradient of the matching loss on what this epoch changes; the loss."""
        edges = self._edges_turn(iteration)
        moved = list(self.pairs.weights.values()) if self.pairs and edges else [self.features]
        real, labels = self._exact or self._real_rows(self._sample(iteration, change))
        wanted = closed_form.class_gradients(real, labels, *parts(net), self.classes)
        found = closed_form.class_gradients(h, self.labels, *parts(net), self.classes)
        apart = closed_form.distances(wanted, found, self.params.distance)
        loss = (self.shares * apart).sum()
        for tensor in self.tensors().values():
            tensor.grad = None  # what has none is left alone by the optimiser
        for tensor, slope in zip(moved, torch.autograd.grad(loss, moved)):
            tensor.grad = slope
        return float(loss.detach())

    def _edges_turn(self, epoch: int) -> bool:
        p = self.params
        if not isinstance(p, GCondParams):
            return False
        return epoch % (p.edge_epochs + p.feature_epochs) < p.edge_epochs

    def _sample(self, iteration: int, change: int) -> list[np.ndarray]:
        seed = self.problem.seed
        generator = rng.numpy_generator(seed, "neighbours", iteration, change)
        return self.real.sampled(self.params.neighbours, self.params.batch, generator)

    def _real_rows(self, parts: list[np.ndarray]) -> tuple[Tensor, Tensor]:
        """H (n, d) of all classes, and their labels."""
        parts = [h[: self.params.batch] for h in parts]
        labels = torch.tensor([c for c, h in enumerate(parts) for _ in h])
        return torch.from_numpy(np.concatenate(parts)).to(self.device), labels.to(self.device)

    def _network(self, epoch: int) -> tuple[Tensor, torch.optim.Optimizer]:
        """Fresh weights (d + 1, K), the biases last, and their Adam."""
        generator = rng.generator(self.problem.seed, "network", epoch)
        width, classes = self.features.shape[1], self.problem.graph.classes
        bound = 1 / math.sqrt(width)
        drawn = torch.rand(width + 1, classes, generator=generator)
        net = (2 * bound * drawn - bound).to(self.device)
        return net, torch.optim.Adam([net], lr=self.params.lr_net, fused=True)


def parts(net: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (d, K) and biases (K,)."""
    return net[:-1], net[-1]
