"""Meta-learning through gradient descent: the 2018 method on the unroll engine."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ddcore.engines.problem import Current, Problem, to_numpy
from ddcore.engines.unroll import meta_gradient
from ddcore.labels import HardLabels
from ddcore.nets.plan import cost
from ddcore.training import cross_entropy

# Activations per graph of the real batch: beyond it they leave the CPU's cache, and LeNet on 1024
# images takes 2 to 4 times as long at once as in parts of 128 (measured). A GPU is bounded by memory.
OUTER_FLOATS = {"cpu": 2_000_000, "cuda": 1 << 30}


class MetaLearning:
    """Wang et al. 2018: images and step sizes such that K = steps x passes steps teach most.

    Step sizes stay positive: eta = softplus(raw).
    """

    def __init__(self, problem: Problem) -> None:
        self.problem, self.params = problem, problem.spec.params
        p = self.params
        self.labels = HardLabels(problem.classes, problem.spec.ipc, p.steps)
        self.targets = self.labels.targets().to(problem.device)
        self.pixels = problem.pixels(self.labels)
        raw = torch.full((p.steps * p.passes,), math.log(math.expm1(p.lr0)))
        self.raw = raw.to(problem.device).requires_grad_()
        self.network = problem.network(p.nets, fused_norm=False)
        per_image = p.nets * cost(self.network.plan, self.network.shape).activations
        self.part = max(1, OUTER_FLOATS[torch.device(problem.device).type] // per_image)
        self.fixed = p.setting == "fixed"
        self._epoch: tuple[int, Tensor] | None = None
        self.theta0 = self.network.init(problem.generator("theta0"), problem.device)
        groups = [
            {"params": [self.pixels.images], "lr": p.lr},
            {"params": [self.raw], "lr": p.lr_rates},
        ]
        self.optimiser = torch.optim.Adam(groups, betas=(p.beta1, 0.999))

    def tensors(self) -> dict[str, Tensor]:
        """Pixels and raw step sizes."""
        return {**self.pixels.tensors(), "raw": self.raw}

    def lr_factor(self, iteration: int) -> float:
        """Stepwise decay."""
        p = self.params
        return p.decay ** (iteration // p.decay_every) if p.decay_every else 1.0

    def step(self, iteration: int) -> dict[str, float]:
        """The exact meta-gradient on one real batch, averaged over networks."""
        p, problem = self.params, self.problem
        weights = self.theta0
        if not self.fixed:
            weights = self.network.init(problem.generator("net", iteration), problem.device)
        names = list(weights)
        images, labels = self._real(iteration)
        lrs = F.softplus(self.raw.detach())
        per_step = len(self.targets) // p.steps

        def inner(t: int, theta: tuple[Tensor, ...], leaves: tuple[Tensor, ...]) -> Tensor:
            part = slice((t % p.steps) * per_step, (t % p.steps + 1) * per_step)
            logits = self.network.logits(dict(zip(names, theta)), leaves[0][part])
            return cross_entropy(logits, self.targets[part])

        def outer(part: slice) -> Callable[[tuple[Tensor, ...]], Tensor]:
            x, y = images[part], labels[part]
            share = len(y) / len(labels)  # a part's mean counts by its size

            def loss(theta: tuple[Tensor, ...]) -> Tensor:
                return share * cross_entropy(self.network.logits(dict(zip(names, theta)), x), y)

            return loss

        parts = [slice(i, i + self.part) for i in range(0, len(labels), self.part)]
        meta = meta_gradient(
            inner,
            [outer(part) for part in parts],
            list(weights.values()),
            [self.pixels.decode()],
            lrs,
        )
        gradient = meta.leaves[0] / p.nets
        norm = gradient.norm()
        if p.clip:
            gradient = gradient * (p.clip / norm.clamp(min=p.clip))
        self.pixels.images.grad = gradient
        # d softplus(raw)/d raw = sigmoid(raw)
        self.raw.grad = meta.lrs / p.nets * torch.sigmoid(self.raw.detach())
        return {
            "loss": meta.loss.item() / p.nets,
            "gradient": norm.item(),
            "step_size": lrs.mean().item(),
        }

    def _real(self, iteration: int) -> tuple[Tensor, Tensor]:
        """Batch `iteration` of endless shuffled passes over the training data."""
        data = self.problem.data
        count = len(data.train)
        size = min(self.params.real_batch, count)
        epoch, index = divmod(iteration, count // size)
        if self._epoch is None or self._epoch[0] != epoch:
            generator = self.problem.generator("epoch", epoch)
            self._epoch = (epoch, torch.randperm(count, generator=generator).to(data.device))
        chosen = self._epoch[1][index * size : (index + 1) * size]
        return data.batch(chosen), data.train.labels[chosen]

    def current(self) -> Current:
        """Images step-major, learned step sizes, and the known weights if they are fixed."""
        fixed = {k: to_numpy(w) for k, w in self.theta0.items()} if self.fixed else {}
        return Current(
            to_numpy(self.pixels.decode()),
            self.labels.targets().numpy(),
            self.params.steps,
            to_numpy(F.softplus(self.raw)),
            fixed,
        )
