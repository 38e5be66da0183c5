"""Run time of `fred`: cosine transforms and the choice of frequencies. Needs torch.

The transform is orthonormal, so a step on coefficients moves an image as far as the same step on pixels.
The authors' coefficients are 2 sqrt(H W) times as large, or more, so their step size is 4 H W times ours
for the same move: their 1e6 at 32 x 32 is 244 here.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ddcore.data.tensors import DeviceData
from ddcore.distil.contract import DistillSpec, Params
from ddcore.distil.decoder import Decoder, initial_images
from ddcore.distil.parametrizations.fred import FreDKnobs, kept
from ddcore.distil.problem import Problem

CHUNK = 2048  # real images transformed at a time


def build(problem: Problem[DistillSpec[Params, FreDKnobs]]) -> Decoder:
    """Coefficients of preprocessed images."""
    spec, data, labels = problem.spec, problem.data, problem.labels()
    places = chosen(data, kept(spec, data.shape))
    start = initial_images(spec.init, labels, data, problem.generator("images"))
    return Frequencies(start, places, labels)


class Frequencies(Decoder):
    """coefficients (M, C, kept) of images (M, C, H, W), those at the `places` (K, kept) of their class.

    A place is a number below H W, row by row of the spectrum; all channels have the same.
    """

    def __init__(self, start: Tensor, places: Tensor, labels: Tensor) -> None:
        self.labels, self.shape = labels, start.shape
        height, width = start.shape[2:]
        self.rows, self.columns = (cosines(side).to(start) for side in (height, width))
        index = places.to(labels.device)[labels].to(start.device)  # (M, kept)
        self.index = index[:, None].expand(-1, start.shape[1], -1)
        spectrum = self.rows @ start @ self.columns.T
        self.coefficients = spectrum.flatten(2).gather(2, self.index).requires_grad_()

    def tensors(self) -> dict[str, Tensor]:
        """What each image keeps, by falling variance of real images."""
        return {"coefficients": self.coefficients}

    def decode(self) -> Tensor:
        """Back to pixels; frequencies that are not kept are 0."""
        empty = self.coefficients.new_zeros(*self.shape[:2], math.prod(self.shape[2:]))
        spectrum = empty.scatter(2, self.index, self.coefficients).view(self.shape)
        return self.rows.T @ spectrum @ self.columns


def cosines(side: int) -> Tensor:
    """The orthonormal cosine transform (DCT-II) of `side` numbers: (frequencies, numbers), float64."""
    at = (torch.arange(side, dtype=torch.float64) + 0.5) * (math.pi / side)
    waves = (torch.arange(side)[:, None] * at).cos() * math.sqrt(2 / side)
    waves[0] = math.sqrt(1 / side)
    return waves


def variances(data: DeviceData) -> Tensor:
    """(K, H W) float64: how much coefficients of a class's training images vary, their mean over channels.

    The authors look at the images that the set starts from; of few images that is mostly chance.
    """
    height, width = data.shape[1:]
    rows, columns = (cosines(side).to(data.device) for side in (height, width))
    found = []
    for members in data.class_indices:
        total, squares = (rows.new_zeros(height, width) for _ in range(2))
        first = data.batch(members[:1]).double().mean(1)  # near the mean: squares lose no digits
        for part in members.split(CHUNK):
            # The transform is linear, so that of the mean over channels is the mean of theirs.
            grey = data.batch(part).double().mean(1) - first
            spectrum = rows @ grey @ columns.T
            total += spectrum.sum(0)
            squares += spectrum.square().sum(0)
        mean = total / len(members)
        found.append((squares / len(members) - mean.square()).flatten())
    return torch.stack(found)


def chosen(data: DeviceData, count: int) -> Tensor:
    """(K, count) places of each class's largest variances, the largest first."""
    return variances(data).cpu().argsort(dim=1, descending=True, stable=True)[:, :count]
