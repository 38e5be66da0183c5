"""Gradient matching: synthetic images whose gradients equal those of real images, in networks on their way.

Zhao et al. 2021 (DC), Zhao & Bilen 2021 (DSA), Lee et al. 2022 (DCC) and Kim et al. 2022 (IDC) differ in
what is compared (`Matching`), how the networks are trained in between (`NetTraining`) and how the set follows
(`SetUpdates`). There is no loop over classes: a class in a network is a network of its own, a copy of the
weights, and one derivative gives the gradients of all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ddcore.base import execution, rng
from ddcore.base.execution import leaves
from ddcore.distil.engines.rules import GradientDescent, WeightTuple
from ddcore.distil.problem import Distiller, Problem
from ddcore.nets.network import Network, Weights
from ddcore.nets.plan import cost
from ddcore.training import augment
from ddcore.training.batches import Batches
from ddcore.training.labels import step_major_labels
from ddcore.training.losses import cross_entropy
from ddcore.training.protocols import Protocol
from ddcore.training.steps import batch_gradients, gradients

# Activations per graph. It bounds the memory; on a CPU small networks gain up to six times from being
# computed together, but beyond this grouped convolutions are slower than one after the other (measured).
CPU_FLOATS, GPU_FLOATS = 2_000_000, 1 << 28
# Of one group's real images, whose graph is used once: workers keep the memory of large tensors, so few at
# a time are no quicker. At width 128 threes, as the bound above has them, took 1.29 times as long as 32 at
# once, at width 32 sixteens 1.16 times (measured).
CPU_REAL_FLOATS = 16_000_000

AUGMENTED = 8  # copies of its images that an augmentation holds

Gradients = Sequence[Tensor]  # one per tensor of weights, each (M, ...) for M networks
EPS = 1e-6  # on the product of two norms, as in DC's code


@dataclass(frozen=True, kw_only=True)
class Matching:
    """Which gradients are compared, and how.

    `distance` is a key of `DISTANCES`; `layers` is "all", or "conv" for the weights of convolutions only.
    A class is represented by `real_batch` real images and by `batch` random synthetic ones (0: all).
    Before that each strategy in `augment` is applied, with one draw per class that its real and
    synthetic images share. Classes are compared one by one; with `collective` (a, b) it is their mean
    gradients instead, from network a on and, in every network, from matching step b on (DCC).
    """

    distance: str = "dc"
    layers: str = "all"
    real_batch: int = 256
    batch: int = 0
    augment: tuple[str, ...] = ()
    collective: tuple[int, int] | None = None

    def is_collective(self, network: int, match: int) -> bool:
        """Whether matching step `match` of the run's network number `network` compares mean gradients."""
        if self.collective is None:
            return False
        first_network, first_match = self.collective
        return network >= first_network or match >= first_match


@dataclass(frozen=True, kw_only=True)
class NetTraining:
    """Training of the networks between two matching steps, by gradient descent.

    Of `recipe` the step size, momentum, weight decay, batch, epochs and CutMix count. An epoch sees the
    set itself, or `real_images` random training images. `augment` is drawn for each image.
    """

    recipe: Protocol
    real_images: int = 0
    augment: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SetUpdates:
    """How the set follows: an optimiser, and fresh networks after every `matches` matching steps."""

    matches: int
    lr: float
    optimiser: str = "sgd"
    momentum: float = 0.5


# --- distances ----------------------------------------------------------------------------------------


def channel_cosines(real: Gradients, synthetic: Gradients) -> Tensor:
    """DC: sum over layers and output channels of 1 - cos; biases and norms do not count. -> (M,)."""
    total = real[0].new_zeros(len(real[0]))
    for g, h in zip(real, synthetic):
        if g.ndim > 2:  # (M, out, ...)
            total = total + _one_minus_cosine(g.flatten(2), h.flatten(2)).sum(1)
    return total


def squared_distance(real: Gradients, synthetic: Gradients) -> Tensor:
    """Sum of squared differences. -> (M,)."""
    return (_flat(real) - _flat(synthetic)).square().sum(1)


