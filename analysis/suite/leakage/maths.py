"""Likelihood ratios of membership, their intervals, and what was memorised. No torch.

Carlini et al. 2022, "Membership Inference Attacks From First Principles": a network's confidence in an image,
on a scale where it is about normal, is held against that of other networks that were trained with the image
and without it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.shared.attacks import auc, caught

OFFLINE, ONLINE, PLAIN = "offline", "online", "plain"
ATTACKS = {
    OFFLINE: "likelihood without the image",
    ONLINE: "likelihood with and without it",
    PLAIN: "confidence alone",
}
POOLED = 32  # networks on each side of an image: with fewer all images share a variance


def confidence(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """log p / (1 - p) of the right class: logits (..., n, K), labels (n,) give (..., n) float64."""
    from scipy.special import logsumexp

    z = np.asarray(logits, np.float64)
    right = np.take_along_axis(z, np.broadcast_to(labels, z.shape[:-1])[..., None], -1)[..., 0]
    others = np.where(np.arange(z.shape[-1]) == labels[:, None], -np.inf, z)
    return right - logsumexp(others, -1)


def scores(
    target: np.ndarray, shadows: np.ndarray, inside: np.ndarray, outside: np.ndarray
) -> dict[str, np.ndarray]:
    """Scores (n,) of every attack: larger means rather a member.

    target: confidences (t, n) of networks under attack, whose scores are averaged. shadows: (r, n), of which
    `inside` (r, n) bool had the image in training and `outside` had not.
    """
    out_mean, out_var = _normal(shadows, outside)
    in_mean, in_var = _normal(shadows, inside)

    def log_density(mean: np.ndarray, var: np.ndarray) -> np.ndarray:
        return -0.5 * ((target - mean) ** 2 / var + np.log(var))

    found = {
        OFFLINE: (target - out_mean) / np.sqrt(out_var),
        ONLINE: log_density(in_mean, in_var) - log_density(out_mean, out_var),
        PLAIN: target,
    }
    return {name: values.mean(0) for name, values in found.items()}


def _normal(shadows: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance (n,) of each image's confidences where `mask`; one variance where they are few.

    An image without any has the mean of all.
    """
    count = mask.sum(0)
    sums = np.where(mask, shadows, 0).sum(0)
    mean = np.where(count > 0, sums / np.maximum(count, 1), sums.sum() / max(count.sum(), 1))
    squares = np.where(mask, (shadows - mean) ** 2, 0).sum(0)
    freedom = np.maximum(count - 1, 0)
    if count.min() < POOLED:
        return mean, np.full_like(mean, max(squares.sum() / max(freedom.sum(), 1), 1e-12))
    return mean, np.maximum(squares / freedom, 1e-12)


def halves(labels: np.ndarray, pairs: int, generator: np.random.Generator) -> np.ndarray:
    """Random halves of a pool (2 * pairs, n) bool: shadows 2i and 2i + 1 share it between them.

    Labels (n,) have an even number of every class, of which each half has as many.
    """
    found = []
    for _ in range(pairs):
        mask = np.zeros(len(labels), bool)
        for c in np.unique(labels):
            members = generator.permutation(np.flatnonzero(labels == c))
            mask[members[: len(members) // 2]] = True
        found += [mask, ~mask]
    return np.stack(found)


def each_in_turn(
    shadows: np.ndarray, inside: np.ndarray, outside: np.ndarray
) -> dict[str, np.ndarray]:
    """Scores (r, n) of every shadow attacked by the others, as `scores`.

    The shadow that has the other half is left out with it: so members and others are judged by equally many
    networks that were trained without the image, and nothing but confidence tells them apart.
    """
    found: dict[str, list[np.ndarray]] = {name: [] for name in ATTACKS}
    for j in range(len(shadows)):
        rest = np.arange(len(shadows)) // 2 != j // 2
        own = scores(shadows[j : j + 1], shadows[rest], inside[rest], outside[rest])
        for name, values in own.items():
            found[name].append(values)
    return {name: np.stack(values) for name, values in found.items()}


@dataclass(frozen=True)
class Success:
    """How well one attack does: an area and the share caught at each rate, with 95 % intervals.

    None where there are too few others for the rate.
    """

    auc: tuple[float, float, float]
    caught: tuple[tuple[float, float, float] | None, ...]


def success(
    values: np.ndarray,
    member: np.ndarray,
    other: np.ndarray,
    rates: tuple[float, ...],
    resamples: int,
    generator: np.random.Generator,
) -> Success:
    """Success of scores (targets, n) where `member` and `other` (targets, n) bool: value, 2.5 and 97.5 %.

    The bootstrap draws targets and images anew, members and others of one target apart (with several targets
    an image is a member for some of them). Of one target it speaks of the images alone.
    """
    targets, count = values.shape
    areas, shares = [], []
    for _ in range(resamples):
        if targets == 1:
            parts = (np.flatnonzero(m) for m in (member[0], other[0]))
            images = np.concatenate([generator.choice(p, len(p)) for p in parts])
        else:
            images = generator.integers(count, size=(count,))
        which = generator.integers(targets, size=(targets, 1))
        drawn = values[which, images]
        inside, outside = drawn[member[which, images]], drawn[other[which, images]]
        areas.append(auc(inside, outside))
        shares.append([caught(inside, outside, rate) for rate in rates])
    inside, outside = values[member], values[other]
    found = []
    for place, rate in enumerate(rates):
        share = caught(inside, outside, rate)
        known = [own for s in shares if (own := s[place]) is not None]
        found.append(None if share is None else _interval(share, known))
    return Success(_interval(auc(inside, outside), areas), tuple(found))


def _interval(value: float, drawn: list[float]) -> tuple[float, float, float]:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return value, float(low), float(high)


# --- memorised facts ------------------------------------------------------------------------------


def false_labels(true: np.ndarray, classes: int, generator: np.random.Generator) -> np.ndarray:
    """A label for every image (n,), uniformly one of the others."""
    return (true + generator.integers(1, classes, size=len(true))) % classes


def recovered(
    told: np.ndarray, clean: np.ndarray, true: np.ndarray, false: np.ndarray
) -> np.ndarray:
    """Which false labels (..., n) are given away: that class gained most among those that are not true.

    told, clean: log-probabilities (..., n, K) of networks whose teacher was told the false labels, and of
    equal ones whose teacher was not; true (..., n), false (..., n). Whoever knows nothing of the draw is
    right once in K - 1, whatever classes look like: the draw is uniform.
    """
    gain = np.asarray(told, np.float64) - clean
    own = np.arange(gain.shape[-1]) == np.asarray(true)[..., None]
    return np.where(own, -np.inf, gain).argmax(-1) == false


def by_chance(hits: int, trials: int, classes: int) -> float:
    """p of at least so many hits by guessing, exactly: each is right once in K - 1."""
    from scipy.stats import binomtest

    return float(binomtest(hits, trials, 1 / (classes - 1), alternative="greater").pvalue)
