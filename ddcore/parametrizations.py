"""How stored numbers become images. First: the pixels themselves."""

from __future__ import annotations

import torch
from torch import Tensor

from ddcore.data.tensors import DeviceData


class Pixels:
    """Every pixel is a free number, in preprocessed space.

    images: (M, C, H, W) in the order of `labels`. `init`: "real" draws training images of each class,
    "noise" is N(0, 1), "mean" averages `ipc` random disjoint parts of each class (one image per class:
    the class mean).
    """

    def __init__(
        self, init: str, labels: Tensor, data: DeviceData, generator: torch.Generator
    ) -> None:
        self.images = _INITS[init](labels, data, generator).requires_grad_()

    def tensors(self) -> dict[str, Tensor]:
        """The learnable tensors by name."""
        return {"images": self.images}

    def decode(self) -> Tensor:
        """Images (M, C, H, W), differentiable in the tensors."""
        return self.images


def _noise(labels: Tensor, data: DeviceData, generator: torch.Generator) -> Tensor:
    return torch.randn(len(labels), *data.shape, generator=generator).to(data.device)


def _real(labels: Tensor, data: DeviceData, generator: torch.Generator) -> Tensor:
    chosen = torch.empty(len(labels), dtype=torch.long)
    for c, members in enumerate(data.class_indices):
        slots = (labels == c).nonzero()[:, 0]
        order = torch.randperm(len(members), generator=generator)
        # More images than the class has: start over in the same order.
        chosen[slots] = members.cpu()[order[torch.arange(len(slots)) % len(members)]]
    return data.batch(chosen.to(data.device)).clone()


def _mean(labels: Tensor, data: DeviceData, generator: torch.Generator) -> Tensor:
    images = torch.empty(len(labels), *data.shape, device=data.device)
    for c, members in enumerate(data.class_indices):
        slots = (labels == c).nonzero()[:, 0]
        order = torch.randperm(len(members), generator=generator).to(members.device)
        parts = members[order].tensor_split(min(len(slots), len(members)))
        for i, slot in enumerate(slots):
            images[slot] = data.batch(parts[i % len(parts)]).mean(0)
    return images


_INITS = {"noise": _noise, "real": _real, "mean": _mean}
