"""Sets on which ridge regression with a kernel does well on real data.

The loss of real images under regression on the set is differentiated through the solution of the linear
system. Methods differ in the kernel: of infinitely wide networks (KIP), of random networks drawn anew in
each iteration (RFAD), or of networks in a pool that are trained on the set now and then (FRePo).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ddcore.base.placing import placed
from ddcore.distil.problem import Current, Distiller, Problem, to_numpy
from ddcore.kernels import ntk, random_features, ridge
from ddcore.nets.network import Weights, select

Pair = tuple[Tensor, Tensor]  # K_SS (..., m, m) and K_TS (..., n, m)


@dataclass(frozen=True, kw_only=True)
class Regression:
    """How many real images are looked at, the ridge relative to the kernel's mean diagonal, and the step
    size for the images (0 where they stay as they are).
    """

    real_batch: int
    ridge: float
    lr: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Infinite(Regression):
    """With the kernel `kernel_of` (ntk or nngp) of `depth` hidden layers."""

    kernel_of: str
    depth: int


@dataclass(frozen=True, kw_only=True)
class RandomNets(Regression):
    """With `nets` networks drawn in each iteration; `platt` has a scale that is learned at `lr_tau`."""

    nets: int
    platt: bool
    lr_tau: float


@dataclass(frozen=True, kw_only=True)
class NetPool(Regression):
    """With `nets` of a pool of `pool` networks, trained at `net_lr` for `max_age` steps at most."""

    nets: int
    pool: int
    max_age: int
    net_lr: float


class KernelRegression(Distiller):
    """Adam on images, and on labels if they are learned, for the loss of regression on the set."""

    free_labels = True
    params: Regression

    def __init__(self, problem: Problem, params: Regression) -> None:
        super().__init__(problem)
        self.params = params
        groups = self.synthetic.groups(params.lr, problem.spec.label_lr)
        self.optimiser = torch.optim.Adam(groups)
        self.centre = 1 / problem.classes

    def kernels(self, iteration: int, images: Tensor, real: Tensor) -> Pair:
        """Of this iteration, between the set's images and to real ones."""
        raise NotImplementedError

    def loss(self, predicted: Tensor, wanted: Tensor, classes: Tensor) -> Tensor:
        """Half the mean square error of outputs (..., n, k) against centred targets (n, k)."""
        return (predicted - wanted).square().mean() / 2

    def own(self, images: Tensor, labels: Tensor) -> Tensor:
        """What is asked of the set itself beside the loss on real images."""
        return images.new_zeros(())

    def step(self, iteration: int) -> dict[str, float]:
        """Gradients of the loss on a batch of real images."""
        real, classes = self.real(iteration)
        leaves = self.synthetic.leaves()
        inputs = [x.detach().requires_grad_() for x in leaves]
        view = self.synthetic.draw(self.problem.generator("view", iteration))
        images, labels = self.synthetic.take(inputs, view)
        k_ss, k_ts = self.kernels(iteration, images, real)
        relative = ntk.ridge_of(k_ss, self.params.ridge)
        predicted = ridge.kernel_predict(k_ts, k_ss, self.regressed(labels), relative)
        loss = self.loss(predicted, self.regressed(classes), classes)
        whole = loss + self.own(images, labels)
        self.synthetic.pull(leaves, torch.autograd.grad(whole, inputs, allow_unused=True))
        return {"loss": loss.item()}

    def real(self, iteration: int) -> tuple[Tensor, Tensor]:
        """All real images, or `real_batch` of them with the same number of each class."""
        data, wanted = self.problem.data, self.params.real_batch
        if wanted >= len(data.train):
            return data.batch(torch.arange(len(data.train))), data.train.labels
        generator = self.problem.generator("real", iteration)
        return data.sample_per_class(max(1, wanted // self.problem.classes), generator)

    def regressed(self, labels: Tensor) -> Tensor:
        """Targets (B, k), float64, of classes (B,) or of soft labels (B, k): minus 1 / k."""
        if not labels.is_floating_point():
            labels = ridge.targets(labels, self.problem.classes)
        return labels.double() - self.centre


class KernelInducingPoints(KernelRegression):
    """KIP: the kernel of infinitely wide fully connected networks (Nguyen, Chen & Lee 2021)."""

    params: Infinite

    def __init__(self, problem: Problem, params: Infinite) -> None:
        super().__init__(problem, params)

    def kernels(self, iteration: int, images: Tensor, real: Tensor) -> Pair:
        """The same kernel in every iteration."""
        return infinite(self.params, images, real)


def infinite(params: Infinite, images: Tensor, real: Tensor) -> Pair:
    """Both kernels of infinitely wide networks."""
    x, y = images.flatten(1), real.flatten(1)
    name, depth = params.kernel_of, params.depth
    return (
        getattr(ntk.fc_kernels(x, depth=depth), name),
        getattr(ntk.fc_kernels(y, x, depth=depth), name),
    )


class LabelSolve(Distiller):
    """Images stay as they start; the labels that do best on them follow in closed form."""

    def __init__(self, problem: Problem, params: Infinite) -> None:
        super().__init__(problem)
        self.params = params
        images, _ = self.synthetic.final()
        self.images = images.detach().clone()
        self.labels = self.images.new_zeros(len(images), problem.classes, dtype=torch.float64)
        self.optimiser = torch.optim.SGD([self.labels], lr=1.0)

    def tensors(self) -> dict[str, Tensor]:
        """The labels."""
        return {"labels": self.labels}

    def step(self, iteration: int) -> dict[str, float]:
        """Solve for the labels."""
        data, p, k = self.problem.data, self.params, self.problem.classes
        if p.real_batch >= len(data.train):
            real, classes = data.batch(torch.arange(len(data.train))), data.train.labels
        else:
            generator = self.problem.generator("real")
            real, classes = data.sample_per_class(max(1, p.real_batch // k), generator)
        k_ss, k_ts = infinite(p, self.images, real)
        wanted = ridge.targets(classes, k, centred=True)
        solved = ntk.label_solve(k_ss, k_ts, wanted, p.ridge)
        self.labels.copy_(solved + 1 / k)
        return {"loss": ntk.kip_loss(k_ss, k_ts, solved, wanted, p.ridge).item()}

    def project(self) -> None:
        """Labels of regression may be any numbers."""

    def current(self) -> Current:
        """The images, and labels centred at 1 / K."""
        return Current(to_numpy(self.images), to_numpy(self.labels.float()))


class RandomFeatures(KernelRegression):
    """RFAD: features of random networks that are drawn anew in every iteration (Loo et al. 2022).

    With the `platt` loss, cross-entropy on outputs times exp(tau); tau is learned.
    """

    params: RandomNets

    def __init__(self, problem: Problem, params: RandomNets) -> None:
        super().__init__(problem, params)
        self.network = problem.network(params.nets)
        self.tau = torch.zeros((), device=problem.device, dtype=torch.float64)
        if self.params.platt:
            self.tau.requires_grad_()
            self.optimiser.add_param_group({"params": [self.tau], "lr": self.params.lr_tau})

    def tensors(self) -> dict[str, Tensor]:
        """The set's tensors, and tau where it is learned."""
        return {**super().tensors(), **({"tau": self.tau} if self.params.platt else {})}

    def kernels(self, iteration: int, images: Tensor, real: Tensor) -> Pair:
        """Gradients flow through the set's features only."""
        generator = self.problem.generator("net", iteration)
        weights = random_features.draw(self.network, generator, self.problem.device)
        psi = random_features.features(self.network, weights, images)
        with torch.no_grad():
            psi_real = random_features.features(self.network, weights, real)
        return random_features.kernel(psi, psi), random_features.kernel(psi_real, psi)

    def loss(self, predicted: Tensor, wanted: Tensor, classes: Tensor) -> Tensor:
        """Squared error, or cross-entropy of scaled outputs."""
        if not self.params.platt:
            return super().loss(predicted, wanted, classes)
        loss = F.cross_entropy(predicted * self.tau.exp(), classes)
        (self.tau.grad,) = torch.autograd.grad(loss, self.tau, retain_graph=True)
        return loss


class FeaturePool(KernelRegression):
    """FRePo: features of networks that are partly trained on the set itself (Zhou et al. 2022).

    A pool of networks of staggered ages. Each iteration uses some of them as they are, with weights held
    fixed in the gradient, and then trains these by one step of Adam on the set. One that is older than
    `max_age` starts afresh.
    """

    BETAS, EPS = (0.9, 0.999), 1e-8
    params: NetPool

    def __init__(self, problem: Problem, params: NetPool) -> None:
        super().__init__(problem, params)
        p = params
        network = problem.network(p.pool)
        self.some = network.with_nets(p.nets)
        self.weights = network.init(
            [problem.generator("pool", 0, i) for i in range(p.pool)], problem.device
        )
        self.first = {k: torch.zeros_like(w) for k, w in self.weights.items()}
        self.second = {k: torch.zeros_like(w) for k, w in self.weights.items()}
        self.steps = torch.zeros(p.pool, dtype=torch.int64)  # of Adam since the last fresh start
        self.age = torch.arange(p.pool) * p.max_age // p.pool

    def buffers(self) -> dict[str, Tensor]:
        """The pool: weights, Adam's moments, ages."""
        moments = {"weights": self.weights, "first": self.first, "second": self.second}
        tensors = {f"{n}.{k}": w for n, group in moments.items() for k, w in group.items()}
        return {**tensors, "steps": self.steps, "age": self.age}

    def step(self, iteration: int) -> dict[str, float]:
        """Learn from some networks of the pool, then train them a little."""
        generator = self.problem.generator("chosen", iteration)
        self.chosen = torch.randperm(self.params.pool, generator=generator)[: self.params.nets]
        metrics = super().step(iteration)
        self._train(iteration)
        return metrics

    @property
    def there(self) -> Tensor:
        """Which networks were chosen, where their weights are."""
        return placed(self.chosen, self.problem.device)

    def kernels(self, iteration: int, images: Tensor, real: Tensor) -> Pair:
        """Inner products of features, for each chosen network."""
        weights = select(self.weights, self.there)
        psi = self.some.features(weights, images).double()
        with torch.no_grad():
            psi_real = self.some.features(weights, real).double()
        return psi @ psi.mT, psi_real @ psi.mT

    def own(self, images: Tensor, labels: Tensor) -> Tensor:
        """Learned labels are kept apart: minus the mean of min(top1 - top2, 1 / k)."""
        if not self.synthetic.learn:
            return super().own(images, labels)
        top = labels.topk(2, dim=1).values
        return -(top[:, 0] - top[:, 1]).clamp(max=self.centre).mean()

    def _train(self, iteration: int) -> None:
        """One step of Adam for each chosen network; those that are old start afresh."""
        p, chosen, there = self.params, self.chosen, self.there
        images, labels = self.synthetic.final()
        wanted = self.regressed(labels).float()
        weights = {k: w.requires_grad_() for k, w in select(self.weights, there).items()}
        error = (self.some.logits(weights, images) - wanted).square().mean((1, 2)).sum()
        gradients = torch.autograd.grad(error, list(weights.values()))
        self.steps[chosen] += 1
        self.age[chosen] += 1
        steps = placed(self.steps[chosen].to(error.dtype), error.device)
        for (name, weight), gradient in zip(weights.items(), gradients):
            self._adam(name, weight.detach(), gradient, there, steps)
        for i in (j for j in chosen.tolist() if self.age[j] > p.max_age):
            self._refresh(iteration, i)

    def _adam(
        self, name: str, weight: Tensor, gradient: Tensor, chosen: Tensor, steps: Tensor
    ) -> None:
        b1, b2 = self.BETAS
        first = b1 * self.first[name][chosen] + (1 - b1) * gradient
        second = b2 * self.second[name][chosen] + (1 - b2) * gradient.square()
        steps = steps.view(-1, *[1] * (weight.ndim - 1))
        size = (second / (1 - b2**steps)).sqrt() + self.EPS
        weight = weight - self.params.net_lr * first / (1 - b1**steps) / size
        for kept, new in ((self.weights, weight), (self.first, first), (self.second, second)):
            kept[name][chosen] = new

    def _refresh(self, iteration: int, index: int) -> None:
        generator = self.problem.generator("pool", iteration + 1, index)
        fresh: Weights = self.some.with_nets(1).init([generator], self.problem.device)
        for name, weight in fresh.items():
            self.weights[name][index] = weight[0]
            self.first[name][index] = 0
            self.second[name][index] = 0
        self.steps[index] = 0
        self.age[index] = 0
