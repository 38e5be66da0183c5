"""Pictures that hold several images side by side."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def split(pictures: Tensor, factor: int, fill: Tensor) -> Tensor:
    """(M, C, H, W) -> (M * factor^2, C, H, W): tiles, row by row, enlarged bilinearly.

    Sides that `factor` does not divide are filled up with `fill` (C, 1, 1), on the right and below.
    """
    if factor == 1:
        return pictures
    height, width = pictures.shape[2:]
    below, right = -height % factor, -width % factor
    if below or right:
        pictures = F.pad(pictures - fill, (0, right, 0, below)) + fill
    tiles = pictures.unflatten(3, (factor, -1)).unflatten(2, (factor, -1))  # (M, C, f, h, f, w)
    tiles = tiles.permute(0, 2, 4, 1, 3, 5).flatten(0, 2)
    return F.interpolate(tiles, (height, width), mode="bilinear", align_corners=False)
