"""How many networks are trained together, and on how many threads: sizes that were measured."""

from __future__ import annotations

import torch

from ddcore.nets.network import Network
from ddcore.nets.plan import cost

CPU_IMAGES_AT_ONCE = 200  # networks x batch; beyond it a loop beats grouped convolutions (measured)
SMALL_ACTIVATIONS = 20_000  # floats per image
CUDA_FLOATS_AT_ONCE = 1 << 30  # activations kept for the backward pass


def limit_threads(network: Network, device: str | torch.device) -> None:
    """One CPU thread for small networks: a second one costs as much as it gains (measured on digits)."""
    small = cost(network.plan, network.shape).activations < SMALL_ACTIVATIONS
    if small and torch.device(device).type == "cpu":
        torch.set_num_threads(1)


def nets_at_once(network: Network, batch: int, device: str | torch.device) -> int:
    """How many networks to train together: measured on the CPU, bounded by memory on a GPU."""
    if torch.device(device).type == "cpu":
        return max(1, CPU_IMAGES_AT_ONCE // max(batch, 1))
    per_net = cost(network.plan, network.shape).activations * max(batch, 1)
    return max(1, CUDA_FLOATS_AT_ONCE // per_net)
