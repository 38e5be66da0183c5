"""Run time of `tiles`: cutting pictures into tiles and enlarging them. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ddcore.data.preprocess import Preprocess
from ddcore.distil.decoder import Decoder
from ddcore.sets.tiling import split

Cuts = Sequence[tuple[int, slice]]  # factor, and which pictures of each group are cut by it


class Tiles(Decoder):
    """Stored pictures (M, C, H, W), `groups` equal runs of them: one for each class of each step.

    Of each group the pictures in a part of `cuts` become factor x factor images each, bilinearly
    enlarged to (C, H, W), picture by picture and each row by row. `labels` are those of the images.
    `clamp` keeps the pictures within the range of real pixels.
    """

    def __init__(
        self,
        start: Tensor,
        groups: int,
        cuts: Cuts,
        labels: Tensor,
        preprocessing: Preprocess,
        clamp: bool,
    ) -> None:
        self.images, self.labels = start.requires_grad_(), labels
        self.groups, self.cuts, self.clamp = groups, cuts, clamp

        def level(pixel: float) -> Tensor:
            """A pixel value as the pictures have it, (C, 1, 1); whitened ones on average."""
            flat = torch.full_like(start[:1], pixel)
            return preprocessing.forward(flat)[0].mean((1, 2), keepdim=True)

        self.black, self.grey, self.white = (level(p) for p in (0.0, 0.5, 1.0))

    def tensors(self) -> dict[str, Tensor]:
        """One tensor of all pictures."""
        return {"images": self.images}

    def decode(self) -> Tensor:
        """All images; those of a group follow each other."""
        stored = self.images.unflatten(0, (self.groups, -1))
        parts = [
            split(stored[:, part].flatten(0, 1), factor, self.grey).unflatten(0, (self.groups, -1))
            for factor, part in self.cuts
        ]
        return torch.cat(parts, 1).flatten(0, 1)

    def project(self) -> None:
        """Back into the range of pixels, if asked for."""
        if self.clamp:
            with torch.no_grad():
                self.images.clamp_(self.black, self.white)


def join(images: Tensor, groups: int, cuts: Cuts) -> Tensor:
    """Pictures whose tiles are the given images, reduced: what `Tiles.decode` starts from.

    images: as many for each group, in the order in which `cuts` decodes them.
    """
    rows = images.unflatten(0, (groups, -1))
    counts = [factor**2 * (part.stop - part.start) for factor, part in cuts]
    parts = [
        _reduced(row.flatten(0, 1), factor).unflatten(0, (groups, -1))
        for row, (factor, _) in zip(rows.split(counts, dim=1), cuts)
    ]
    return torch.cat(parts, 1).flatten(0, 1).clone()


def _reduced(images: Tensor, factor: int) -> Tensor:
    """(M * factor^2, C, H, W) -> (M, C, H, W): images as tiles, averaged over areas."""
    height, width = images.shape[2:]
    side = -(-height // factor), -(-width // factor)
    tiles = F.interpolate(images, side, mode="area").unflatten(0, (-1, factor, factor))
    pictures = tiles.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)
    return pictures[:, :, :height, :width]  # what sticks out is filled up again when decoding
