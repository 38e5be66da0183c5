"""Trained models, as many as there are, and what they say about images."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ddcore.base import execution
from ddcore.data.tensors import Part
from ddcore.nets.module import to_module
from ddcore.nets.network import Network, Weights, select
from ddcore.nets.plan import cost
from ddcore.training.estimate import TESTED, tested_at_once
from ddcore.training.steps import tested, trained_features

Images = Tensor | np.ndarray | Part  # preprocessed (B, C, H, W)


class Trained:
    """N trained models that can be tested: networks, or kernel machines."""

    @property
    def module(self) -> torch.nn.Module:
        """The first model as a `torch.nn.Module`."""
        raise NotImplementedError

    def logits_in_batches(self, images: Images) -> list[Tensor]:
        """Outputs (N, b, K) per batch, on the CPU."""
        raise NotImplementedError

    def predict(self, images: Images) -> Tensor:
        """Predicted classes (N, B) of preprocessed images (B, C, H, W), on the CPU."""
        return torch.cat([lg.argmax(2) for lg in self.logits_in_batches(images)], dim=1)

    def accuracy(self, part: Part) -> list[float]:
        """Share of the part's images that each model classifies as labelled."""
        return agreement(self.predict(part), part.labels)

    def losses(self, part: Part) -> list[float]:
        """Mean cross-entropy of each model on the part."""
        return mean_losses(torch.cat(self.logits_in_batches(part), dim=1), part.labels)


@dataclass(frozen=True)
class TrainedNets(Trained):
    """N trained networks: stacked weights and batch-norm statistics."""

    network: Network
    params: Weights
    stats: Weights

    @property
    def module(self) -> torch.nn.Module:
        """The first network as an ordinary `nn.Module` in eval mode."""
        return to_module(self.network, self.params, self.stats)

    def part(self, which: slice) -> TrainedNets:
        """Some of the networks."""
        params, stats = select(self.params, which), select(self.stats, which)
        count = len(next(iter(params.values())))
        return TrainedNets(self.network.with_nets(count), params, stats)

    @property
    def at_once(self) -> int:
        """How many images they are tested on at a time."""
        return tested_at_once(self.network.plan, self.network.shape)

    def logits_in_batches(self, images: Images) -> list[Tensor]:
        """Outputs (N, b, K) per batch, on the CPU; networks one by one, which is fastest when large."""
        single = self.network.with_nets(1)
        device = next(iter(self.params.values())).device
        step = self._step(tested, single, count=len(images))
        held = self.network.in_order(self.params, self.stats)
        found = []
        with torch.no_grad():
            for part in in_batches(images, self.at_once):
                part = part.to(device)
                outputs = [
                    step(*(w[i : i + 1] for w in held), part)[0]
                    for i in range(self.network.num_nets)
                ]
                found.append(torch.cat(outputs).cpu())
        return found

    def features(self, images: Images, at_most: int = TESTED) -> Tensor:
        """Penultimate features (N, B, F), on the CPU; of `at_most` images at a time."""
        batch = min(self.at_once, at_most)
        device = next(iter(self.params.values())).device
        step = self._step(trained_features, self.network, count=len(images))
        weights = self.network.in_order(self.params, self.stats)
        with torch.no_grad():
            parts = [step(*weights, p.to(device))[0].cpu() for p in in_batches(images, batch)]
        return torch.cat(parts, dim=1)

    def _step(
        self, function: execution.Function, *fixed: Hashable, count: int
    ) -> execution.PureStep:
        """A forward pass of all networks on so many images."""
        one = cost(self.network.plan, self.network.shape).macs
        return execution.step(function, *fixed, total=1.0 * self.network.num_nets * count * one)


def agreement(predicted: Tensor, labels: Tensor) -> list[float]:
    """Of each network, the share of images classified as labelled: (N, B) on the CPU, and (B,)."""
    return (predicted == labels.cpu()).float().mean(1).tolist()


def mean_losses(logits: Tensor, labels: Tensor) -> list[float]:
    """Of each network, the mean cross-entropy: logits (N, B, K) on the CPU, labels (B,)."""
    targets = labels.cpu().expand(len(logits), -1)
    return F.cross_entropy(logits.mT, targets, reduction="none").mean(1).tolist()


def in_batches(images: Images, batch: int) -> Iterator[Tensor]:
    """Preprocessed images, `batch` at a time."""
    if isinstance(images, Part):
        yield from (x for x, _ in images.batches(batch))
    else:
        yield from as_tensor(images).split(batch)


def as_tensor(values: Tensor | np.ndarray) -> Tensor:
    return values if isinstance(values, Tensor) else torch.from_numpy(np.ascontiguousarray(values))
