"""Inversion of trained networks: images of which they are sure, and whose statistics are those they know.

Yin, Xing & Shen 2023 (SRe2L): cross-entropy of each image's class, plus the distance between means and
variances of a batch where norms see it and those of the real data. Batch norms remember the latter. Other
norms do not: there they are measured on the real training images, which is ours. FADRM mixes real patches
back in on the way (`ResidualInversion`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ddcore.base import execution
from ddcore.base.execution import leaves
from ddcore.base.placing import placed_together
from ddcore.data.tensors import DeviceData
from ddcore.distil.decoder import View
from ddcore.distil.engines.selection import Classes
from ddcore.distil.problem import Current, Distiller, Problem, to_numpy
from ddcore.distil.selection_spec import Selection
from ddcore.nets.network import Network, Weights
from ddcore.nets.plan import cost
from ddcore.pools.bank import soft_labels
from ddcore.pools.networks import load
from ddcore.pools.teaching import teaching
from ddcore.training.labels import one_hot
from ddcore.training.trained import TrainedNets

Moments = tuple[Tensor, Tensor]  # means and variances of each channel


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Weights of the terms beside the cross-entropy; `first` multiplies the first layer's statistics."""

    statistics: float
    first: float
    variation: float
    square: float


@dataclass(frozen=True, kw_only=True)
class Inverted:
    """`nets` of the teacher's networks; statistics are of `together` images of each class (0: all).

    `at_once` such groups go through the networks together, which bounds memory. Images
    are rolled by up to `roll` pixels each way, all alike. Adam's step size `lr` falls to 0.
    """

    nets: int
    together: int
    at_once: int
    roll: int
    lr: float
    terms: Terms


@dataclass(frozen=True, kw_only=True)
class Residuals:
    """Real patches, chosen by the teacher, weigh `blend` at the start of each of `stages` but the first."""

    patches: Selection
    blend: float
    stages: int


def moments(seen: Tensor, groups: Tensor, count: int) -> Moments:
    """Means, variances (N, G, C) over a group's images and all places: seen (N, B, C, H, W), groups (B,)."""
    share = one_hot(groups, count).to(seen.dtype)
    share = share / share.sum(0)
    mean = torch.einsum("bg,nbc->ngc", share, seen.mean((3, 4)))
    centred = seen - mean[:, groups, :, None, None]
    return mean, torch.einsum("bg,nbc->ngc", share, centred.square().mean((3, 4)))


def distance(found: Sequence[Moments], known: Sequence[Moments], first: float) -> Tensor:
    """Sum over layers of ||mean - mean*|| + ||var - var*||, averaged over networks, summed over groups.

    found (N, G, C), known (N, C); norms are not squared, as published.
    """
    total = found[0][0].new_zeros(())
    for index, (ours, theirs) in enumerate(zip(found, known, strict=True)):
        weight = first if index == 0 else 1.0
        for moment, wanted in zip(ours, theirs):
            total = total + weight * (moment - wanted[:, None]).norm(dim=2).mean(0).sum()
    return total


def total_variation(images: Tensor) -> Tensor:
    """Of each image (B, C, H, W), the mean over numbers of |x - right neighbour| + |x - lower neighbour|."""
    across, down = (images.diff(dim=side).abs().sum((1, 2, 3)) for side in (3, 2))
    return (across + down) / images[0].numel()


def objective(
    network: Network,
    terms: Terms,
    held: tuple[Weights, Weights | None],
    known: Sequence[Moments],
    images: Tensor,
    classes: Tensor,
    groups: Tensor,
    count: int,
) -> Tensor:
    """The loss of images (B, C, H, W), averaged over networks, summed over groups as if each were alone.

    `held` are weights and statistics; a group's cross-entropy is the mean over its images.
    """
    logits, seen = network.watched(held[0], images, held[1])
    found = [moments(layer, groups, count) for layer in seen.values()]
    share = 1 / one_hot(groups, count).sum(0)[groups].to(images.dtype)  # of its group
    right = logits.log_softmax(2).gather(2, classes.expand(len(logits), -1)[..., None])[..., 0]
    loss = terms.statistics * distance(found, known, terms.first) - (right * share).sum(1).mean()
    if terms.variation:
        loss = loss + terms.variation * (share * total_variation(images)).sum()
    if terms.square:
        loss = loss + terms.square * (share * images.square().mean((1, 2, 3))).sum()
    return loss


def descent(network: Network, terms: Terms, count: int, *tensors: Tensor) -> tuple[Tensor, Tensor]:
    """The loss and its derivative by images; after weights and statistics: known moments, images, classes,
    groups."""
    weights, rest = network.split(tensors)
    own = len(network.stat_names)
    held = weights, network.statistics(rest[:own])
    *flat, images, classes, groups = rest[own:]
    known = list(zip(flat[::2], flat[1::2]))
    (by,) = leaves([images])
    loss = objective(network, terms, held, known, by, classes, groups, count)
    (gradient,) = torch.autograd.grad(loss, by)
    return loss.detach(), gradient


def remembered(nets: TrainedNets, data: DeviceData) -> list[Moments]:
    """(N, C) of each layer: what batch norms remember of the real images, else measured on all of them."""
    names = [name.removesuffix(".mean") for name in nets.stats if name.endswith(".mean")]
    if names:
        return [(nets.stats[f"{name}.mean"], nets.stats[f"{name}.var"]) for name in names]
    return measured(nets, [images for images, _ in data.train.batches(nets.at_once)])


