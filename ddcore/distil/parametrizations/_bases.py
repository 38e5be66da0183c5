"""Run time of `bases`: images as combinations of small pictures that all classes share. Needs torch."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ddcore.data.tensors import DeviceData
from ddcore.distil.decoder import Decoder, initial_images


class SharedBases(Decoder):
    """bases (K, C, h, w) and coefficients (M, K); image i is its combination, enlarged to `size`."""

    def __init__(
        self, bases: Tensor, coefficients: Tensor, labels: Tensor, size: tuple[int, int]
    ) -> None:
        self.bases, self.coefficients = bases.requires_grad_(), coefficients.requires_grad_()
        self.labels, self.size = labels, size

    def tensors(self) -> dict[str, Tensor]:
        """The shared pictures, and what each image makes of them."""
        return {"bases": self.bases, "coefficients": self.coefficients}

    def decode(self) -> Tensor:
        """Combine, then enlarge bilinearly."""
        small = torch.einsum("mk,kchw->mchw", self.coefficients, self.bases)
        return F.interpolate(small, self.size, mode="bilinear", align_corners=False)


def xavier(size: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Glorot & Bengio's uniform start for a tensor (out, in, ...)."""
    receptive = math.prod(size[2:])
    bound = math.sqrt(6 / ((size[0] + size[1]) * receptive))
    return (2 * torch.rand(size, generator=generator) - 1) * bound


def start(
    init: str,
    labels: Tensor,
    count: int,
    small: tuple[int, int],
    data: DeviceData,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Bases (count, C, *small) and coefficients (M, count).

    From noise as published. Otherwise the `count` pictures that together come nearest to the first
    images (shrunk; a truncated singular value decomposition), with the images' own coefficients.
    """
    channels = data.shape[0]
    if init == "noise":
        bases = xavier((count, channels, *small), generator).to(data.device)
        return bases, xavier((len(labels), count), generator).to(data.device)
    images = initial_images(init, labels, data, generator)
    flat = F.adaptive_avg_pool2d(images, small).flatten(1)
    left, values, right = torch.linalg.svd(flat, full_matrices=False)
    # Bases of about the images' own size: the same step size then suits both tensors.
    unit = math.sqrt(flat.shape[1]) * flat.std()
    kept = min(count, len(values))
    bases = xavier((count, flat.shape[1]), generator).to(data.device)  # beyond the rank: unused yet
    coefficients = torch.zeros(len(labels), count, device=data.device)
    bases[:kept] = right[:kept] * unit
    coefficients[:, :kept] = left[:, :kept] * values[:kept] / unit
    return bases.view(count, channels, *small), coefficients
