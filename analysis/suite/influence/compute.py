"""The task `influence`: from sets and pools to a result and arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.contract import Arrays
from analysis.shared.effects import CENTRED, RAW, centred
from analysis.task import opened, save
from ddcore.base import rng

if TYPE_CHECKING:
    from ddcore.data.tensors import DeviceData
    from ddcore.sets.distilled import DistilledSet
    from ddcore.tasks.store import Task
    from ddcore.tasks.worker import Context
from analysis.suite.influence.spec import OFFERED, POINTS, TOP, InfluenceTask


def run(context: Context) -> None:
    """Task `influence`: means over initialisations, their agreement, and that of the estimates."""
    from ddcore.data.tensors import DeviceData

    spec: InfluenceTask = context.spec
    given = opened(context)
    data = DeviceData(given.dataset, context.device)
    labels = given.dataset.test_labels
    arrays: Arrays = {"test_labels": labels.astype(np.uint8)}
    facts, shown = {}, [np.zeros(0, np.int64)]
    total = len(given.pools) * spec.inits
    for place, (key, task) in enumerate(zip(given.sets, given.pools)):
        context.progress(place * spec.inits, total)
        made, stored = given.sets[key], task.arrays()
        own = made.hard_labels
        each = stored["influence"].astype(np.float32)  # (inits, M, N)
        mean = each.mean(0)
        arrays[f"influence.{key}"] = mean.astype(np.float16)
        arrays[f"value.{key}"] = each.mean(2).astype(np.float32)  # on the test loss, (inits, M)
        arrays[f"pixels.{key}"] = made.pixels()
        arrays[f"labels.{key}"] = own
        offered = most_moved(mean, labels)
        shown += [offered, *(_tops(values).ravel() for values in (mean, centred(mean, own)))]
        accuracy = stored["accuracy"]
        facts[key] = {
            "labels": own.tolist(),
            "tests": offered.tolist(),
            "agreement": {RAW: agreement(each), CENTRED: agreement(centred(each, own))},
            "same_class": {
                RAW: same_class(mean, own, labels),
                CENTRED: same_class(centred(mean, own), own, labels),
            },
            "accuracy": accuracy[:, -1].tolist(),
            "without": accuracy[:, :-1].mean(1).tolist(),
        }
        if spec.estimate != "none":
            facts[key]["estimates"] = _estimated(
                context, key, made, data, task, each, arrays, place * spec.inits, total
            )
    context.progress(total, total)
    rows = np.unique(np.concatenate(shown))
    result = {
        "sets": facts,
        "test_classes": {str(i): int(labels[i]) for i in rows},
        "tests": len(labels),
        "network": given.pools[0].result()["network"],
        "inits": spec.inits,
        "iterations": spec.iterations,
        "weights": spec.estimate,
        "damping": spec.damping,
        "pools": [task.key for task in given.pools],
        "soft": [key for key, made in given.sets.items() if made.soft],
    }
    save(context, given, result, arrays, {"shown": ("test", rows)})


def agreement(each: np.ndarray) -> float | None:
    """Mean rank correlation of two initialisations (R, M, N): over test images, for each image left out.

    None where there is one initialisation, or where every influence is the same.
    """
    from scipy.stats import rankdata

    if len(each) < 2:
        return None
    ranks = rankdata(each, axis=2)
    ranks -= ranks.mean(2, keepdims=True)
    size = np.sqrt((ranks**2).sum(2))
    found = []
    for a in range(len(each)):
        for b in range(a):
            both = size[a] * size[b]
            ok = both > 0
            found += ((ranks[a] * ranks[b]).sum(1)[ok] / both[ok]).tolist()
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


def correlation(a: np.ndarray, b: np.ndarray) -> dict[str, float]:
    """Pearson and rank correlation over all pairs; 0 where one of them does not vary."""
    from scipy.stats import rankdata

    def pearson(x: np.ndarray, y: np.ndarray) -> float:
        x, y = x - x.mean(), y - y.mean()
        size = float(np.sqrt((x * x).sum() * (y * y).sum()))
        return float((x * y).sum() / size) if size > 0 else 0.0

    a, b = (np.asarray(v, np.float64).ravel() for v in (a, b))
    return {"pearson": pearson(a, b), "spearman": pearson(rankdata(a), rankdata(b))}


def _estimated(
    context: Context,
    key: str,
    made: DistilledSet,
    data: DeviceData,
    task: Task,
    each: np.ndarray,
    arrays: Arrays,
    before: int,
    total: int,
) -> dict[str, Any]:
    """Correlation of both estimates with the exact influence; a sample of points goes to `arrays`."""
    import torch

    from analysis.shared import loo
    from ddcore.nets.network import Network, select
    from ddcore.training.chunks import limit_threads
    from ddcore.training.trained import TrainedNets

    spec, own = context.spec, made.hard_labels
    network_ = Network(task.spec().net, data.shape, data.num_classes)
    limit_threads(network_, context.device)
    weights = {k: torch.from_numpy(w).to(context.device) for k, w in task.arrays("weights").items()}
    images, labels = (torch.from_numpy(a).to(context.device) for a in (made.images, own))
    sums, solved = {"dot": 0.0, "cg": 0.0}, []
    single: dict[str, list[dict[str, float]]] = {"dot": [], "cg": []}
    for r in range(spec.inits):
        context.progress(before + r, total, message="estimates")
        nets = TrainedNets(network_, select(weights, r), {})
        curvature = (
            loo.last_layer(nets, images, labels)
            if spec.estimate == "last"
            else loo.AllWeights(network_, nets.params, images, labels)
        )
        found = loo.estimates(curvature, data.test, spec.damping, context.check_cancel)
        solved.append(found.solved)
        for name, values in (("dot", found.dot), ("cg", found.cg)):
            sums[name] = sums[name] + values / spec.inits
            single[name].append(correlation(values, each[r]))
    exact = each.mean(0)
    pick = rng.numpy_generator(spec.seed, "points", key).permutation(exact.size)[:POINTS]
    arrays[f"points.{key}"] = np.stack(
        [v.ravel()[pick] for v in (exact, sums["dot"], sums["cg"])]
    ).astype(np.float32)
    return {
        name: {
            **correlation(sums[name], exact),
            "single": single[name],
            "beyond": correlation(centred(sums[name], own), centred(exact, own))["spearman"],
        }
        for name in sums
    } | {
        "residual": max(s.residual for s in solved),
        "steps": max(s.steps for s in solved),
        "given_up": sum(s.given_up for s in solved),
    }
