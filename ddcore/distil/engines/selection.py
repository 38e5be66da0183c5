"""Selection: the crops of real images that a teacher finds easiest, pasted into mosaics. No optimisation.

Sun, Shi, Yu & Lin 2024 (RDED). Of each image several random crops are looked at and the easiest is kept, of
each class the easiest of these. A crop is as large as a tile of the mosaic; the teacher sees it in the middle
of an image that is 0 elsewhere, as in the authors' code.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ddcore.base import rng
from ddcore.base.errors import DataError, SpecError
from ddcore.data.dataset import some
from ddcore.data.spec import dataset_task
from ddcore.data.tensors import DeviceData
from ddcore.distil.problem import Distiller, Problem
from ddcore.distil.selection_spec import Selection, SelectionPart, selection_work
from ddcore.measure.coresets import cross_entropies
from ddcore.nets.architectures import image_macs
from ddcore.pools.bank import soft_labels
from ddcore.pools.networks import load
from ddcore.pools.teaching import teaching
from ddcore.tasks.worker import Context
from ddcore.training.chunks import limit_threads
from ddcore.training.trained import TrainedNets

CHUNK = 512  # images whose crops are scored at a time


@dataclass(frozen=True)
class Boxes:
    """Where crops are cut: heights, widths, tops and lefts, (B,) int64 on the CPU."""

    heights: Tensor
    widths: Tensor
    tops: Tensor
    lefts: Tensor


class MosaicSelection(Distiller):
    """One step: draw, score, paste, and label where labels are the teacher's. `parts` are made apart."""

    def __init__(
        self, problem: Problem, asked: Selection, parts: Sequence[SelectionPart] = ()
    ) -> None:
        super().__init__(problem)
        self.asked, self.parts, spec = asked, parts, problem.spec
        wanted = teaching(spec.data, spec.net, spec.params.teaches)
        self.teacher = load(problem.need(wanted), problem.device)
        self.optimiser = torch.optim.SGD(list(self.tensors().values()), lr=1.0)  # has nothing to do

    def buffers(self) -> dict[str, Tensor]:
        """What the teacher says of the mosaics, where it is asked."""
        return {} if self.synthetic.raw is None else {"labels": self.synthetic.raw}

    @torch.no_grad()
    def step(self, iteration: int) -> dict[str, float]:
        """Everything there is to do; the loss is the teacher's, averaged over the crops that are kept."""
        made = self._from_parts() if self.parts else self._whole()
        (images,) = self.tensors().values()
        images.copy_(torch.cat([each.images for each in made]))
        if self.synthetic.raw is not None:
            self.synthetic.raw.copy_(soft_labels(self.teacher, images))
        return {"loss": torch.cat([each.scores for each in made]).mean().item()}

    def _whole(self) -> list[ChosenCrops]:
        problem, seed = self.problem, self.problem.spec.seed
        classes = Classes(problem.data, self.teacher, self.asked, seed)
        return [classes.chosen(c, c, problem.per_class) for c in range(problem.classes)]

    def _from_parts(self) -> list[ChosenCrops]:
        """What other tasks have chosen, or choose now, in the order of classes."""
        found = []
        for part in self.parts:
            arrays = self.problem.need(part).arrays()
            kept = (torch.from_numpy(arrays[name].copy()) for name in ("images", "scores"))
            found.append(ChosenCrops(*(values.to(self.problem.device) for values in kept)))
        return found


@torch.no_grad()
def run(context: Context[SelectionPart]) -> None:
    """Task `selection`: some classes of a set; of the dataset's images only theirs are read."""
    spec = context.spec
    count = len(context.need(dataset_task(spec.data)).result()["class_names"])
    count = len(spec.data.classes) or count
    own, asked = spec.classes(count), teaching(spec.data, spec.net, spec.teacher)
    if spec.parts > count:
        raise SpecError("DD_SELECTION_PARTS", spec.parts, f"at most the {count} classes")
    teacher = load(context.need(asked), context.device)
    data = DeviceData(some(context.store, spec.data, own), context.device)
    limit_threads(teacher.network, context.device)
    classes, made = Classes(data, teacher, spec.asked, spec.seed), []
    for place, c in enumerate(own):
        context.progress(place, len(own))
        made.append(classes.chosen(place, c, spec.ipc))
    arrays = {
        "images": torch.cat([each.images for each in made]).cpu().numpy(),
        "scores": torch.cat([each.scores for each in made]).cpu().numpy(),
    }
    context.save_arrays(arrays)
    context.save_result(
        {
            "classes": [own.start, own.stop],
            "work": selection_work(asked, spec.asked, data.shape, len(own), count),
            "shape": list(data.shape),
            "image_macs": image_macs(asked.net, data.shape, count),
            "device": context.device,
            "seconds": context.seconds,
            "cpu_seconds": context.cpu_seconds,
        }
    )
    context.progress(len(own), len(own))


@dataclass(frozen=True)
class ChosenCrops:
    """Images (M, C, H, W) of a class, or of several, and the scores of the crops in them."""

    images: Tensor
    scores: Tensor


@dataclass(frozen=True)
class Classes:
    """Where crops come from: images, the networks that judge them, what is asked, the seed of the draws."""

    data: DeviceData
    teacher: TrainedNets
    asked: Selection
    seed: int

    def chosen(self, place: int, c: int, ipc: int, *, medium: bool = False) -> ChosenCrops:
        """The images of class c, which is the class at `place` in the data at hand.

        Of the easiest crops, or of those in the middle of their order (`medium`).
        """
        needed = self.asked.factor**2 * ipc
        members = self.data.class_indices[place]
        _enough(needed, len(members))
        crops, scores = self._candidates(c, members)
        first = (len(scores) - needed) // 2 if medium else 0
        order = scores.argsort(stable=True)[first : first + needed]
        return ChosenCrops(mosaics(crops[order], self.asked.factor, self.data.shape), scores[order])

    def _candidates(self, c: int, members: Tensor) -> tuple[Tensor, Tensor]:
        """Of random images of a class each one's easiest crop (B, C, h, w), and the scores (B,)."""
        p, generator = self.asked, rng.generator(self.seed, "crops", c)
        drawn = members.cpu()[torch.randperm(len(members), generator=generator)[: p.candidates]]
        found = []
        for part in drawn.split(CHUNK):
            images = self.data.batch(part)
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
        padded = centred(crops, self.data.shape)
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
