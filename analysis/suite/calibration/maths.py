"""Calibration of outputs, temperature, and how well unknown images are told: numpy alone, no torch.

Outputs are (B, K), labels (B,). "Confidence" is the largest probability, "right" whether its class is the
label.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.shared.equal import AtEqual, differences
from analysis.suite.calibration.result import CalibrationResult

BINS = 15
LOG_T = (-4.0, 4.0)  # natural logarithms between which a temperature is looked for
METRICS = {
    "ece": "Expected calibration error",
    "rms": "Calibration error without bias",
    "over": "Confidence above accuracy",
    "nll": "Negative log likelihood",
    "brier": "Brier score",
    "reliability": "Reliability of confidence",
    "resolution": "Resolution of confidence",
}
SCORES = {"max": "Largest probability", "energy": "Energy"}


def log_softmax(outputs: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Logarithms of probabilities (..., K)."""
    z = np.asarray(outputs, np.float64) / temperature
    z = z - z.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def nll(outputs: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> float:
    """Mean negative log likelihood, in nats."""
    return float(-log_softmax(outputs, temperature)[np.arange(len(labels)), labels].mean())


def fitted_temperature(outputs: np.ndarray, labels: np.ndarray) -> float:
    """The temperature of the least negative log likelihood on these images (Guo et al. 2017)."""
    from scipy.optimize import minimize_scalar

    def of(log_t: float) -> float:
        return nll(outputs, labels, float(np.exp(log_t)))

    return float(np.exp(minimize_scalar(of, bounds=LOG_T, method="bounded").x))


@dataclass(frozen=True)
class Binned:
    """Equal shares of the images by confidence: mean confidence, accuracy and count (bins,)."""

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray

    @property
    def share(self) -> np.ndarray:
        """Of all images, the share in each bin."""
        return self.count / self.count.sum()


def binned(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> Binned:
    """Bins of as equal a number of images as there can be, sorted by confidence; ties in their order."""
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    means = [(confidence[p].mean(), right[p].mean(), len(p)) for p in parts]
    return Binned(*(np.array(values, np.float64) for values in zip(*means)))


def expected_error(of: Binned) -> float:
    """Expected calibration error with bins of equal mass: the mean distance of confidence and accuracy.

    Chance within the bins makes it too large, the more so the fewer images there are.
    """
    return float((of.share * np.abs(of.confidence - of.accuracy)).sum())


def unbiased_square(of: Binned) -> float:
    """The mean squared distance, less what chance within the bins adds (Kumar et al. 2019); may be negative.

    The variance of an accuracy over n images is estimated by a (1 - a) / (n - 1). Bins of one image add
    nothing.
    """
    many = of.count > 1
    a, c, n = of.accuracy[many], of.confidence[many], of.count[many]
    return float((n * ((a - c) ** 2 - a * (1 - a) / (n - 1))).sum() / of.count.sum())


def signed_root(square: float) -> float:
    """The root of a square, below 0 where chance alone explains more than there is."""
    return float(np.sign(square) * np.sqrt(abs(square)))


def brier(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean squared distance (0 to 2) between probabilities and the label's corner."""
    hit = np.eye(probabilities.shape[-1])[labels]
    return float(((probabilities - hit) ** 2).sum(-1).mean())


@dataclass(frozen=True)
class BrierParts:
    """Of the squared error of confidence: reliability - resolution + a (1 - a) of accuracy a + `within`."""

    reliability: float
    resolution: float
    within: float


def brier_parts(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> BrierParts:
    """Murphy's parts, with what varies within bins (Stephenson et al. 2008); their sum is exact."""
    of, base = binned(confidence, right, bins), float(right.mean())
    reliability = float((of.share * (of.confidence - of.accuracy) ** 2).sum())
    resolution = float((of.share * (of.accuracy - base) ** 2).sum())
    order = np.argsort(confidence, kind="stable")
    within = 0.0
    for part in filter(len, np.array_split(order, bins)):
        c, r = confidence[part], right[part]
        varied = ((c - c.mean()) ** 2).sum() - 2 * ((c - c.mean()) * (r - r.mean())).sum()
        within += float(varied) / len(confidence)
    return BrierParts(reliability, resolution, within)


def measured(outputs: np.ndarray, labels: np.ndarray, temperature: float) -> dict[str, float]:
    """Every one of `METRICS` at a temperature."""
    logs = log_softmax(outputs, temperature)
    p = np.exp(logs)
    confidence, right = p.max(-1), (p.argmax(-1) == labels).astype(np.float64)
    of, parts = binned(confidence, right), brier_parts(confidence, right)
    return {
        "ece": expected_error(of),
        "rms": signed_root(unbiased_square(of)),
        "over": float(confidence.mean() - right.mean()),
        "nll": nll(outputs, labels, temperature),
        "brier": brier(p, labels),
        "reliability": parts.reliability,
        "resolution": parts.resolution,
    }


def scores(outputs: np.ndarray) -> dict[str, np.ndarray]:
    """How known an image seems (B,): its largest probability, and minus its energy (Liu et al. 2020)."""
    z = np.asarray(outputs, np.float64)
    top = z.max(-1)
    energy = top + np.log(np.exp(z - top[..., None]).sum(-1))
    return {"max": np.exp(log_softmax(z)).max(-1), "energy": energy}


def auroc(known: np.ndarray, unknown: np.ndarray) -> float:
    """Chance that a known image has the larger score than an unknown one; ties count half."""
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([known, unknown]))[: len(known)]
    pairs = ranks.sum() - len(known) * (len(known) + 1) / 2
    return float(pairs / (len(known) * len(unknown)))


def gaps(result: CalibrationResult, metric: str, scaled: bool) -> list[AtEqual]:
    """What each set has more of a metric than others at equal accuracy."""
    found = result.found
    return differences(found.sources, found.accuracies, found.along(metric, scaled))


def known_gaps(result: CalibrationResult, kind: str, score: str) -> list[AtEqual]:
    """The same of the area under the curve that tells test images from unknown ones."""
    found = result.found
    return differences(found.sources, found.accuracies, found.areas(kind, score))
