"""Selection: the crops of real images that a teacher finds easiest, pasted into mosaics. No optimisation.

Sun, Shi, Yu & Lin 2024 (RDED). Of each image several random crops are looked at and the easiest is kept, of
each class the easiest of these. A crop is as large as a tile of the mosaic; the teacher sees it in the middle
of an image that is 0 elsewhere, as in the authors' code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ddcore.base.errors import DataError
from ddcore.distil.problem import Distiller, Problem
from ddcore.measure.coresets import cross_entropies
from ddcore.pools.bank import soft_labels, teacher

CHUNK = 512  # images whose crops are scored at a time


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Of each class `candidates` random images with `crops` crops each, of at least `area` of an image.

    `factor` x `factor` of them make an image.
    """

    candidates: int
    crops: int
    area: float
    factor: int


@dataclass(frozen=True)
class Boxes:
    """Where crops are cut: heights, widths, tops and lefts, (B,) int64 on the CPU."""

    heights: Tensor
    widths: Tensor
    tops: Tensor
    lefts: Tensor


class MosaicSelection(Distiller):
    """One step: draw, score, paste, and label where labels are the teacher's."""

    def __init__(self, problem: Problem, params: Selection) -> None:
        super().__init__(problem)
        self.params, spec = params, problem.spec
        self.teacher = teacher(spec.data, spec.net, problem.need, problem.device)
        self.optimiser = torch.optim.SGD(list(self.tensors().values()), lr=1.0)  # has nothing to do

    def buffers(self) -> dict[str, Tensor]:
        """What the teacher says of the mosaics, where it is asked."""
        return {} if self.synthetic.raw is None else {"labels": self.synthetic.raw}

    @torch.no_grad()
    def step(self, iteration: int) -> dict[str, float]:
        """Everything there is to do; the loss is the teacher's, averaged over the crops that are kept."""
        p, problem = self.params, self.problem
        needed = p.factor**2 * problem.per_class
        made, losses = [], []
        for c, members in enumerate(problem.data.class_indices):
            _enough(needed, len(members))
            crops, scores = self._candidates(c, members)
            order = scores.argsort(stable=True)[:needed]
            made.append(mosaics(crops[order], p.factor, problem.data.shape))
            losses.append(scores[order])
        (images,) = self.tensors().values()
        images.copy_(torch.cat(made))
        if self.synthetic.raw is not None:
            self.synthetic.raw.copy_(soft_labels(self.teacher, images))
        return {"loss": torch.cat(losses).mean().item()}

    def _candidates(self, c: int, members: Tensor) -> tuple[Tensor, Tensor]:
        """Of random images of a class each one's easiest crop (B, C, h, w), and the scores (B,)."""
        p, generator = self.params, self.problem.generator("crops", c)
        drawn = members.cpu()[torch.randperm(len(members), generator=generator)[: p.candidates]]
        found = []
        for part in drawn.split(CHUNK):
            images = self.problem.data.batch(part)
            crops = torch.stack(
                [crop(images, boxes(images, p.area, generator), p.factor) for _ in range(p.crops)]
            )
            scores = self._scores(crops.flatten(0, 1), c).unflatten(0, crops.shape[:2])
            best, which = scores.min(0)
            found.append((crops[which, torch.arange(len(part), device=which.device)], best))
        crops, scores = (torch.cat(parts) for parts in zip(*found))
        return crops, scores

    def _scores(self, crops: Tensor, c: int) -> Tensor:
        """(B,) cross-entropy of crops of class c, averaged over the teacher's networks."""
        padded = centred(crops, self.problem.data.shape)
        logits = torch.cat(self.teacher.logits_in_batches(padded), dim=1)
        labels = torch.full((len(crops),), c)
        return cross_entropies(logits, labels).to(crops.device)


def _enough(needed: int, there: int) -> None:
    if there < needed:
        raise DataError(
            f"A class needs {needed} crops, each of an image of its own, but one has {there} images."
        )


def boxes(images: Tensor, area: float, generator: torch.Generator) -> Boxes:
    """A random part of each image (B, C, H, W), of the same shape: `area` to all of it, anywhere."""
    count, (height, width) = len(images), images.shape[2:]
    shares = area + (1 - area) * torch.rand(count, generator=generator, dtype=torch.float64)
    heights, widths = (
        (side * shares.sqrt()).round().long().clamp(1, side) for side in (height, width)
    )
    places = torch.rand(2, count, generator=generator, dtype=torch.float64)
    tops = (places[0] * (height - heights + 1)).long()
    lefts = (places[1] * (width - widths + 1)).long()
    return Boxes(heights, widths, tops, lefts)


def crop(images: Tensor, where: Boxes, factor: int) -> Tensor:
    """Those parts (B, C, H // factor, W // factor), smoothed where they become smaller."""
    height, width = images.shape[2:]
    size = (height // factor, width // factor)
    found = images.new_empty(*images.shape[:2], *size)
    sizes = torch.stack([where.heights, where.widths], 1)
    for h, w in sizes.unique(dim=0).tolist():
        these = ((where.heights == h) & (where.widths == w)).nonzero()[:, 0]
        rows = where.tops[these][:, None] + torch.arange(h)
        columns = where.lefts[these][:, None] + torch.arange(w)
        at = [x.to(images.device) for x in (these, rows, columns)]
        part = images[at[0][:, None, None], :, at[1][:, :, None], at[2][:, None, :]]
        part = part.permute(0, 3, 1, 2)
        found[at[0]] = F.interpolate(
            part, size, mode="bilinear", align_corners=False, antialias=True
        )
    return found


def centred(crops: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Crops in the middle of images of `shape` (C, H, W) that are 0 elsewhere."""
    down, right = shape[1] - crops.shape[2], shape[2] - crops.shape[3]
    top, left = down // 2, right // 2
    return F.pad(crops, (left, right - left, top, down - top))


def mosaics(crops: Tensor, factor: int, shape: tuple[int, int, int]) -> Tensor:
    """Images (M, C, H, W) of factor^2 crops each: crops (factor^2 M, C, h, w), the easiest first.

    Row by row: the first M crops are the first tiles of all images, the next the second. Where the side is
    no multiple of `factor`, the first tiles are a pixel larger, their crops enlarged to the nearest pixel.
    """
    heights, widths = (_sides(side, factor) for side in shape[1:])
    tiles = iter(crops.unflatten(0, (factor**2, -1)))
    return torch.cat(
        [torch.cat([F.interpolate(next(tiles), (h, w)) for w in widths], 3) for h in heights], 2
    )


def _sides(side: int, factor: int) -> list[int]:
    """How many pixels each of `factor` tiles gets of a side."""
    return [math.ceil((side - i) / factor) for i in range(factor)]
