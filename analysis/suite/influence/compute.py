"""The task `influence`: from sets and pools to a result and arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analysis.contract import Arrays
from analysis.shared.effects import CENTRED, RAW, centred
from analysis.shared.loo_spec import loo_pools
from analysis.suite.influence.result import (
    Correlation,
    Effects,
    EstimatorScore,
    EstimatorScores,
    InfluenceFound,
)
from analysis.suite.influence.spec import OFFERED, POINTS, TOP, InfluenceTask
from analysis.task import Opened, opened, save
from ddcore.base import rng

if TYPE_CHECKING:
    from analysis.shared import loo_estimates
    from ddcore.data.tensors import DeviceData
    from ddcore.tasks.worker import Context

ESTIMATED = ("dot", "cg")  # as in `EstimatorScores`


def run(context: Context[InfluenceTask]) -> None:
    """Task `influence`: means over initialisations, their agreement, and that of the estimates."""
    from ddcore.data.tensors import DeviceData

    spec = context.spec
    given = opened(context)
    data = DeviceData(given.dataset, context.device)
    labels = given.dataset.test_labels
    arrays: Arrays = {"test_labels": labels.astype(np.uint8)}
    facts: dict[str, Effects] = {}
    shown = [np.zeros(0, np.int64)]
    total = len(given.sets) * spec.inits
    for place, (key, made) in enumerate(given.sets.items()):
        context.progress(place * spec.inits, total)
        stored, own = given.pools[key].arrays(), made.hard_labels
        each = stored["influence"].astype(np.float32)  # (inits, M, N)
        mean = each.mean(0)
        arrays[f"influence.{key}"] = mean.astype(np.float16)
        arrays[f"value.{key}"] = each.mean(2).astype(np.float32)  # on the test loss, (inits, M)
        arrays[f"pixels.{key}"] = made.pixels()
        arrays[f"labels.{key}"] = own
        facts[key] = _effects(each, own, labels, stored["accuracy"])
        shown += [
            np.array(facts[key].tests),
            _tops(mean).ravel(),
            _tops(centred(mean, own)).ravel(),
        ]
        if spec.estimate != "none":
            found, points = _estimated(context, given, key, data, each, place * spec.inits)
            facts[key] = replace(facts[key], estimates=found)
            arrays[f"points.{key}"] = points
    context.progress(total, total)
    rows = np.unique(np.concatenate(shown))
    influence = InfluenceFound(
        sets=facts,
        test_classes={str(i): int(labels[i]) for i in rows},
        tests=len(labels),
        network=next(iter(loo_pools(spec, given.chosen).values())).net.label(),
        inits=spec.inits,
        iterations=spec.iterations,
        weights=spec.estimate,
        damping=spec.damping,
        pools=tuple(task.key for task in given.pools.values()),
        soft=tuple(key for key, made in given.sets.items() if made.soft),
    )
    save(context, given, influence, arrays, {"shown": ("test", rows)})


def _effects(
    each: np.ndarray, own: np.ndarray, labels: np.ndarray, accuracy: np.ndarray
) -> Effects:
    """What the influence (inits, M, N) of images of classes `own` on test images of classes `labels` says.

    `accuracy` (inits, M + 1) is that without each image, then with all.
    """
    mean = each.mean(0)
    return Effects(
        labels=own.tolist(),
        tests=most_moved(mean, labels).tolist(),
        agreement={RAW: agreement(each), CENTRED: agreement(centred(each, own))},
        same_class={
            RAW: same_class(mean, own, labels),
            CENTRED: same_class(centred(mean, own), own, labels),
        },
        accuracy=accuracy[:, -1].tolist(),
        without=accuracy[:, :-1].mean(1).tolist(),
    )


def agreement(each: np.ndarray) -> float | None:
    """Mean rank correlation of two initialisations (R, M, N): over test images, for each image left out.

    None where there is one initialisation, or where every influence is the same.
    """
    from scipy.stats import pearsonr, rankdata

    ranks = rankdata(each, axis=2)
    varies = np.ptp(ranks, axis=2) > 0
    found: list[float] = []
    for a in range(len(each)):
        for b in range(a):
            rows = varies[a] & varies[b]
            if rows.any():
                found += pearsonr(ranks[a, rows], ranks[b, rows], axis=1).statistic.tolist()
    return float(np.mean(found)) if found else None


def _tops(influence: np.ndarray) -> np.ndarray:
    """(M, up to 2 * TOP) test images that each image helps most, then those it hurts most."""
    order = np.argsort(-influence, axis=1, kind="stable")
    return np.concatenate([order[:, :TOP], order[:, ::-1][:, :TOP]], axis=1)


def same_class(influence: np.ndarray, own: np.ndarray, labels: np.ndarray) -> float:
    """Of the TOP test images that each image helps most, the share of its own class."""
    top = np.argsort(-influence, axis=1, kind="stable")[:, :TOP]
    return float((labels[top] == own[:, None]).mean())


def most_moved(influence: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Of each class the test images whose loss depends most on which image is left out, sorted."""
    spread = influence.astype(np.float64).std(0)
    found = []
    for c in np.unique(labels):
        members = np.flatnonzero(labels == c)
        found.append(members[np.argsort(-spread[members], kind="stable")[:OFFERED]])
    return np.sort(np.concatenate(found))


