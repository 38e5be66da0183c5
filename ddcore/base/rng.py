"""Independent random streams from one seed, by name. The same on every device: drawn on the CPU."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derive(seed: int, *labels: object) -> int:
    """A 63-bit seed from a seed and a path of labels."""
    text = "/".join(map(str, (seed, *labels)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *labels: object) -> torch.Generator:
    """A torch CPU generator for the stream `labels` of `seed`."""
    import torch

    return torch.Generator().manual_seed(derive(seed, *labels))


def numpy_generator(seed: int, *labels: object) -> np.random.Generator:
    """A numpy generator for the stream `labels` of `seed`."""
    return np.random.default_rng(derive(seed, *labels))
