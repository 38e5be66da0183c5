"""The task `neighbours`: from sets and pools to a result and arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.contract import Arrays
from analysis.shared.networks import features_of
from analysis.single.nearest import flat, held_out_sample, nearest
from analysis.suite.neighbours.result import Nearness, NeighboursFound
from analysis.suite.neighbours.spec import (
    BESIDE,
    FEATURES,
    HELD_OUT,
    PIXELS,
    SPACES,
    NeighboursTask,
    pools,
)
from analysis.task import Opened, opened, save

if TYPE_CHECKING:
    from ddcore.tasks.worker import Context


Near = dict[str, tuple[np.ndarray, np.ndarray]]  # training rows and distances (M, k), by run key


def run(context: Context[NeighboursTask]) -> None:
    """Task `neighbours`: nearest training images in both spaces, and the same of held-out images."""
    spec = context.spec
    given = opened(context)
    data, pool = given.dataset, given.pools[spec.network]
    held = held_out_sample(len(data.val_images), spec.held_out)
    labels = {HELD_OUT: data.val_labels[held]}
    labels |= {key: made.hard_labels for key, made in given.sets.items()}
    arrays: Arrays = {f"labels.{name}": own for name, own in labels.items()}
    facts: dict[str, dict[str, Nearness]] = {name: {} for name in labels}
    for space, each in _found(context, given, held).items():
        yard = np.stack([np.median(near[HELD_OUT][1][:, 0]) for near in each])
        for name, own in labels.items():
            rows = np.stack([near[name][0] for near in each])  # (networks, M, k); one of pixels
            apart = np.stack([near[name][1] for near in each])
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
    nearness = NeighboursFound(
        sets=facts,
        neighbours=arrays[f"{PIXELS}.rows.{HELD_OUT}"].shape[1],
        held_out_images=len(held),
        train_images=len(data.train_images),
        network=pools(spec, given.chosen)[spec.network].net.label(),
        test=pool.arrays()["test"].tolist(),
        soft=tuple(key for key, made in given.sets.items() if made.soft),
        pools=(pool.key,),
    )
    save(context, given, nearness, arrays, real)


def _found(
    context: Context[NeighboursTask], given: Opened, held: np.ndarray
) -> dict[str, list[Near]]:
    """What is nearest to the images of each set and to held-out ones of these rows: in pixels, and in the
    features of each network."""
    from ddcore.data.tensors import DeviceData
    from ddcore.pools.networks import load

    spec = context.spec
    data, total = given.dataset, spec.nets + 1
    nets = load(given.pools[spec.network], context.device)
    train = DeviceData(data, context.device).train

    def near(step: int, queries: dict[str, np.ndarray], real: np.ndarray) -> Near:
        def on_share(share: float) -> None:
            context.progress(int(1000 * (step + share)), 1000 * total)

        ends = np.cumsum([len(q) for q in queries.values()])[:-1]
        both = nearest(np.concatenate(list(queries.values())), real, spec.neighbours, on_share)
        return dict(zip(queries, zip(*(np.split(part, ends) for part in both))))

    pixels = {HELD_OUT: flat(data.val_images[held])}
    pixels |= {key: flat(made.pixels()) for key, made in given.sets.items()}
    found: dict[str, list[Near]] = {PIXELS: [near(0, pixels, data.train_images)], FEATURES: []}
    inputs = {HELD_OUT: data.preprocess(data.val_images[held])}
    inputs |= {key: made.images for key, made in given.sets.items()}
    for i in range(spec.nets):
        queries = {name: flat(features_of(nets, i, x)) for name, x in inputs.items()}
        found[FEATURES].append(near(i + 1, queries, features_of(nets, i, train)))
    context.progress(1000 * total, 1000 * total)
    return found


def summary(relative: np.ndarray, agrees: np.ndarray) -> Nearness:
    """Facts in each network, from relative distances (nets, M) and whether classes agree (nets, M, k).

    The median distance to the nearest training image in units of that of held-out images; the share of
    images that are nearer than 1; the share whose nearest, and of all their neighbours those who, have
    the image's class.
    """
    return Nearness(
        median=np.median(relative, 1).tolist(),
        nearer=(relative < 1).mean(1).tolist(),
        own_class=agrees[:, :, 0].mean(1).tolist(),
        own_class_all=agrees.mean((1, 2)).tolist(),
    )


def to_show(relative: np.ndarray) -> np.ndarray:
    """The image that is nearest to a training image, and the one that is farthest from all."""
    return np.array([relative.argmin(), relative.argmax()])
