"""The task `neighbours`: from sets and pools to a result and arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.contract import Arrays
from analysis.shared.networks import features_of
from analysis.single.nearest import flat, held_out_sample, nearest
from analysis.task import opened, save

if TYPE_CHECKING:
    from ddcore.tasks.worker import Context
from analysis.suite.neighbours.spec import (
    BESIDE,
    FEATURES,
    HELD_OUT,
    PIXELS,
    SPACES,
    NeighboursTask,
)


def run(context: Context) -> None:
    """Task `neighbours`: nearest training images in both spaces, and the same of held-out images."""
    from ddcore.data.tensors import DeviceData
    from ddcore.pools.real import load

    spec: NeighboursTask = context.spec
    given = opened(context)
    data, keys = given.dataset, [r.key for r in given.chosen.runs]
    held = held_out_sample(len(data.val_images), spec.held_out)
    labels = {HELD_OUT: data.val_labels[held]}
    labels |= {key: made.hard_labels for key, made in given.sets.items()}
    ends = np.cumsum([len(own) for own in labels.values()])[:-1]
    total = spec.nets + 1
    (pool,) = given.pools
    nets, train = load(pool, context.device), DeviceData(data, context.device).train

    def near(step: int, queries: list[np.ndarray], real: np.ndarray) -> tuple[dict, dict]:
        """Indices (M, k) and distances (M, k) by name."""

        def on_share(share: float) -> None:
            context.progress(int(1000 * (step + share)), 1000 * total)

        indices, apart = nearest(np.concatenate(queries), real, spec.neighbours, on_share)
        return dict(zip(labels, np.split(indices, ends))), dict(zip(labels, np.split(apart, ends)))

    pixels = [flat(data.val_images[held]), *(flat(m.pixels()) for m in given.sets.values())]
    found = {PIXELS: [near(0, pixels, data.train_images)], FEATURES: []}
    inputs = [data.preprocess(data.val_images[held]), *(m.images for m in given.sets.values())]
    for i in range(spec.nets):
        queries = [flat(features_of(nets, i, x)) for x in inputs]
        found[FEATURES].append(near(i + 1, queries, features_of(nets, i, train)))
    context.progress(1000 * total, 1000 * total)

    arrays: Arrays = {f"labels.{name}": own for name, own in labels.items()}
    facts: dict[str, dict[str, Any]] = {name: {} for name in labels}
    for space, each in found.items():
        yard = np.stack([np.median(apart[HELD_OUT][:, 0]) for _, apart in each])
        for name, own in labels.items():
            rows = np.stack([rows[name] for rows, _ in each])  # (networks, M, k); one of pixels
            apart = np.stack([apart[name] for _, apart in each])
            relative = apart[:, :, 0] / yard[:, None]
            classes = data.train_labels[rows]
            arrays[f"{space}.rows.{name}"] = rows[0].astype(np.int32)
            arrays[f"{space}.classes.{name}"] = classes[0]
            arrays[f"{space}.distances.{name}"] = apart[0]
            arrays[f"{space}.relative.{name}"] = relative
            facts[name][space] = summary(relative, classes == own[:, None])
    real = {}
    for key, made in given.sets.items():
        shown = to_show(arrays[f"{PIXELS}.relative.{key}"][0])
        arrays[f"shown.{key}"], arrays[f"made.{key}"] = shown, made.pixels()[shown]
        for space in SPACES:
            rows = arrays[f"{space}.rows.{key}"][shown, :BESIDE].astype(np.int64)
            real[f"{space}.real.{key}"] = ("train", rows.ravel())
    result = {
        "sets": facts,
        "neighbours": arrays[f"{PIXELS}.rows.{HELD_OUT}"].shape[1],
        "held_out_images": len(held),
        "train_images": len(data.train_images),
        "network": pool.spec().net.label(),
        "test": pool.arrays()["test"].tolist(),
        "soft": [key for key in keys if given.sets[key].soft],
        "pools": [pool.key],
    }
    save(context, given, result, arrays, real)


def summary(relative: np.ndarray, agrees: np.ndarray) -> dict[str, list[float]]:
    """Facts in each network, from relative distances (nets, M) and whether classes agree (nets, M, k).

    The median distance to the nearest training image in units of that of held-out images; the share of
    images that are nearer than 1; the share whose nearest, and of all their neighbours those who, have
    the image's class.
    """
    return {
        "median": np.median(relative, 1).tolist(),
        "nearer": (relative < 1).mean(1).tolist(),
        "own_class": agrees[:, :, 0].mean(1).tolist(),
        "own_class_all": agrees.mean((1, 2)).tolist(),
    }


def to_show(relative: np.ndarray) -> np.ndarray:
    """The image that is nearest to a training image, and the one that is farthest from all."""
    return np.array([relative.argmin(), relative.argmax()])
