"""What a parametrization does at run time, and how images start. Needs torch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ddcore.data.tensors import DeviceData


@dataclass(frozen=True)
class View:
    """Which images are used, and how, in one use of the set: drawn once, applied as often as needed.

    index: (B,) long into the decoded images, or None for all in their order. offsets: (B, 2) long,
    where each crop of a canvas starts; None for parametrizations without chance.
    """

    index: Tensor | None = None
    offsets: Tensor | None = None


class Decoder:
    """Learnable tensors and the images they stand for.

    labels: (M,) int64 on the CPU, the class of each decoded image, step-major and in class order within
    each step. A parametrization overrides `tensors` and `decode`; the rest fits all without chance.
    """

    labels: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """The learnable tensors by name."""
        raise NotImplementedError

    def decode(self) -> Tensor:
        """All images (M, C, H, W), differentiable in the tensors (a canvas: (M, C, kH, kW))."""
        raise NotImplementedError

    def fresh(self, generator: torch.Generator) -> Tensor:
        """As `decode`, of things drawn now where the decoder can (noise of a generator network)."""
        return self.decode()

    def draw(self, index: Tensor | None, generator: torch.Generator) -> View:
        """One use of the images `index` (None: all)."""
        return View(index)

    def take(self, decoded: Tensor, view: View) -> Tensor:
        """Images (B, C, H, W) that a network sees, from what `decode` gave."""
        return decoded if view.index is None else decoded[view.index]

    def members(self, view: View) -> Tensor | None:
        """(B,) which decoded image each of `take`'s images comes from; None: all in their order."""
        return view.index

    def final(self) -> View:
        """The use that is stored in the artefact."""
        return View()

    def project(self) -> None:
        """Bring the tensors back to where they are allowed to be, after each outer step."""


def initial_images(
    init: str, labels: Tensor, data: DeviceData, generator: torch.Generator
) -> Tensor:
    """Preprocessed images (M, C, H, W) to start from, one per label.

    "real" draws training images of each class, "noise" is N(0, 1), "mean" averages random disjoint parts
    of each class, as many as it has labels (with one label per class: the class mean).
    """
    return _INITS[init](labels, data, generator)


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