def absolute_distance(real: Gradients, synthetic: Gradients) -> Tensor:
    """Sum of absolute differences. -> (M,)."""
    return (_flat(real) - _flat(synthetic)).abs().sum(1)


def cosine(real: Gradients, synthetic: Gradients) -> Tensor:
    """1 - cos of everything as one vector. -> (M,)."""
    return _one_minus_cosine(_flat(real), _flat(synthetic))


DISTANCES: dict[str, Callable[[Gradients, Gradients], Tensor]] = {
    "dc": channel_cosines,
    "mse": squared_distance,
    "l1": absolute_distance,
    "cos": cosine,
}


def _one_minus_cosine(g: Tensor, h: Tensor) -> Tensor:
    """Along the last dimension."""
    return 1 - (g * h).sum(-1) / (g.norm(dim=-1) * h.norm(dim=-1) + EPS)


def _flat(gradients: Gradients) -> Tensor:
    return torch.cat([g.flatten(1) for g in gradients], dim=1)


# --- gradients of many classes in many networks ---------------------------------------------------------


def group_gradients(
    network: Network,
    weights: Weights,
    images: Tensor,
    labels: Tensor,
    names: Sequence[str],
    *,
    graph: bool = False,
) -> list[Tensor]:
    """Gradient of the mean cross-entropy on each group of images in each network.

    weights: of N networks; images (G, B, C, H, W), labels (G, B). Returns the derivatives with respect to
    the weights `names`, each (N, G, ...); with `graph` they can be differentiated.
    """
    groups, nets = len(images), network.num_nets
    copies = {name: w.detach().repeat_interleave(groups, 0) for name, w in weights.items()}
    chosen = [copies[name].requires_grad_() for name in names]
    if groups == 1:  # all networks see the same images
        images, labels = images[0], labels[0]
    else:
        images, labels = images.repeat(nets, 1, 1, 1, 1), labels.repeat(nets, 1)
    loss = cross_entropy(network.with_nets(nets * groups).logits(copies, images), labels)
    found = torch.autograd.grad(loss, chosen, create_graph=graph)
    return [g.unflatten(0, (nets, groups)) for g in found]


def class_gradients(
    network: Network, compared: tuple[str, ...], *tensors: Tensor
) -> tuple[Tensor, ...]:
    """As `group_gradients`, without a graph; after the weights: images, labels."""
    weights, (images, labels) = network.split(tensors)
    return tuple(group_gradients(network, weights, images, labels, compared))


def distances(
    network: Network, distance: str, compared: tuple[str, ...], *tensors: Tensor
) -> tuple[Tensor, Tensor]:
    """Distance from target gradients, summed over groups and averaged over networks, and its derivative.

    After the weights: a target (N, G, ...) for each name in `compared`, labels (G, B) and the images
    (G, B, C, H, W) by which is differentiated.
    """
    weights, (*target, labels, images) = network.split(tensors)
    (by,) = leaves([images])
    made = group_gradients(network, weights, by, labels, compared, graph=True)
    pair = ([g.flatten(0, 1) for g in gradients] for gradients in (target, made))
    value = DISTANCES[distance](*pair).sum() / network.num_nets
    (gradient,) = torch.autograd.grad(value, by)
    return value.detach(), gradient


