"""Labels as they are changed, and what is made of accuracies under three regimes. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.shared.sources import RANDOM
from analysis.suite.labels.result import LabelsResult
from analysis.suite.labels.spec import HARD, ORDER


def softened(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Labels (..., K): the mean over networks of softmax(z / T), of outputs (nets, ..., K)."""
    z = logits.astype(np.float64) / temperature
    shares = np.exp(z - z.max(-1, keepdims=True))
    return (shares / shares.sum(-1, keepdims=True)).mean(0)


def edited(labels: np.ndarray, edit: str) -> np.ndarray:
    """Labels (..., K) changed as `EDITS` says, each with the sum 1; removed images leave them alone."""
    order = labels.argsort(-1, kind="stable")
    found = labels.copy()
    if edit in ("top1", "top3"):
        np.put_along_axis(found, order[..., : -1 if edit == "top1" else -3], 0.0, -1)
    elif edit in ("swap_first", "swap_second"):
        place = order[..., -1:] if edit == "swap_first" else order[..., -2:-1]
        least = order[..., :1]
        large, small = (np.take_along_axis(labels, at, -1) for at in (place, least))
        np.put_along_axis(found, place, small, -1)
        np.put_along_axis(found, least, large, -1)
    elif edit == "no_column":
        found[..., -1] = 0.0
    total = found.sum(-1, keepdims=True)
    alike = np.full_like(found, 1 / (found.shape[-1] - 1))  # a label that held nothing else
    alike[..., -1] = 0.0
    return np.where(total > 0, found / np.where(total > 0, total, 1), alike)


def gains(result: LabelsResult) -> dict[str, np.ndarray]:
    """Points (regimes, nets) above as many random images with labels of the same kind, by source.

    Each network is paired with the one of the same number. Random images themselves are left out.
    """
    every = result.found.accuracies
    return {
        s.key: 100 * (every[s.key] - every[f"{RANDOM}.{s.ipc}"])
        for s in result.found.sources
        if s.selection != RANDOM
    }


@dataclass(frozen=True)
class Parts:
    """Points above random images with hard labels, and what images and labels have of them."""

    total: float
    images: float
    labels: float

    @property
    def share(self) -> float | None:
        """Of the images, where both parts are gains."""
        both = self.images >= 0 and self.labels >= 0 and self.total > 0
        return self.images / self.total if both else None


def parts(result: LabelsResult, key: str, kind: str) -> Parts:
    """Of a set with labels of this kind: the mean over both orders in which one can change (Shapley).

    Images first and then labels, or labels first: what one gives depends on the other, and half of what they
    give together counts for each.
    """
    every = result.found.accuracies
    own, random = every[key], every[f"{RANDOM}.{result.found.source(key).ipc}"]
    hard, asked = ORDER.index(HARD), ORDER.index(kind)
    ours, theirs = (100 * values.mean(1) for values in (own, random))
    images = ((ours[hard] - theirs[hard]) + (ours[asked] - theirs[asked])) / 2
    labels = ((theirs[asked] - theirs[hard]) + (ours[asked] - ours[hard])) / 2
    return Parts(float(ours[asked] - theirs[hard]), float(images), float(labels))


def spreads(result: LabelsResult, ipc: int) -> np.ndarray:
    """Points (regimes,) between the best and the worst of all that have so many images per class."""
    means = [result.found.accuracies[s.key].mean(1) for s in result.found.sources if s.ipc == ipc]
    return 100 * np.ptp(np.stack(means), axis=0)
