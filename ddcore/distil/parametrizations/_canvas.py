"""Run time of `canvas`: crops at random places of a torus. Needs torch."""

from __future__ import annotations

import torch
from torch import Tensor

from ddcore.base.placing import placed
from ddcore.data.tensors import DeviceData
from ddcore.distil.decoder import Decoder, View, initial_images


class Canvases(Decoder):
    """Canvases (M, C, kH, kW) without edges; every use cuts `crops` windows (C, H, W) out of each.

    labels (M,) are the canvases' classes: a minibatch draws canvases, and labels that are learned belong
    to them. `generator` places the windows that the artefact shows.
    """

    def __init__(
        self,
        start: Tensor,
        labels: Tensor,
        size: tuple[int, int],
        crops: int,
        generator: torch.Generator,
    ) -> None:
        self.canvas, self.labels = start.requires_grad_(), labels
        self.size, self.crops = size, crops
        self.shown = self.draw(None, generator)

    def tensors(self) -> dict[str, Tensor]:
        """One tensor of all canvases."""
        return {"canvas": self.canvas}

    def decode(self) -> Tensor:
        """The canvases as they are: what is cut out is decided by each use."""
        return self.canvas

    def draw(self, index: Tensor | None, generator: torch.Generator) -> View:
        """Windows that start anywhere, each at a place of its own."""
        count = (len(self.labels) if index is None else len(index)) * self.crops
        corners = [torch.randint(n, (count,), generator=generator) for n in self.canvas.shape[2:]]
        return View(index, placed(torch.stack(corners, 1), self.canvas.device))

    def take(self, decoded: Tensor, view: View) -> Tensor:
        """The windows (B, C, H, W); one that leaves on a side goes on at the opposite one."""
        if view.offsets is None:
            raise ValueError("a view of canvases says where its windows start: draw it here")
        rows, columns = (
            (start[:, None] + torch.arange(window, device=decoded.device)) % whole
            for start, window, whole in zip(view.offsets.T, self.size, decoded.shape[2:])
        )
        channels = torch.arange(decoded.shape[1], device=decoded.device)
        return decoded[
            self.members(view)[:, None, None, None],
            channels[:, None, None],
            rows[:, None, :, None],
            columns[:, None, None, :],
        ]

    def members(self, view: View) -> Tensor:
        """(B,) the canvas of each window."""
        index = view.index
        if index is None:
            index = torch.arange(len(self.labels), device=self.canvas.device)
        return index.repeat_interleave(self.crops)

    def final(self) -> View:
        """Always the same windows."""
        return self.shown


def initial_canvases(
    init: str, labels: Tensor, k: int, data: DeviceData, generator: torch.Generator
) -> Tensor:
    """(M, C, kH, kW): k x k images of the canvas's class side by side, started as `init` says."""
    images = initial_images(init, labels.repeat_interleave(k * k), data, generator)
    channels, height, width = data.shape
    grid = images.view(len(labels), k, k, channels, height, width)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(len(labels), channels, k * height, k * width)
