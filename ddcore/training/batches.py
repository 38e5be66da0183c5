"""Minibatches of N networks: each with its own order of images and its own augmentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ddcore.base import rng
from ddcore.base.placing import placed, placed_together
from ddcore.training import augment, strategies
from ddcore.training.protocols import Protocol


class Batches:
    """Minibatches by index, shuffled and augmented per network."""

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        classes: int,
        protocol: Protocol,
        seeds: Sequence[int],
    ) -> None:
        self.images, self.labels, self.protocol = images, labels, protocol
        self.classes = classes
        self.shared = images.ndim == 4
        self.count = images.shape[-4]
        self.batch = min(protocol.batch or self.count, self.count)
        self.per_epoch = -(-self.count // self.batch)
        self.orders = [rng.generator(s, "order") for s in seeds]
        self.augments = [rng.generator(s, "augment") for s in seeds]
        self.together, self.stages = strategies.stages(protocol.augment)
        self.mixes = [rng.generator(s, "cutmix") for s in seeds]

    def epoch(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (images, labels); images (N, B, C, H, W), or (B, C, H, W) when all see the same."""
        if self.batch == self.count:
            yield self._mixed(self._augmented(self.images), self.labels)
            return
        order = torch.stack([torch.randperm(self.count, generator=g) for g in self.orders])
        order = placed(order, self.images.device)
        nets = torch.arange(len(order), device=order.device)[:, None]
        for index in order.split(self.batch, dim=1):
            x = self.images[index] if self.shared else self.images[nets, index]
            y = self.labels[index] if self.labels.ndim < 3 else self.labels[nets, index]
            yield self._mixed(self._augmented(x), y)

    def _augmented(self, x: Tensor) -> Tensor:
        if not self.stages:
            return x
        n = len(self.augments)
        if x.ndim == 4:
            x = x.expand(n, *x.shape)
        flat = x.flatten(0, 1)
        for stage in self.stages:
            draws = [
                augment.sample(stage, x.shape[1], g, together=self.together) for g in self.augments
            ]
            flat = augment.apply(flat, augment.Draw.cat(draws))
        return flat.unflatten(0, (n, -1))

    def _mixed(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """CutMix: with probability `cutmix` per network, paste one box of a shuffled batch."""
        if not self.protocol.cutmix:
            return x, y
        n = len(self.mixes)
        if x.ndim == 4:
            x = x.expand(n, *x.shape)
        if not y.is_floating_point():
            y = F.one_hot(y, self.classes).to(x.dtype)
        y = y.expand(n, *y.shape[-2:])
        count, height, width = x.shape[1], *x.shape[-2:]
        order, masks = [], torch.zeros(n, 1, 1, height, width)
        for mask, g in zip(masks, self.mixes):
            order.append(torch.randperm(count, generator=g))
            happens, area, row, column = torch.rand(4, generator=g).tolist()
            if happens < self.protocol.cutmix:
                half = (area**0.5) / 2  # beta(1, 1): the box's share of the image is uniform
                top, bottom = (round(height * (row + s * half)) for s in (-1, 1))
                left, right = (round(width * (column + s * half)) for s in (-1, 1))
                mask[..., max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = 1
        nets = torch.arange(n, device=x.device)[:, None]
        shuffled, masks = placed_together([torch.stack(order), masks], x.device)
        share = masks.mean((2, 3, 4))[..., None]
        x = x * (1 - masks) + x[nets, shuffled] * masks
        return x, y * (1 - share) + y[nets, shuffled] * share
