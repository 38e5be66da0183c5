"""Named random streams by their stated rule: the first 63 bits of the SHA-256 of "seed/label/label..."."""

from __future__ import annotations

import hashlib

import numpy as np
import torch


def derived(seed, *labels):
    """A seed from a seed and a path of labels."""
    path = "/".join(str(part) for part in (seed, *labels))
    return int(hashlib.sha256(path.encode()).hexdigest()[:16], 16) // 2


def of_torch(seed, *labels):
    """torch's generator of a stream."""
    return torch.Generator().manual_seed(derived(seed, *labels))


def of_numpy(seed, *labels):
    """numpy's generator of a stream."""
    return np.random.default_rng(derived(seed, *labels))