@torch.no_grad()
def measured(nets: TrainedNets, batches: Sequence[Tensor]) -> list[Moments]:
    """Means and variances (N, C) of each layer over all images (B, C, H, W) and places, summed in float64."""
    sums: dict[str, Moments] = {}
    count = 0
    for images in batches:
        count += len(images)
        _, seen = nets.network.watched(nets.params, images)
        for name, layer in seen.items():
            each = layer.double()
            found = each.mean((3, 4)).sum(1), each.square().mean((3, 4)).sum(1)
            before = sums.get(name)
            sums[name] = found if before is None else (before[0] + found[0], before[1] + found[1])
    return [_settled(*pair, count, images.dtype) for pair in sums.values()]


def _settled(total: Tensor, squares: Tensor, count: int, dtype: torch.dtype) -> Moments:
    mean = total / count
    return mean.to(dtype), (squares / count - mean.square()).clamp(min=0).to(dtype)


class Inversion(Distiller):
    """SRe2L: all images in every iteration, each group of them with statistics of its own."""

    def __init__(self, problem: Problem, params: Inverted) -> None:
        super().__init__(problem)
        self.params, spec = params, problem.spec
        wanted = teaching(spec.data, spec.net, spec.params.teaches)
        self.teacher = load(problem.need(wanted), problem.device)
        nets = self.teacher.part(slice(0, params.nets))
        self.known = [m for pair in remembered(nets, problem.data) for m in pair]
        self.held = nets.network.in_order(nets.params, nets.stats)
        self.groups = self._grouped(params.together or problem.per_class)
        self.count = int(self.groups.max()) + 1
        self.optimiser = torch.optim.Adam(
            self.synthetic.groups(params.lr, spec.label_lr), betas=(0.5, 0.9)
        )
        one = nets.network.num_nets * cost(nets.network.plan, nets.network.shape).macs
        self.parts = []
        for first in range(0, self.count, params.at_once):
            count = min(params.at_once, self.count - first)
            rows = ((self.groups >= first) & (self.groups < first + count)).nonzero()[:, 0]
            index, groups = placed_together([rows, self.groups[rows] - first], problem.device)
            total = 3.0 * spec.params.iterations * len(rows) * one
            step = execution.step(descent, nets.network, params.terms, count, total=total)
            self.parts.append((index, groups, step))

    def _grouped(self, together: int) -> Tensor:
        """(B,) on the CPU: the group of each image that an iteration sees, all of them in their order."""
        decoder = self.synthetic.decoder
        groups = _ranks(decoder.labels) // together
        members = decoder.members(View())
        return groups if members is None else groups[members.cpu()]

    def step(self, iteration: int) -> dict[str, float]:
        """One step of all images, rolled alike; the loss is the mean over groups."""
        decoded = self.synthetic.leaves()
        inputs = [x.detach().requires_grad_() for x in decoded]
        view = self.synthetic.draw(self.problem.generator("view", iteration))
        images, _ = self.synthetic.take(inputs, view)
        if self.params.roll:
            generator = self.problem.generator("roll", iteration)
            shifts = torch.randint(self.params.roll + 1, (2,), generator=generator).tolist()
            images = images.roll(shifts, (2, 3))
        shown, classes = images.detach(), self.synthetic.classes_of(view)
        gradient, losses = torch.empty_like(shown), []
        for index, groups, step in self.parts:
            seen = (shown[index], classes[index], groups)
            loss, gradient[index] = step(*self.held, *self.known, *seen)
            losses.append(loss)
        self.synthetic.pull(decoded[:1], torch.autograd.grad(images, inputs[:1], gradient))
        return {"loss": torch.stack(losses).sum().item() / self.count}

    def lr_factor(self, iteration: int) -> float:
        """A cosine that ends at 0."""
        return (1 + math.cos(math.pi * iteration / self.problem.spec.params.iterations)) / 2

    def current(self) -> Current:
        """The set now; soft labels are what the whole teacher says of it as it is."""
        found = super().current()
        if self.synthetic.raw is None:
            return found
        images, _ = self.synthetic.final()
        labels = to_numpy(soft_labels(self.teacher, images))
        return Current(found.images, labels, stored=found.stored)


class ResidualInversion(Inversion):
    """FADRM: starts from real patches, which are mixed in again between stages. Needs plain pixels."""

    def __init__(self, problem: Problem, params: Inverted, residuals: Residuals) -> None:
        super().__init__(problem, params)
        self.residuals, stages = residuals, residuals.stages
        total = problem.spec.params.iterations
        self.mixed_at = {round(total * i / stages) for i in range(1, stages)} - {0}
        classes = Classes(problem.data, self.teacher, residuals.patches, problem.spec.seed)
        with torch.no_grad():
            made = [
                classes.chosen(c, c, problem.per_class, medium=True).images
                for c in range(problem.classes)
            ]
        self.patches = torch.cat(made)
        (images,) = self.tensors().values()
        with torch.no_grad():
            images.copy_(self.patches)

    def step(self, iteration: int) -> dict[str, float]:
        """Where a stage begins, x <- (1 - b) x + b patch first."""
        if iteration in self.mixed_at:
            (images,) = self.tensors().values()
            with torch.no_grad():
                images.lerp_(self.patches, self.residuals.blend)
        return super().step(iteration)


def _ranks(labels: Tensor) -> Tensor:
    """(M,) which of its class each image is, from 0."""
    counts = one_hot(labels, int(labels.max()) + 1).cumsum(0)
    return counts.gather(1, labels[:, None])[:, 0].long() - 1
