"""The task `features`: from sets and pools to a result and arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.contract import Arrays
from analysis.shared import embedding
from analysis.shared.networks import features_of
from analysis.suite.features.result import FeaturesFound
from analysis.suite.features.spec import MAPS, PIXELS, REAL, FeaturesTask, pools
from analysis.task import opened, save
from ddcore.base import rng
from ddcore.base.errors import SpecError

if TYPE_CHECKING:
    from ddcore.tasks.worker import Context


def run(context: Context[FeaturesTask]) -> None:
    """Task `features`: neighbours of every image in every network, and maps of the first."""
    from ddcore.pools.networks import load

    spec = context.spec
    if spec.projection == "umap":
        embedding.require_umap("projection", "umap", "pca")
    given = opened(context)
    data, keys = given.dataset, [r.key for r in given.chosen.runs]
    rows = real_sample(len(data.test_images), spec.real_images, spec.seed)
    if spec.neighbours >= len(rows):
        allowed = f"fewer than the {len(rows)} test images there are"
        raise SpecError("neighbours", spec.neighbours, allowed)
    real, truth = data.preprocess(data.test_images[rows]), data.test_labels[rows]
    sets = [given.sets[key] for key in keys]
    images = np.concatenate([real, *(made.images for made in sets)])
    labels = np.concatenate([truth, *(made.hard_labels for made in sets)])
    source = np.repeat(np.arange(len(sets) + 1), [len(real), *(len(m.images) for m in sets)])
    pool = given.pools[spec.network]
    nets = load(pool, context.device)
    total = spec.nets + 1
    each: list[np.ndarray] = []
    called = []
    for i in range(spec.nets):
        context.progress(i, total, f"Network {i + 1} of {spec.nets}")
        features = features_of(nets, i, images)
        near = around(features, len(real), spec.neighbours)
        called.append(embedding.majority(truth[near]))
        each = each or [features, near]
    first, nearest = each
    context.progress(spec.nets, total, "Drawing the maps")
    arrays: Arrays = {
        "labels": labels,
        "source": source,  # 0: real, then the runs in the order of figures
        "called": np.stack(called),  # (nets, points): the majority of each point's real neighbours
        "nearest": nearest.astype(np.int32),  # (points, k) among the real images, first network
        **{f"pixels.{key}": given.sets[key].pixels() for key in keys},
    }
    arrays["map.pca"], explained = embedding.pca_map(first, len(real))
    arrays |= _umaps(context, first, len(real))
    context.progress(total, total)
    right = arrays["called"] == labels
    names = [REAL, *keys]
    found = FeaturesFound(
        agreement={n: right[:, source == s].mean(1).tolist() for s, n in enumerate(names)},
        maps=(*(MAPS if spec.projection == "umap" else ()), "pca"),
        labels={key: given.sets[key].hard_labels.tolist() for key in keys},
        network=pools(spec, given.chosen)[spec.network].net.label(),
        test=pool.arrays()["test"].tolist(),
        explained=explained.tolist(),
        real_images=len(rows),
        test_images=len(data.test_images),
        neighbours=spec.neighbours,
        n_neighbors=spec.n_neighbors,
        random_state=spec.random_state,
        features=first.shape[1],
        soft=tuple(key for key in keys if given.sets[key].soft),
        pools=(pool.key,),
    )
    save(context, given, found, arrays, {PIXELS: ("test", rows)})


def _umaps(context: Context[FeaturesTask], features: np.ndarray, real: int) -> Arrays:
    """UMAP (points, 2) of features, of which the first `real` are of real images; none if not asked for."""
    spec = context.spec
    if spec.projection != "umap":
        return {}
    umap, found = embedding.load_umap(context.store.root / "numba"), {}
    for name in MAPS:
        context.check_cancel()
        found[f"map.{name}"] = embedding.umap_map(
            umap,
            features,
            real,
            joint=name == "joint",
            n_neighbors=spec.n_neighbors,
            random_state=spec.random_state,
        )
    return found


def real_sample(count: int, wanted: int, seed: int) -> np.ndarray:
    """Sorted rows of `wanted` of `count` test images, all where there are fewer."""
    return np.sort(rng.numpy_generator(seed, "features").permutation(count)[:wanted])


def around(features: np.ndarray, real: int, k: int) -> np.ndarray:
    """The `k` real images nearest to each point (N, k), the nearest first.

    The first `real` rows of `features` (N, F) are those of real images; none is its own neighbour.
    """
    reference = features[:real]
    own = embedding.neighbours(reference, k)
    if real == len(features):
        return own
    return np.concatenate([own, embedding.neighbours(reference, k, features[real:])])
