"""Minibatches of N networks: each with its own order of images and its own augmentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ddcore.base import rng
from ddcore.base.errors import SpecError
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
        self.blends = [rng.generator(s, "mixup") for s in seeds]
        self.cuts = [rng.generator(s, "patches") for s in seeds]
        if protocol.patches > 1 and any(side % protocol.patches for side in images.shape[-2:]):
            sides = " and ".join(map(str, images.shape[-2:]))
            raise SpecError("patches", protocol.patches, f"a number that divides the sides {sides}")

    def epoch(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (images, labels); images (N, B, C, H, W), or (B, C, H, W) when all see the same."""
        if self.batch == self.count:
            yield self._changed(self.images, self.labels)
            return
        order = torch.stack([torch.randperm(self.count, generator=g) for g in self.orders])
        order = placed(order, self.images.device)
        nets = torch.arange(len(order), device=order.device)[:, None]
        for index in order.split(self.batch, dim=1):
            x = self.images[index] if self.shared else self.images[nets, index]
            y = self.labels[index] if self.labels.ndim < 3 else self.labels[nets, index]
            yield self._changed(x, y)

    def _changed(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """A batch as networks see it: pieces moved, augmented, averaged or mixed with another order of it."""
        return self._mixed(*self._blended(self._augmented(self._moved(x)), y))

    def _moved(self, x: Tensor) -> Tensor:
        """Every image cut into pieces that change places."""
        p = self.protocol.patches
        if p < 2:
            return x
        x = self._for_each(x)
        pieces = x.unflatten(4, (p, -1)).unflatten(3, (p, -1))  # (N, B, C, p, h, p, w)
        pieces = pieces.movedim(5, 4).flatten(3, 4).movedim(3, 2)  # (N, B, p², C, h, w)
        places = [torch.rand(x.shape[1], p * p, generator=g).argsort(1) for g in self.cuts]
        order = placed(torch.stack(places), x.device)[..., None, None, None]
        moved = pieces.gather(2, order.expand_as(pieces)).movedim(2, 3)
        return moved.unflatten(3, (p, p)).movedim(4, 5).flatten(5, 6).flatten(3, 4)

    def _for_each(self, x: Tensor) -> Tensor:
        """Images of a batch (N, B, C, H, W), also where all networks see the same."""
        return x.expand(len(self.orders), *x.shape) if x.ndim == 4 else x

    def _shares(self, y: Tensor, like: Tensor) -> Tensor:
        """Labels of a batch as shares of classes, (N, B, K)."""
        if not y.is_floating_point():
            y = F.one_hot(y, self.classes).to(like.dtype)
        return y.expand(len(self.orders), *y.shape[-2:])

    def _blended(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Mixup: with probability `mixup` per network, every image averaged with one of a shuffled batch."""
        if not self.protocol.mixup:
            return x, y
        x = self._for_each(x)
        y = self._shares(y, x)
        order, shares = [], []
        for g in self.blends:
            order.append(torch.randperm(x.shape[1], generator=g))
            happens, share = torch.rand(2, generator=g).tolist()
            shares.append(share if happens < self.protocol.mixup else 0.0)
        nets = torch.arange(len(order), device=x.device)[:, None]
        shuffled, other = placed_together([torch.stack(order), torch.tensor(shares)], x.device)
        other = other[:, None, None]
        pixels = other[..., None, None].to(x.dtype)
        return x + pixels * (x[nets, shuffled] - x), y + other * (y[nets, shuffled] - y)

    def _augmented(self, x: Tensor) -> Tensor:
        if not self.stages:
            return x
        x = self._for_each(x)
        flat = x.flatten(0, 1)
        for stage in self.stages:
            draws = [
                augment.sample(stage, x.shape[1], g, together=self.together) for g in self.augments
            ]
            flat = augment.apply(flat, augment.Draw.cat(draws))
        return flat.unflatten(0, (len(self.augments), -1))

    def _mixed(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """CutMix: with probability `cutmix` per network, paste one box of a shuffled batch."""
        if not self.protocol.cutmix:
            return x, y
        n, x = len(self.mixes), self._for_each(x)
        y = self._shares(y, x)
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
