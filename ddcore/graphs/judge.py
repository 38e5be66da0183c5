"""Networks trained on a small graph and judged on the real one, at their best look and at the last."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ddcore.base import rng
from ddcore.graphs.artefact import GraphSet
from ddcore.graphs.graph import Graph, propagation
from ddcore.graphs.networks import GraphView, Operator, first_weights, hidden_units, logits
from ddcore.graphs.protocols import GraphProtocol

GraphReport = Callable[[int, int], None]


@dataclass(frozen=True)
class GraphJudged:
    """Test accuracies (shares): at the look with the best validation accuracy, and after the last epoch."""

    best: float
    last: float
    validation: float  # at the best look
    epoch: int  # of the best look


@dataclass(frozen=True, eq=False)
class Lesson:
    """What a network is trained on: a graph, and the labels (m,) of its nodes `rows` (all without)."""

    seen: GraphView
    labels: Tensor
    nodes: int
    rows: Tensor | None = None


class Bench:
    """The real graph, on which networks of one kind are judged."""

    def __init__(self, graph: Graph, net: str, device: str) -> None:
        self.graph, self.net, self.device = graph, net, torch.device(device)
        p = propagation(graph.adjacency()) if net != "mlp" else None
        self.field = GraphView(
            Operator(graph.features, device), Operator(p, device) if p is not None else None
        )
        self.parts = {
            name: torch.from_numpy(np.flatnonzero(getattr(graph, name))).to(self.device)
            for name in ("train", "val", "test")
        }
        self.labels = torch.from_numpy(graph.labels).to(self.device)

    def of_set(self, made: GraphSet, threshold: float = 0.0) -> Lesson:
        """A small graph, every node of which has a label."""
        spread = made.propagation(threshold) if self.net != "mlp" else None
        seen = GraphView(
            Operator(made.features, self.device),
            Operator(spread, self.device) if spread is not None else None,
        )
        labels = torch.from_numpy(made.labels).to(self.device)
        return Lesson(seen, labels, len(labels))

    def whole(self) -> Lesson:
        """The real graph with its training labels."""
        rows = self.parts["train"]
        return Lesson(self.field, self.labels[rows], self.graph.nodes, rows)

    def judge(
        self, lesson: Lesson, protocol: GraphProtocol, seed: int, report: GraphReport | None = None
    ) -> GraphJudged:
        """One network, trained from fresh weights. A look at all real nodes costs more than an epoch."""
        best = GraphJudged(0.0, 0.0, -1.0, 0)
        test = 0.0
        for epoch, weights in self._epochs(lesson, protocol, seed):
            if epoch % protocol.look_every == 0 or epoch == protocol.epochs:
                validation, test = self._look(weights)
                if validation > best.validation:
                    best = GraphJudged(test, test, validation, epoch)
            if report:
                report(epoch, protocol.epochs)
        return GraphJudged(best.best, test, best.validation, best.epoch)

    def embedding(self, protocol: GraphProtocol, seed: int) -> np.ndarray:
        """Hidden units (N, hidden) of a network trained on the whole graph, after its last epoch."""
        weights: list[Tensor] = []
        for _, weights in self._epochs(self.whole(), protocol, seed):  # noqa: B007
            pass
        with torch.no_grad():
            return hidden_units(self.net, weights, self.field).cpu().numpy()

    def _epochs(
        self, lesson: Lesson, protocol: GraphProtocol, seed: int
    ) -> Iterator[tuple[int, list[Tensor]]]:
        """(epochs taken, weights) after each epoch."""
        generator = rng.generator(seed, "weights")
        width, classes = self.graph.features.shape[1], self.graph.classes
        drawn = first_weights(self.net, width, protocol.hidden, classes, generator)
        weights = [w.to(self.device).requires_grad_() for w in drawn]
        masks = rng.generator(seed, "dropout")
        decay = protocol.weight_decay
        adam = torch.optim.Adam(weights, lr=protocol.lr, weight_decay=decay, fused=True)
        for epoch in range(protocol.epochs):
            if epoch == protocol.epochs // 2:
                adam = torch.optim.Adam(
                    weights, lr=protocol.second_lr, weight_decay=decay, fused=True
                )
            mask = self._mask(lesson.nodes, protocol, masks)
            out = logits(self.net, weights, lesson.seen, mask)
            out = out if lesson.rows is None else out[lesson.rows]
            loss = functional.cross_entropy(out, lesson.labels)
            for weight, slope in zip(weights, torch.autograd.grad(loss, weights)):
                weight.grad = slope
            adam.step()
            yield epoch + 1, weights

    def _mask(
        self, nodes: int, protocol: GraphProtocol, generator: torch.Generator
    ) -> Tensor | None:
        if not protocol.dropout or self.net == "sgc":
            return None
        drawn = torch.rand(nodes, protocol.hidden, generator=generator) >= protocol.dropout
        return (drawn / (1 - protocol.dropout)).to(self.device)

    def _look(self, weights: list[Tensor]) -> tuple[float, float]:
        """Accuracy on validation and on test nodes."""
        with torch.no_grad():
            found = logits(self.net, weights, self.field).argmax(1) == self.labels
            rows = (self.parts["val"], self.parts["test"])
            one, other = torch.stack([found[r].float().mean() for r in rows]).tolist()
        return one, other