def correlation(a: np.ndarray, b: np.ndarray) -> Correlation:
    """Pearson and rank correlation over all pairs; 0 where one of them does not vary."""
    from scipy.stats import pearsonr, spearmanr

    a, b = (np.asarray(v, np.float64).ravel() for v in (a, b))
    if not (np.ptp(a) and np.ptp(b)):
        return Correlation(0.0, 0.0)
    return Correlation(float(pearsonr(a, b).statistic), float(spearmanr(a, b).statistic))


def _estimated(
    context: Context[InfluenceTask],
    given: Opened,
    key: str,
    data: DeviceData,
    each: np.ndarray,
    before: int,
) -> tuple[EstimatorScores, np.ndarray]:
    """Correlation of both estimates with the exact influence (inits, M, N) of a run, and a sample of pairs.

    The sample (3, up to `POINTS`) has the exact influence and both estimates, means over initialisations.
    `before` initialisations of other runs were seen.
    """
    spec = context.spec
    total, own = len(given.sets) * spec.inits, given.sets[key].hard_labels
    exact, solved = each.mean(0), []
    sums = {name: np.zeros(exact.shape) for name in ESTIMATED}
    single: dict[str, list[Correlation]] = {name: [] for name in ESTIMATED}
    estimated = _estimator(context, given, key, data)
    for r in range(spec.inits):
        context.progress(before + r, total, message="estimates")
        found = estimated(r)
        solved.append(found.solved)
        for name, values in zip(ESTIMATED, (found.dot, found.cg)):
            sums[name] += values / spec.inits
            single[name].append(correlation(values, each[r]))
    pick = rng.numpy_generator(spec.seed, "points", key).permutation(exact.size)[:POINTS]
    points = np.stack([v.ravel()[pick] for v in (exact, *sums.values())]).astype(np.float32)

    def estimate(name: str) -> EstimatorScore:
        whole = correlation(sums[name], exact)
        beyond = correlation(centred(sums[name], own), centred(exact, own))
        return EstimatorScore(whole.pearson, whole.spearman, tuple(single[name]), beyond.spearman)

    result = EstimatorScores(
        dot=estimate("dot"),
        cg=estimate("cg"),
        residual=max(s.residual for s in solved),
        steps=max(s.steps for s in solved),
        given_up=sum(s.given_up for s in solved),
    )
    return result, points


def _estimator(
    context: Context[InfluenceTask], given: Opened, key: str, data: DeviceData
) -> Callable[[int], loo_estimates.Estimates]:
    """What gives both estimates (M, N) of a run at the weights of its r-th initialisation."""
    import torch

    from analysis.shared import loo_estimates
    from ddcore.nets.network import Network, select
    from ddcore.training.chunks import limit_threads
    from ddcore.training.trained import TrainedNets

    spec = context.spec
    made, task = given.sets[key], given.pools[key]
    net = loo_pools(spec, given.chosen)[key].net
    network = Network(net, data.shape, data.num_classes)
    limit_threads(network, context.device)
    weights = {k: torch.from_numpy(w).to(context.device) for k, w in task.arrays("weights").items()}
    images, labels = (
        torch.from_numpy(a).to(context.device) for a in (made.images, made.hard_labels)
    )

    def estimated(r: int) -> loo_estimates.Estimates:
        nets = TrainedNets(network, select(weights, r), {})
        curvature: loo_estimates.Curvature = (
            loo_estimates.last_layer(nets, images, labels)
            if spec.estimate == "last"
            else loo_estimates.AllWeights(network, nets.params, images, labels)
        )
        return loo_estimates.estimates(curvature, data.test, spec.damping, context.check_cancel)

    return estimated
