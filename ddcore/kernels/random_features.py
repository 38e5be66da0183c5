"""Kernels from the features of finite random networks (Loo et al. 2022, RFAD).

K(x, y) = 2 psi(x)'psi(y) + 0.01 with psi the last hidden activations of N fresh networks, divided by
sqrt(N F): as N grows, the covariance kernel of infinitely wide networks.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ddcore.base.placing import placed_together
from ddcore.kernels.ntk import B_VAR, W_VAR
from ddcore.nets.network import Network, Weights

BIAS_STD = math.sqrt(B_VAR)


def draw(network: Network, generator: torch.Generator, device: str | torch.device) -> Weights:
    """Gaussian weights of variance 2 / fan-in and biases of standard deviation 0.1, for all networks.

    Scales and offsets of norms, where there are any, stay at 1 and 0.
    """
    weights = network.init(torch.Generator().manual_seed(0))
    for name, value in weights.items():
        if value.ndim > 2:
            drawn = torch.randn(value.shape, generator=generator)
            weights[name] = drawn * math.sqrt(W_VAR / math.prod(value.shape[2:]))
        elif name.endswith("bias") and weights[name.replace("bias", "weight")].ndim > 2:
            weights[name] = torch.randn(value.shape, generator=generator) * BIAS_STD
    return dict(zip(weights, placed_together(list(weights.values()), device)))


def features(network: Network, weights: Weights, images: Tensor) -> Tensor:
    """psi (B, N F), float64, of images (B, C, H, W); differentiable."""
    found = network.features(weights, images).double()  # (N, B, F)
    n, _, width = found.shape
    return found.transpose(0, 1).flatten(1) / math.sqrt(n * width)


def kernel(psi_x: Tensor, psi_y: Tensor) -> Tensor:
    """K (n, m) of features (n, F) and (m, F)."""
    return W_VAR * psi_x @ psi_y.mT + B_VAR