def chunks(count: int, most: int) -> Iterator[slice]:
    """`count` things in equal parts (the last may be smaller) of at most `most`, but at least 1."""
    parts = -(-count // max(1, most))
    size = -(-count // parts)
    return (slice(i, min(i + size, count)) for i in range(0, count, size))


class GradientMatching(Distiller):
    """One iteration is one matching step of `nets` networks, which are trained in between.

    The gradient is that of the distance summed over classes and averaged over networks; the reported
    loss is per comparison.
    """

    def __init__(
        self,
        problem: Problem,
        matching: Matching,
        inner: NetTraining,
        outer: SetUpdates,
        nets: int = 1,
    ) -> None:
        super().__init__(problem)
        self.matching, self.inner, self.outer = matching, inner, outer
        # The library's norms: twice differentiated 1.07 (width 32) to 1.25 times (128) as quick (measured).
        self.network = problem.network(nets)
        weights = self.network.init(problem.generator("net", 0), problem.device)
        self.names = list(weights)
        every = matching.layers == "all"
        self.compared = [n for n in weights if every or weights[n].ndim == 5]
        self.rule = GradientDescent(inner.recipe.momentum, inner.recipe.weight_decay)
        self.state = tuple(s.clone() for s in self.rule.start(tuple(weights.values())))
        per_image = nets * cost(self.network.plan, self.network.shape).activations
        self.images_at_once = (CPU_FLOATS if problem.on_cpu else GPU_FLOATS) // per_image
        self.real_at_once = (CPU_REAL_FLOATS if problem.on_cpu else GPU_FLOATS) // per_image
        self._steps(nets)
        groups = self.synthetic.groups(outer.lr, problem.spec.label_lr)
        self.optimiser = (
            torch.optim.Adam(groups)
            if outer.optimiser == "adam"
            else torch.optim.SGD(groups, momentum=outer.momentum)
        )

    def _steps(self, nets: int) -> None:
        """What an iteration is made of, and how many multiply-adds the run has of each."""
        m, inner, spec = self.matching, self.inner, self.problem.spec
        one = nets * cost(self.network.plan, self.network.shape).macs * spec.params.iterations
        made = len(self.synthetic)
        compared = self.problem.classes * m.batch or made
        self.look = execution.step(
            class_gradients,
            self.network,
            tuple(self.compared),
            total=3.0 * one * m.real_batch * self.problem.classes,
        )
        self.compare = execution.step(
            distances, self.network, m.distance, tuple(self.compared), total=9.0 * one * compared
        )
        trained = inner.recipe.epochs * (inner.real_images or made)
        self.train = execution.step(gradients, self.network, "ce", total=3.0 * one * trained)

    @property
    def weights(self) -> Weights:
        """The networks as they stand."""
        return dict(zip(self.names, self.state))

    @property
    def theta(self) -> WeightTuple:
        """Their weights alone."""
        return self.state[: len(self.names)]

    def buffers(self) -> dict[str, Tensor]:
        """The networks in training: weights, then velocities."""
        return {f"network.{i}": s for i, s in enumerate(self.state)}

    # --- one iteration --------------------------------------------------------------------------

    def step(self, iteration: int) -> dict[str, float]:
        """Fresh networks or some training, then one comparison with real data."""
        network, match = divmod(iteration, self.outer.matches)
        if match == 0:
            self._restart(network)
        else:
            self._train(iteration)
        decoded = self.synthetic.leaves()
        inputs = [x.detach().requires_grad_() for x in decoded]
        images, real = self._batches(iteration, inputs)
        collective = self.matching.is_collective(network, match)
        loss, gradient = self.match(real, images.detach(), collective=collective)
        self.synthetic.pull(decoded, torch.autograd.grad(images, inputs, gradient))
        return {"loss": loss.item() / (1 if collective else len(images))}

    def match(
        self, real: Tensor, images: Tensor, *, collective: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Distance of two sets of images, and its derivative with respect to the second.

        real (K, R, C, H, W) and images (K, B, C, H, W), a row for each class. The distance () is summed
        over classes, or is that of the mean gradients, and averaged over networks.
        """
        shape = images.shape
        labels = torch.arange(len(images), device=images.device)
        real_labels, labels = (labels[:, None].expand(x.shape[:2]) for x in (real, images))
        if collective:  # one group of all classes
            real, real_labels, images, labels = (
                x.flatten(0, 1)[None] for x in (real, real_labels, images, labels)
            )
        loss, gradient = images.new_zeros(()), torch.empty_like(images)
        for part in chunks(len(images), self.images_at_once // images.shape[1]):
            target = self._real_gradients(real[part], real_labels[part])
            value, gradient[part] = self.compare(*self.theta, *target, labels[part], images[part])
            loss += value
        return loss, gradient.view(shape)

    def _real_gradients(self, real: Tensor, labels: Tensor) -> list[Tensor]:
        """As `group_gradients`, without a graph, some groups and some of their images at a time."""
        groups, count = labels.shape
        found = []
        for part in chunks(groups, self.images_at_once // count):
            total: tuple[Tensor, ...] = ()
            for images in chunks(count, self.real_at_once // (part.stop - part.start)):
                x, y = real[part, images], labels[part, images]
                mean = self.look(*self.theta, x, y)
                part_of = torch._foreach_mul(mean, y.shape[1] / count)  # it counts by its size
                total = torch._foreach_add(total, part_of) if total else part_of
            found.append(total)
        return [torch.cat(parts, dim=1) for parts in zip(*found)]

    def _batches(self, iteration: int, inputs: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Synthetic (K, B, C, H, W), with a graph to `inputs`, and real images (K, R, C, H, W)."""
        m, problem = self.matching, self.problem
        real, _ = problem.data.sample_per_class(m.real_batch, problem.generator("real", iteration))
        view = self.synthetic.draw(problem.generator("view", iteration), m.batch)
        images, _ = self.synthetic.take(inputs, view)
        classes = self.synthetic.classes_of(view)
        shared = step_major_labels(problem.classes, m.real_batch)
        for i, strategy in enumerate(m.augment):
            generator = problem.generator("augment", iteration, i)
            draw = augment.sample(strategy, problem.classes, generator)
            real = augment.apply(real, draw.take(shared))
            images = augment.apply(images, draw.take(self.synthetic.rows_of(view)))
        by_class = images[classes.argsort(stable=True)]
        rows = (problem.classes, -1)
        return by_class.unflatten(0, rows), real.unflatten(0, rows)

    # --- the networks ---------------------------------------------------------------------------

    def _restart(self, network: int) -> None:
        fresh = self.network.init(self.problem.generator("net", network), self.problem.device)
        self._keep(self.rule.start(tuple(fresh.values())))

    def _train(self, iteration: int) -> None:
        """All epochs between two matching steps."""
        recipe, state = self.inner.recipe, self.state
        for epoch, (images, labels) in enumerate(self._training_sets(iteration)):
            seeds = [
                rng.derive(self.problem.spec.seed, "inner", iteration, epoch, net)
                for net in range(self.network.num_nets)
            ]
            batches = Batches(images, labels, self.problem.classes, recipe, seeds)
            rates = (torch.full((batches.per_epoch,), recipe.lr, device=images.device),)
            for t, (x, y) in enumerate(batches.epoch()):
                weights = state[: len(self.names)]
                gradient = batch_gradients(self.train, self.network, weights, x, y)
                with torch.no_grad():
                    state = self.rule.update(t, state, gradient, rates)
        self._keep(state)

    def _training_sets(self, iteration: int) -> Iterator[tuple[Tensor, Tensor]]:
        """What each epoch sees. A GPU augments for many epochs at once: small batches leave it waiting."""
        size = self.inner.real_images or len(self.synthetic)
        floats = AUGMENTED * size * math.prod(self.network.shape)
        at_once = 1 if self.problem.on_cpu else max(1, GPU_FLOATS // floats)
        for start in range(0, self.inner.recipe.epochs, at_once):
            epochs = range(start, min(start + at_once, self.inner.recipe.epochs))
            images, labels, draws = zip(*(self._training_set(iteration, e) for e in epochs))
            if self.inner.augment:
                whole = torch.cat(images)
                for own in zip(*draws):
                    whole = augment.apply(whole, augment.Draw.cat(own))
                images = whole.split([len(x) for x in images])
            yield from zip(images, labels)

    def _training_set(
        self, iteration: int, epoch: int
    ) -> tuple[Tensor, Tensor, list[augment.Draw]]:
        """Images and labels of an epoch, and how they are to be augmented."""
        generator = self.problem.generator("training", iteration, epoch)
        if self.inner.real_images:
            images, labels = self.problem.data.minibatch(self.inner.real_images, generator)
        else:
            with torch.no_grad():
                view = self.synthetic.draw(generator)
                images, labels = self.synthetic.take(self.synthetic.leaves(), view)
        return (
            images,
            labels,
            [augment.sample(strategy, len(images), generator) for strategy in self.inner.augment],
        )

    def _keep(self, state: Sequence[Tensor]) -> None:
        for kept, new in zip(self.state, state):
            kept.copy_(new)
