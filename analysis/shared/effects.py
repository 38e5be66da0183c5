"""The effect of one image on a test image: raw, or beyond that of its class mates."""

from __future__ import annotations

import numpy as np

RAW, CENTRED = "raw", "centred"
EFFECTS = {RAW: "Influence", CENTRED: "Influence beyond its class mates"}


def centred(influence: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Influence (..., M, N) minus its mean over the images of each class, `labels` (M,)."""
    found = np.array(influence)
    for c in np.unique(labels):
        rows = labels == c
        found[..., rows, :] -= influence[..., rows, :].mean(-2, keepdims=True)
    return found
