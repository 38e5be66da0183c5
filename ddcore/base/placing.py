"""Putting what was drawn on the CPU where it is used, without making a GPU wait for it.

Everything random is drawn on the CPU, so that it is the same on every device. A plain `.to(device)`
then lets the program stand still until the GPU has done all that was asked of it before.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

ALIGNED = 64  # elements: no tensor of a common copy starts where wide loads cannot


def placed(x: Tensor, device: str | torch.device) -> Tensor:
    """A tensor of the CPU on `device`: what it holds now, without a need to await the GPU."""
    return x.to(device, non_blocking=x.device.type == "cpu")


def placed_together(tensors: Sequence[Tensor], device: str | torch.device) -> list[Tensor]:
    """Tensors of the CPU, of any shapes and kinds, on `device`, by one copy for each kind."""
    if torch.device(device).type == "cpu" or any(x.device.type != "cpu" for x in tensors):
        return [placed(x, device) for x in tensors]
    found: dict[int, Tensor] = {}
    for dtype in dict.fromkeys(x.dtype for x in tensors):
        kind = [i for i, x in enumerate(tensors) if x.dtype == dtype]
        sizes = [-(-tensors[i].numel() // ALIGNED) * ALIGNED for i in kind]
        packed = torch.empty(sum(sizes), dtype=dtype)
        for i, part in zip(kind, packed.split(sizes)):
            part[: tensors[i].numel()] = tensors[i].flatten()
        # "unsafe" parts do not count as views: one may change while another waits for its derivative.
        for i, part in zip(kind, placed(packed, device).unsafe_split_with_sizes(sizes)):
            found[i] = part[: tensors[i].numel()].view(tensors[i].shape)
    return [found[i] for i in range(len(tensors))]
