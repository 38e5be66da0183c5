"""Attacks with bounded pixels: steps along the sign of the gradient, for N networks at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ddcore.data.preprocess import Preprocess
from ddcore.training.trained import TrainedNets

SaysOf = Callable[[Tensor], Tensor]  # pixels (N, B, C, H, W), 0..1, to outputs (N, B, K)
REACH = 2.5  # steps together are so many times the bound, so that any pixel can get to it and back


def outputs(nets: TrainedNets, preprocessing: Preprocess) -> SaysOf:
    """What networks say of pixels: bounds are those of pixels, behind normalisation or whitening."""
    network = nets.network

    def of(pixels: Tensor) -> Tensor:
        seen = preprocessing.forward(pixels)
        return network.logits(nets.params, seen, nets.stats or None, training=False)

    return of


def attacked(
    of: SaysOf, pixels: Tensor, labels: Tensor, nets: int, bound: float, steps: int
) -> tuple[Tensor, Tensor]:
    """Projected gradient descent from the images themselves; with one step, the fast gradient sign method.

    pixels (B, C, H, W) within 0..1, labels (B,). Gives whether each network was right about the image and
    about all that the attack tried (N, B), and the last of it (N, B, C, H, W), which differs from the image
    by at most `bound` and is within 0..1 (Goodfellow et al. 2015; Madry et al. 2018).
    """
    own = pixels.expand(nets, *pixels.shape)
    low, high = (own - bound).clamp(min=0), (own + bound).clamp(max=1)
    size = min(bound, REACH * bound / steps)
    now, right = own, torch.ones(nets, len(labels), dtype=torch.bool, device=pixels.device)
    for _ in range(steps):
        slope, said = gradient(of, now, labels)
        right &= said.argmax(-1) == labels
        now = torch.minimum(torch.maximum(now + size * slope.sign(), low), high)
    with torch.no_grad():
        right &= of(now).argmax(-1) == labels
    return right, now


def gradient(of: SaysOf, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives of every image's cross-entropy by its pixels (N, B, C, H, W), and outputs (N, B, K)."""
    given = pixels.detach().requires_grad_()
    said = of(given)
    targets = labels.expand(len(said), -1)
    loss = F.cross_entropy(said.flatten(0, 1), targets.flatten(), reduction="sum")
    return torch.autograd.grad(loss, given)[0], said.detach()
